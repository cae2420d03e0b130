/** What is secret of a subscription as it stands in its row: plain as SQL wrote it, or sealed. */
import type { AccessFault } from './access.ts'
import type { EncryptionKey, KeyRing } from './key-ring.ts'
import { isSealed, open, type Opened, seal } from './sealing.ts'

/** The columns that are sealed, in the order of the statements that read and write them (store/stored-secrets.ts). */
export const SECRET_COLUMNS = ['secret', 'previous_secret', 'ed25519_key', 'auth', 'tls'] as const
export type SecretColumn = (typeof SECRET_COLUMNS)[number]

/** The subscription's id, the column, and what stands there. */
export interface StoredSecret {
  readonly id: string
  readonly column: SecretColumn
  readonly text: string
}

export type ReadSecret =
  | { readonly kind: 'plain'; readonly plain: string }
  | (Opened & {
      /** For which column it was sealed. */
      readonly column: SecretColumn
    })

/** A secret that cannot be read, and why: what a log line may say of it. */
export interface UnreadableSecret {
  readonly id: string
  readonly column: SecretColumn
  readonly reason: UnreadableReason | AccessFault
}

type UnreadableReason = 'key_unknown' | 'not_authentic'

/**
 * A rotation is one SQL statement, which moves the text of `secret` to `previous_secret` and cannot seal it anew. That
 * one move is allowed, within the row; every other place refuses the text.
 */
const MOVED_FROM: Partial<Record<SecretColumn, SecretColumn>> = { previous_secret: 'secret' }

export function readSecret(ring: KeyRing, { id, column, text }: StoredSecret): ReadSecret {
  if (!isSealed(text)) return { kind: 'plain', plain: text }
  const here = { ...open(ring, { row: id, column }, text), column }
  const before = MOVED_FROM[column]
  if (here.kind === 'opened' || before === undefined) return here
  const there = { ...open(ring, { row: id, column: before }, text), column: before }
  return there.kind === 'opened' ? there : here
}

/** The text that is to stand there, sealed with `key` for this place; `as_it_is` where it does already. */
export type Resealed =
  | { readonly kind: 'as_it_is' }
  | { readonly kind: 'sealed'; readonly text: string }
  | { readonly kind: 'unreadable'; readonly reason: UnreadableReason }

export function resealed(key: EncryptionKey, ring: KeyRing, stored: StoredSecret, nonce: Buffer): Resealed {
  const read = readSecret(ring, stored)
  if (read.kind === 'key_unknown' || read.kind === 'not_authentic')
    return { kind: 'unreadable', reason: read.kind }
  if (read.kind === 'opened' && read.keyId === key.id && read.column === stored.column)
    return { kind: 'as_it_is' }
  const { plain } = read
  const place = { row: stored.id, column: stored.column }
  return { kind: 'sealed', text: seal(key, place, { plain, hint: hintOf(plain) }, nonce) }
}

/**
 * The last four characters of a Standard Webhooks secret: 24 bits of the 192 and more. Of any other text nothing, since four
 * characters may be a good part of it; and that there is no hint is how SQL tells that it is another text.
 */
function hintOf(text: string): string {
  return isStandardSecret(text) ? text.replace(/=+$/, '').slice(-4) : ''
}

/** What walhook.is_signing_secret says: `whsec_` and the base64 of 24 to 64 bytes. */
function isStandardSecret(text: string): boolean {
  if (!/^whsec_[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 2) return false
  const bytes = Buffer.from(text.slice('whsec_'.length), 'base64').length
  return bytes >= 24 && bytes <= 64
}
