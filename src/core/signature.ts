/**
 * How requests are signed: an entry for each scheme. A new one is an entry here, and what SQL refuses has to know it: its name
 * in walhook.check_signature, its header in walhook.own_header_names.
 *
 * Every scheme of a request signs the very bytes of its body. Keys are prepared when a subscription is read and not at
 * each signature: 1.4 µs instead of 8 for a small body.
 */
import { createHmac, createSecretKey, type KeyObject, sign as signBytes } from 'node:crypto'
import { ed25519PrivateKey } from './ed25519-key.ts'
import type { HeaderNames } from './header-names.ts'

/** What is signed, of one attempt. */
export interface Message {
  /** The `webhook-id`. */
  readonly id: string
  /** This attempt's unix seconds. */
  readonly timestamp: number
  readonly body: Buffer
}

/** A header that is a signature. */
export interface Signer {
  readonly header: string
  readonly sign: Sign
}

type Sign = (message: Message) => string

/** In the clear. */
export interface SigningKeys {
  /** Those that are live, the newest first: one, or two while a rotation lasts. */
  readonly secrets: readonly string[]
  readonly ed25519Key: string | undefined
}

export interface SigningWish {
  readonly schemes: readonly SignatureScheme[]
  /** Where a hex signature stands; undefined for the default. */
  readonly hexHeader: string | undefined
  readonly names: HeaderNames
}

interface Scheme {
  readonly signsWith: 'secrets' | 'ed25519Key'
  /** Schemes with the same header share it, with a space between their signatures. */
  header(wish: SigningWish): string
  prepare(keys: SigningKeys): Sign
}

const DEFAULT_HEX_HEADER = 'X-Webhook-Signature'
const SECRET_PREFIX = 'whsec_'

const SCHEMES = {
  /** https://www.standardwebhooks.com, symmetric: one signature a live secret. */
  standard: {
    signsWith: 'secrets',
    header: ({ names }) => names.signature,
    prepare: ({ secrets }) => {
      const keys = secrets.map(decodedKey)
      return (message) =>
        keys.map((key) => `v1,${hmac(key, timed(message), message).digest('base64')}`).join(' ')
    },
  },
  /** The same with a key pair: whoever verifies cannot sign. */
  'standard-ed25519': {
    signsWith: 'ed25519Key',
    header: ({ names }) => names.signature,
    prepare: ({ ed25519Key }) => {
      if (ed25519Key === undefined) throw new TypeError('standard-ed25519 needs a key')
      const key = ed25519PrivateKey(ed25519Key)
      return (message) => {
        const signed = Buffer.concat([Buffer.from(timed(message)), message.body])
        return `v1a,${signBytes(null, signed, key).toString('base64')}`
      }
    },
  },
  /** https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries: of one secret, the body alone. */
  github: {
    signsWith: 'secrets',
    header: () => 'X-Hub-Signature-256',
    prepare: ({ secrets }) => {
      const key = textKey(newest(secrets))
      return (message) => `sha256=${hmac(key, '', message).digest('hex')}`
    },
  },
  /** https://docs.stripe.com/webhooks#verify-manually: one `v1` a live secret. */
  stripe: {
    signsWith: 'secrets',
    header: () => 'Stripe-Signature',
    prepare: ({ secrets }) => {
      const keys = secrets.map(textKey)
      return (message) => {
        const signatures = keys.map((key) => hmac(key, `${message.timestamp}.`, message).digest('hex'))
        return [`t=${message.timestamp}`, ...signatures.map((hex) => `v1=${hex}`)].join(',')
      }
    },
  },
  /** What GitHub does, without its prefix, in a header of one's own. */
  hex: {
    signsWith: 'secrets',
    header: ({ hexHeader }) => hexHeader ?? DEFAULT_HEX_HEADER,
    prepare: ({ secrets }) => {
      const key = textKey(newest(secrets))
      return (message) => hmac(key, '', message).digest('hex')
    },
  },
} as const satisfies Record<string, Scheme>

export type SignatureScheme = keyof typeof SCHEMES | 'none'

export const SIGNATURE_SCHEMES: readonly SignatureScheme[] = [
  ...(Object.keys(SCHEMES) as (keyof typeof SCHEMES)[]),
  'none',
]

/** Whether one of the schemes signs with it. */
export function needsKey(schemes: readonly SignatureScheme[], key: Scheme['signsWith']): boolean {
  return schemes.some((name) => name !== 'none' && SCHEMES[name].signsWith === key)
}

/** The headers that sign a request, each once. */
export function signers(wish: SigningWish, keys: SigningKeys): readonly Signer[] {
  const byHeader = new Map<string, Sign[]>()
  for (const name of wish.schemes) {
    if (name === 'none') continue
    const scheme: Scheme = SCHEMES[name]
    const header = scheme.header(wish)
    byHeader.set(header, [...(byHeader.get(header) ?? []), scheme.prepare(keys)])
  }
  return [...byHeader].map(([header, signs]) => ({ header, sign: together(signs) }))
}

function together(signs: readonly Sign[]): Sign {
  const [only, ...others] = signs
  if (only !== undefined && others.length === 0) return only
  return (message) => signs.map((sign) => sign(message)).join(' ')
}

/** The bytes behind the prefix, not their base64 text. */
function decodedKey(secret: string): KeyObject {
  if (!secret.startsWith(SECRET_PREFIX)) throw new TypeError('a Standard Webhooks secret begins with whsec_')
  return createSecretKey(secret.slice(SECRET_PREFIX.length), 'base64')
}

/** The whole text, a `whsec_` too: so do GitHub, Stripe and whoever hands his secret to an HMAC as it is. */
function textKey(secret: string): KeyObject {
  return createSecretKey(secret, 'utf8')
}

function newest(secrets: readonly string[]): string {
  const [secret] = secrets
  if (secret === undefined) throw new TypeError('there is no secret to sign with')
  return secret
}

function timed({ id, timestamp }: Message): string {
  return `${id}.${timestamp}.`
}

function hmac(key: KeyObject, before: string, { body }: Message): ReturnType<typeof createHmac> {
  return createHmac('sha256', key).update(before).update(body)
}
