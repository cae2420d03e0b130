/**
 * Ed25519 keys as Standard Webhooks spells them: `whsk_` and the base64 of the 32-byte seed, alone or with the public key
 * behind it (64 bytes), and `whpk_` and the base64 of the 32-byte public key. The seed alone decides.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'

const PRIVATE_PREFIX = 'whsk_'
const PUBLIC_PREFIX = 'whpk_'
const SEED_BYTES = 32
/** PKCS #8 (RFC 8410) of an Ed25519 key, up to its seed. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')

export function ed25519PrivateKey(text: string): KeyObject {
  const bytes = Buffer.from(text.slice(PRIVATE_PREFIX.length), 'base64')
  if (!text.startsWith(PRIVATE_PREFIX) || (bytes.length !== SEED_BYTES && bytes.length !== 2 * SEED_BYTES))
    throw new TypeError('an Ed25519 key is whsk_ and the base64 of 32 or 64 bytes')
  const der = Buffer.concat([PKCS8_HEAD, bytes.subarray(0, SEED_BYTES)])
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
}

/** What verifies the signatures of this private key, for whoever is to receive them. */
export function ed25519PublicKey(privateKey: string): string {
  const der = createPublicKey(ed25519PrivateKey(privateKey)).export({ format: 'der', type: 'spki' })
  return PUBLIC_PREFIX + der.subarray(-SEED_BYTES).toString('base64')
}
