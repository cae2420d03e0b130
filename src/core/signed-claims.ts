/**
 * Claims that were signed here and come back from a browser: a portal link, a session of the page. Whoever holds one is let
 * in as it says, until it expires; it cannot be changed, nor one kind be used as the other.
 *
 *   <base64url of the claims' JSON>.<base64url of HMAC-SHA256>
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { type Scope, SCOPES } from './principal.ts'

export interface Claims {
  /** It holds for as long as this key does; null where it was opened without one. */
  readonly keyId: string | null
  readonly scope: Scope
  readonly tenant: string | null
  /** In unix seconds. */
  readonly expiresAt: number
}

export type Purpose = 'portal_link' | 'session'

const KEY_BYTES = 32

const CLAIMS = z.strictObject({
  keyId: z.string().nullable(),
  scope: z.enum(SCOPES),
  tenant: z.string().nullable(),
  expiresAt: z.int(),
})

/** A key for one purpose, of all the secrets together. */
export function signingKey(secrets: readonly Uint8Array[], purpose: Purpose): Uint8Array {
  const material = Buffer.concat(secrets)
  return new Uint8Array(hkdfSync('sha256', material, '', `walhook ${purpose}`, KEY_BYTES))
}

export function signClaims(key: Uint8Array, claims: Claims): string {
  const body = Buffer.from(JSON.stringify(claims)).toString('base64url')
  return `${body}.${signatureOf(key, body).toString('base64url')}`
}

/** `now` in unix milliseconds. Undefined where it is not ours, was changed, or has expired. */
export function readClaims(key: Uint8Array, text: string, now: number): Claims | undefined {
  const [body = '', signature = '', ...rest] = text.split('.')
  const given = Buffer.from(signature, 'base64url')
  const wanted = signatureOf(key, body)
  if (rest.length > 0 || given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined
  const claims = CLAIMS.parse(JSON.parse(Buffer.from(body, 'base64url').toString()))
  return claims.expiresAt * 1_000 > now ? claims : undefined
}

function signatureOf(key: Uint8Array, body: string): Buffer {
  return createHmac('sha256', key).update(body).digest()
}
