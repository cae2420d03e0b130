/** Links that open the page for one tenant: what they may grant, for how long, and where they lead. */
import { type Claims, signClaims } from './signed-claims.ts'

export const PORTAL_SCOPES = ['read', 'operate'] as const
export type PortalScope = (typeof PORTAL_SCOPES)[number]

export const LONGEST_LINK_MS = 30 * 86_400_000

/** To be put behind the server's origin. */
export function portalPath(key: Uint8Array, claims: Claims): string {
  return `/ui/portal/${signClaims(key, claims)}`
}
