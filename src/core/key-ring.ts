/**
 * The keys that seal what is secret at rest: the first seals, each of them opens. A key is known by an id that is
 * derived from it and tells nothing of it; what is wrong with a key is told by its place in the list, never by its value.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'

export interface EncryptionKey {
  /** Eight hexadecimal digits: stands in every text that it sealed. */
  readonly id: string
  readonly key: KeyObject
}

/** Empty: nothing is sealed, and nothing that is can be opened. */
export type KeyRing = readonly EncryptionKey[]

export type ParsedKeyRing =
  | { readonly kind: 'ring'; readonly ring: KeyRing }
  /** `rule` completes a sentence that begins with the setting's name. */
  | { readonly kind: 'refused'; readonly rule: string }

const KEY_BYTES = 32
const RULE = 'has to be the base64 of 32 random bytes, as `openssl rand -base64 32` makes them'

/** Keys in base64, separated by commas. */
export function parseKeyRing(text: string): ParsedKeyRing {
  const ring: EncryptionKey[] = []
  const items = text.trim() === '' ? [] : text.split(',')
  for (const [index, item] of items.entries()) {
    const which = items.length === 1 ? '' : `; key ${index + 1} of ${items.length} is not`
    const bytes = Buffer.from(item.trim(), 'base64')
    // Node skips what is not base64: what comes back has to be what was written.
    if (bytes.length !== KEY_BYTES || bytes.toString('base64') !== item.trim())
      return refused(`${RULE}${which}`)
    if (isGuessable(bytes)) return refused(`${RULE}, and not a text or a pattern${which}`)
    const key = encryptionKey(bytes)
    const twin = ring.findIndex(({ id }) => id === key.id)
    if (twin !== -1) return refused(`has to hold each key once; key ${index + 1} is key ${twin + 1} again`)
    ring.push(key)
  }
  return { kind: 'ring', ring }
}

function refused(rule: string): ParsedKeyRing {
  return { kind: 'refused', rule }
}

function encryptionKey(bytes: Buffer): EncryptionKey {
  const id = createHmac('sha256', bytes).update('walhook encryption key id').digest('hex').slice(0, 8)
  return { id, key: createSecretKey(bytes) }
}

/** Random bytes have about 30 different values, and are printable once in 10^13 keys; passwords and placeholders are not so. */
function isGuessable(bytes: Buffer): boolean {
  const steps = new Set(bytes.subarray(1).map((byte, i) => byte - (bytes[i] ?? 0)))
  const isText = bytes.every((byte) => byte >= 0x20 && byte < 0x7f)
  return isText || steps.size === 1 || new Set(bytes).size < 16
}
