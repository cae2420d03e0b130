/** /v1/me: who the API takes the caller for. */
import { z } from 'zod'
import { SCOPES } from '../core/principal.ts'
import type { ApiApp } from './app.ts'

export const me = z
  .object({
    scope: z.enum(SCOPES).describe('What the key may do.'),
    tenant: z.string().nullable().describe("Whose rows it sees; null means everybody's."),
    key_id: z.string().nullable().describe('The key, where it is one of /v1/keys.'),
    by: z
      .enum(['admin_token', 'api_key', 'session', 'loopback'])
      .describe('How the caller came in; loopback: nobody has made a key yet, and this machine is let in.'),
  })
  .meta({ id: 'Me' })

export function addMeRoutes(app: ApiApp): void {
  app.get(
    '/v1/me',
    {
      config: { scope: 'any' },
      schema: {
        operationId: 'getMe',
        tags: ['keys'],
        summary: 'Who the API takes you for',
        response: { 200: me },
      },
    },
    ({ principal: { scope, tenant, keyId, by } }) => ({ scope, tenant, key_id: keyId, by }),
  )
}
