/**
 * The page's session: claims in a cookie that scripts cannot read and other sites cannot send. It is kept nowhere, and ends
 * with its time, with the key that it was opened with, or with what it is signed with.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Principal } from '../core/principal.ts'
import { type Claims, readClaims, signClaims } from '../core/signed-claims.ts'
import { findValidKey } from '../store/api-keys.ts'
import type { Queryable } from '../store/database.ts'
import { readSigningKey, type SigningParts } from '../store/session-secret.ts'
import { Problem } from './problem.ts'
import { isFromOwnPage, isUnsafe } from './this-machine.ts'

export interface SessionPorts extends SigningParts {
  readonly database: Queryable
}

const COOKIE = 'walhook_session'
/** A working day. */
const SESSION_S = 8 * 3_600

/** `until`: in unix seconds, where it has to end sooner. */
export async function openSession(
  reply: FastifyReply,
  ports: SessionPorts,
  granted: Pick<Claims, 'keyId' | 'scope' | 'tenant'>,
  until = Infinity,
): Promise<void> {
  const now = Math.floor(Date.now() / 1_000)
  const expiresAt = Math.min(now + SESSION_S, until)
  const key = await readSigningKey(ports.database, ports, 'session')
  const { keyId, scope, tenant } = granted
  setCookie(reply, signClaims(key, { keyId, scope, tenant, expiresAt }), expiresAt - now)
}

export function closeSession(reply: FastifyReply): void {
  setCookie(reply, '', 0)
}

/** Undefined where there is no session, or none that holds. Errors: a problem where another site may have sent it. */
export async function principalOfSession(
  request: FastifyRequest,
  ports: SessionPorts,
): Promise<Principal | undefined> {
  const cookie = cookieOf(request)
  if (cookie === undefined) return undefined
  const key = await readSigningKey(ports.database, ports, 'session')
  const claims = readClaims(key, cookie, Date.now())
  if (claims === undefined || !(await stillHolds(ports.database, claims))) return undefined
  // SameSite has kept it from other sites already; this is for what stands on the same site.
  if (isUnsafe(request) && !isFromOwnPage(request))
    throw new Problem('forbidden', 'With a session, only the page itself may ask for this.')
  const { keyId, scope, tenant } = claims
  return { keyId, scope, tenant, by: 'session' }
}

/** What was opened with a key ends with it. */
export async function stillHolds(db: Queryable, { keyId }: Pick<Claims, 'keyId'>): Promise<boolean> {
  return keyId === null || (await findValidKey(db, keyId)) !== undefined
}

function cookieOf({ headers }: FastifyRequest): string | undefined {
  const pairs = (headers.cookie ?? '').split(';').map((pair) => pair.trim())
  const prefix = `${COOKIE}=`
  const found = pairs.find((pair) => pair.startsWith(prefix))?.slice(prefix.length)
  return found === '' ? undefined : found
}

function setCookie(reply: FastifyReply, value: string, maxAge: number): void {
  const parts = [`${COOKIE}=${value}`, 'Path=/', `Max-Age=${maxAge}`, 'HttpOnly', 'SameSite=Strict']
  if (isHttps(reply.request)) parts.push('Secure')
  reply.header('set-cookie', parts.join('; '))
  reply.header('cache-control', 'no-store')
}

/** Whether the browser came by https: whoever ends TLS in front of this says so. */
export function isHttps({ protocol, headers }: FastifyRequest): boolean {
  return protocol === 'https' || headers['x-forwarded-proto'] === 'https'
}
