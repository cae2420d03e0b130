/**
 * What a subscription's row has of credentials and certificates, opened and judged. All or nothing: with a part of it a
 * request would go to an endpoint that has to refuse it, or that nobody may be sent to.
 */
import { type Access, type Read, readCredentials, readTlsIdentity } from '../core/access.ts'
import type { KeyRing } from '../core/key-ring.ts'
import { readSecret, type UnreadableSecret } from '../core/signing-secret.ts'

interface AccessRow {
  readonly id: string
  readonly auth: string | null
  readonly tls: string | null
}

type Told<T> = { readonly value: T | undefined } | undefined

/** Undefined where any of it cannot be used; `onUnreadable` is told why. `now` is in unix milliseconds. */
export function accessOf(
  { id, auth, tls }: AccessRow,
  ring: KeyRing,
  now: number,
  onUnreadable: (secret: UnreadableSecret) => void,
): Access | undefined {
  const opened = <T>(
    column: 'auth' | 'tls',
    text: string | null,
    read: (plain: string) => Read<T>,
  ): Told<T> => {
    if (text === null) return { value: undefined }
    const stored = readSecret(ring, { id, column, text })
    if (stored.kind === 'key_unknown' || stored.kind === 'not_authentic') {
      onUnreadable({ id, column, reason: stored.kind })
      return undefined
    }
    const judged = read(stored.plain)
    if (judged.kind === 'read') return judged
    onUnreadable({ id, column, reason: judged.fault })
    return undefined
  }
  const credentials = opened('auth', auth, readCredentials)
  const identity = opened('tls', tls, (plain) => readTlsIdentity(plain, now))
  if (credentials === undefined || identity === undefined) return undefined
  return { credentials: credentials.value, tls: identity.value }
}
