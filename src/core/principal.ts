/** Who asks the API for something, and what a scope allows. */

/** From the least to the most, but for `publish`, which only writes events. */
export const SCOPES = ['publish', 'read', 'operate', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

export interface Principal {
  /** The key of walhook.api_keys that it came in with; null for the token of the environment, and for this machine. */
  readonly keyId: string | null
  readonly scope: Scope
  /** It sees and writes what is this tenant's; null means all. */
  readonly tenant: string | null
  readonly by: 'admin_token' | 'api_key' | 'session' | 'loopback'
}

const CONTAINED: Readonly<Record<Scope, readonly Scope[]>> = {
  publish: ['publish'],
  read: ['read'],
  operate: ['publish', 'read', 'operate'],
  admin: ['publish', 'read', 'operate', 'admin'],
}

/** Whether who has `scope` may do what needs `needed`. */
export function allows(scope: Scope, needed: Scope): boolean {
  return CONTAINED[scope].includes(needed)
}
