/**
 * Sealed texts: AES-256-GCM, readable with the key and only where they were put. Row and column are authenticated with
 * the text, so that one which is copied elsewhere does not open there.
 *
 *   enc:v1:<key id>:<hint>:<base64 of nonce, ciphertext and tag>
 *
 * A nonce must never be used twice with one key: 96 random bits, of the caller's.
 */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import type { EncryptionKey, KeyRing } from './key-ring.ts'

/** Where a sealed text stands: the row's id and the column's name. */
export interface Place {
  readonly row: string
  readonly column: string
}

export interface Sealable {
  readonly plain: string
  /** What may be read without the key: up to four characters of base64. Authenticated. */
  readonly hint: string
}

export type Opened =
  | { readonly kind: 'opened'; readonly plain: string; readonly keyId: string }
  /** No key of the ring sealed it. */
  | { readonly kind: 'key_unknown'; readonly keyId: string }
  /** The key is there, and the text was changed, or sealed for another place. */
  | { readonly kind: 'not_authentic' }

export const NONCE_BYTES = 12
const TAG_BYTES = 16
const CIPHER = 'aes-256-gcm'
const SEALED = /^(enc:v1:([0-9a-f]{8}):[A-Za-z0-9+/]{0,4}):([A-Za-z0-9+/]+={0,2})$/

/** By its beginning, which no plain secret has. */
export function isSealed(text: string): boolean {
  return text.startsWith('enc:')
}

export function seal({ id, key }: EncryptionKey, place: Place, value: Sealable, nonce: Buffer): string {
  if (nonce.length !== NONCE_BYTES) throw new RangeError(`a nonce has ${NONCE_BYTES} bytes`)
  const header = `enc:v1:${id}:${value.hint}`
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(bound(header, place))
  const ciphertext = Buffer.concat([cipher.update(value.plain, 'utf8'), cipher.final()])
  return `${header}:${Buffer.concat([nonce, ciphertext, cipher.getAuthTag()]).toString('base64')}`
}

export function open(ring: KeyRing, place: Place, text: string): Opened {
  const [, header = '', keyId = '', base64 = ''] = SEALED.exec(text) ?? []
  const sealed = Buffer.from(base64, 'base64')
  // One spelling for each text: Node would overlook the last character's spare bits.
  if (sealed.length < NONCE_BYTES + TAG_BYTES || sealed.toString('base64') !== base64)
    return { kind: 'not_authentic' }
  const known = ring.find(({ id }) => id === keyId)
  if (known === undefined) return { kind: 'key_unknown', keyId }
  const plain = decipher(known.key, bound(header, place), sealed)
  return plain === undefined ? { kind: 'not_authentic' } : { kind: 'opened', plain, keyId }
}

function bound(header: string, { row, column }: Place): Buffer {
  return Buffer.from(JSON.stringify([header, column, row]))
}

function decipher(key: KeyObject, aad: Buffer, sealed: Buffer): string | undefined {
  const nonce = sealed.subarray(0, NONCE_BYTES)
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(aad)
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  const plain = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES))
  try {
    return Buffer.concat([plain, decipher.final()]).toString('utf8')
  } catch {
    // All that final() can say: the tag does not fit.
    return undefined
  }
}
