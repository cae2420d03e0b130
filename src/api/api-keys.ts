/** /v1/keys: the API's own keys. A tenant's administrator sees and makes that tenant's only. */
import { z } from 'zod'
import { SCOPES } from '../core/principal.ts'
import { type ApiKeyRow, createApiKey, listApiKeys, revokeApiKey } from '../store/api-keys.ts'
import type { Queryable } from '../store/database.ts'
import type { ApiApp } from './app.ts'
import { Cursor, pageOf, pageQuery } from './cursor.ts'
import { notFound, Problem } from './problem.ts'
import { shownTime, shownTimeOrNull, tenantName, text, timestamp, timestampInput, uuid } from './schemas.ts'

export const apiKey = z
  .object({
    id: uuid,
    name: z.string().nullable().describe('For people.'),
    prefix: z
      .string()
      .describe('How the key begins.')
      .meta({ examples: ['whk_9fQ2mXb7'] }),
    scope: z.enum(SCOPES),
    tenant: z.string().nullable().describe('What it is narrowed to; null means everything.'),
    expires_at: timestamp.nullable(),
    created_at: timestamp,
    last_used_at: timestamp.nullable().describe('To the minute.'),
    revoked_at: timestamp.nullable(),
  })
  .meta({ id: 'ApiKey' })

const newApiKey = z
  .strictObject({
    name: text(255).nullish().describe('For people: whose it is, or what for.'),
    scope: z
      .enum(SCOPES)
      .describe('publish: write events. read: look. operate: both, and change. admin: keys too.'),
    tenant: tenantName.nullish().describe("Narrows it; a tenant's own key makes keys of that tenant only."),
    expires_at: timestampInput.nullish().describe('From when on it is refused.'),
  })
  .meta({ id: 'NewApiKey', examples: [{ name: 'shop', scope: 'publish' }] })

const createdApiKey = apiKey
  .extend({ key: z.string().describe('The key itself. It is shown this once.') })
  .meta({ id: 'CreatedApiKey' })

const keyCursor = new Cursor('keys', z.tuple([z.uuid()]))

const TAGS = ['keys']

export function addApiKeyRoutes(app: ApiApp, { database }: { readonly database: Queryable }): void {
  app.get(
    '/v1/keys',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'listKeys',
        tags: TAGS,
        summary: 'List keys',
        description: 'The newest first, revoked ones too. A key itself is nowhere to be read again.',
        querystring: z.strictObject(pageQuery),
        response: { 200: pageOf(apiKey) },
      },
    },
    async ({ query: { limit, cursor }, principal: { tenant } }) => {
      const [beforeId] = keyCursor.read(cursor) ?? []
      const rows = await listApiKeys(database, { tenant, beforeId, limit: limit + 1 })
      return keyCursor.page(rows, limit, ({ id }) => [id], shown)
    },
  )
  app.post(
    '/v1/keys',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'createKey',
        tags: TAGS,
        summary: 'Make a key',
        description:
          'The answer holds the key itself, this once. As soon as there is one, everyone needs one.',
        body: newApiKey,
        response: { 201: createdApiKey },
      },
    },
    async ({ body, principal }, reply) => {
      const tenant = body.tenant ?? principal.tenant
      if (principal.tenant !== null && tenant !== principal.tenant)
        throw new Problem('forbidden', "A tenant's key makes keys of that tenant only.")
      const made = await createApiKey(database, {
        name: body.name ?? null,
        scope: body.scope,
        tenant,
        expiresAt: body.expires_at ?? null,
      })
      return reply.status(201).send({ ...shown(made), key: made.key })
    },
  )
  app.delete(
    '/v1/keys/:id',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'revokeKey',
        tags: TAGS,
        summary: 'Revoke a key',
        description:
          'From the next request on it is refused, and so are the sessions and portal links that were opened with it.',
        params: z.strictObject({ id: uuid }),
        response: { 204: z.null().describe('It is revoked.') },
      },
    },
    async ({ params: { id }, principal: { tenant } }, reply) => {
      if (!(await revokeApiKey(database, id, tenant))) throw notFound('key')
      return reply.status(204).send(null)
    },
  )
}

function shown(row: ApiKeyRow): z.output<typeof apiKey> {
  return {
    ...row,
    expires_at: shownTimeOrNull(row.expires_at),
    created_at: shownTime(row.created_at),
    last_used_at: shownTimeOrNull(row.last_used_at),
    revoked_at: shownTimeOrNull(row.revoked_at),
  }
}
