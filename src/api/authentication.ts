/**
 * Who asks, and whether they may: in front of every route that declares a scope. A route of /v1 that declares none does not
 * start.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { allows, type Principal, type Scope } from '../core/principal.ts'
import { API_KEY, hasApiKeys, useApiKey } from '../store/api-keys.ts'
import type { ApiApp } from './app.ts'
import { Problem } from './problem.ts'
import { principalOfSession, type SessionPorts } from './session-cookie.ts'
import { isCrossSite, isFromThisMachine, isUnsafe } from './this-machine.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What is needed for this route; `any` key will do. Routes without it are open to everybody. */
    scope?: Scope | 'any'
    /** It concerns all tenants at once: a tenant's key is refused. */
    allTenants?: boolean
  }
  interface FastifyRequest {
    /** Set on routes with a scope. */
    principal: Principal
  }
}

export type AuthenticationPorts = SessionPorts

export function authenticateRequests(app: ApiApp, ports: AuthenticationPorts): void {
  app.decorateRequest('principal')
  app.addHook('onRoute', ({ url, config }) => {
    if (url.startsWith('/v1') && config?.scope === undefined) throw new Error(`${url} declares no scope`)
  })
  app.addHook('onRequest', async (request) => {
    const { scope, allTenants } = request.routeOptions.config
    if (scope === undefined) return
    const principal = await principalOf(request, ports)
    request.principal = principal
    if (scope !== 'any' && !allows(principal.scope, scope))
      throw new Problem('forbidden', `This needs the scope ${scope}; the key has ${principal.scope}.`)
    if (allTenants === true && principal.tenant !== null)
      throw new Problem('forbidden', 'This concerns all tenants, and the key is for one.')
  })
}

/** Errors: a problem; those of the database. */
async function principalOf(request: FastifyRequest, ports: AuthenticationPorts): Promise<Principal> {
  const { authorization } = request.headers
  if (authorization !== undefined) return byBearer(request, authorization, ports)
  const session = await principalOfSession(request, ports)
  if (session !== undefined) return session
  const local = await byBeingHere(request, ports)
  if (local !== undefined) return local
  throw await request.refusal()
}

async function byBearer(
  request: FastifyRequest,
  authorization: string,
  ports: AuthenticationPorts,
): Promise<Principal> {
  const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1]
  if (token === undefined) throw await request.refusal()
  const found = await principalOfToken(token, ports)
  if (found === undefined) throw await request.refusal()
  return found
}

/** Whose token or key this is. */
export async function principalOfToken(
  token: string,
  { database, adminToken }: AuthenticationPorts,
): Promise<Principal | undefined> {
  if (adminToken !== undefined && isSame(token, adminToken))
    return { keyId: null, scope: 'admin', tenant: null, by: 'admin_token' }
  const key = API_KEY.test(token) ? await useApiKey(database, token) : undefined
  return key === undefined
    ? undefined
    : { keyId: key.id, scope: key.scope, tenant: key.tenant, by: 'api_key' }
}

/** While nobody has made a key, whoever is on this machine may do everything. */
async function byBeingHere(
  request: FastifyRequest,
  { database, adminToken }: AuthenticationPorts,
): Promise<Principal | undefined> {
  if (adminToken !== undefined || !isFromThisMachine(request)) return undefined
  if (await hasApiKeys(database)) return undefined
  if (isUnsafe(request)) requireOwnRequest(request)
  return { keyId: null, scope: 'admin', tenant: null, by: 'loopback' }
}

/** A browser sends a POST of another site's form without asking first, but not as JSON. */
function requireOwnRequest(request: FastifyRequest): void {
  if (isCrossSite(request)) throw new Problem('forbidden', 'Without a key, other sites may not ask for this.')
  const { 'content-type': type = '' } = request.headers
  if (request.method === 'POST' && !/^application\/json\s*(;|$)/i.test(type))
    throw new Problem('unsupported_media_type', 'Send it as application/json, without a body too.')
}

/** In one time, wherever they differ. */
function isSame(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
