/** /v1/portal-links: a link that opens the page for one tenant; and the ways into the page and out of it. */
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { parseDuration } from '../core/duration.ts'
import { LONGEST_LINK_MS, PORTAL_SCOPES, portalPath } from '../core/portal-link.ts'
import { allows } from '../core/principal.ts'
import { readClaims } from '../core/signed-claims.ts'
import { readSigningKey } from '../store/session-secret.ts'
import type { ApiApp } from './app.ts'
import { type AuthenticationPorts, principalOfToken } from './authentication.ts'
import { me } from './me.ts'
import { Problem } from './problem.ts'
import { shownInstant, tenantName, text, timestamp } from './schemas.ts'
import { closeSession, isHttps, openSession, stillHolds } from './session-cookie.ts'
import { isCrossSite } from './this-machine.ts'

const newPortalLink = z
  .strictObject({
    tenant: tenantName,
    expires_in: text(20)
      .regex(/^[1-9][0-9]{0,8}(ms|s|m|h|d)$/, 'has to be a duration like 15m, 2h or 7d')
      .default('1h')
      .describe(
        'How long the link opens the page, and the longest that a session lasts that it opened: at most 30d.',
      ),
    scope: z.enum(PORTAL_SCOPES).default('read').describe('operate: the tenant may change things too.'),
  })
  .meta({ id: 'NewPortalLink', examples: [{ tenant: 'acme', expires_in: '2h', scope: 'read' }] })

const portalLink = z
  .object({
    url: z.string().describe('Whoever opens it is let in: hand it to that tenant only.'),
    tenant: z.string(),
    scope: z.enum(PORTAL_SCOPES),
    expires_at: timestamp,
  })
  .meta({ id: 'PortalLink' })

export function addPortalLinkRoutes(app: ApiApp, ports: AuthenticationPorts): void {
  app.post(
    '/v1/portal-links',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'createPortalLink',
        tags: ['keys'],
        summary: 'Make a link that opens the page for one tenant',
        description:
          'Signed, and valid until it expires, or until the key that made it is revoked. It may be opened more than once.',
        body: newPortalLink,
        response: { 201: portalLink },
      },
    },
    async ({ body: { tenant, expires_in, scope }, principal }, reply) => {
      if (!allows(principal.scope, scope) || (principal.tenant !== null && principal.tenant !== tenant))
        throw new Problem('forbidden', 'A link opens no more than what the key that makes it may see.')
      const lastsMs = parseDuration(expires_in) ?? Infinity
      if (lastsMs > LONGEST_LINK_MS)
        throw new Problem('invalid', 'expires_in has to be at most 30d.', {
          errors: [{ field: 'expires_in', detail: 'has to be at most 30d' }],
        })
      const expiresAt = Math.ceil((Date.now() + lastsMs) / 1_000)
      const key = await readSigningKey(ports.database, ports, 'portal_link')
      const path = portalPath(key, { keyId: principal.keyId, scope, tenant, expiresAt })
      return reply.status(201).send({
        url: `${originOf(reply.request)}${path}`,
        tenant,
        scope,
        expires_at: shownInstant(expiresAt * 1_000),
      })
    },
  )
}

/** What the page is entered and left by. They take no key: they make the session that stands in for one. */
export function addSessionRoutes(app: ApiApp, ports: AuthenticationPorts): void {
  app.get(
    '/ui/portal/:link',
    { schema: { params: z.object({ link: z.string() }) } },
    async (request, reply) => {
      const key = await readSigningKey(ports.database, ports, 'portal_link')
      const claims = readClaims(key, request.params.link, Date.now())
      if (claims === undefined || !(await stillHolds(ports.database, claims)))
        return reply.redirect('/ui/?link=expired', 303)
      await openSession(reply, ports, claims, claims.expiresAt)
      return reply.redirect('/ui/', 303)
    },
  )
  app.post(
    '/ui/session',
    { schema: { body: z.strictObject({ token: text(512) }), response: { 200: me } } },
    async (request, reply) => {
      requireOwnSite(request)
      const principal = await principalOfToken(request.body.token, ports)
      if (principal === undefined) throw await request.refusal()
      await openSession(reply, ports, principal)
      const { scope, tenant, keyId } = principal
      return reply.send({ scope, tenant, key_id: keyId, by: 'session' as const })
    },
  )
  app.delete('/ui/session', async (request, reply) => {
    requireOwnSite(request)
    closeSession(reply)
    return reply.status(204).send()
  })
}

function requireOwnSite(request: FastifyRequest): void {
  if (isCrossSite(request)) throw new Problem('forbidden', 'Only the page itself may ask for this.')
}

/** As whoever asks sees this server. */
function originOf(request: FastifyRequest): string {
  return `${isHttps(request) ? 'https' : 'http'}://${request.host}`
}
