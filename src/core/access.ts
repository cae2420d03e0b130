/**
 * How a subscription proves who Walhook is: credentials and certificates as they stand, opened, in `auth` and `tls`. SQL has
 * checked their form; what it cannot judge is judged here. No fault quotes what it is found in.
 */
import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { z } from 'zod'

export interface Access {
  readonly credentials: Credentials | undefined
  readonly tls: TlsIdentity | undefined
}

export type Credentials =
  /** Ready to be sent. */
  | { readonly kind: 'fixed'; readonly authorization: string }
  | { readonly kind: 'oauth2'; readonly client: OAuthClient }

/** For the client credentials grant (RFC 6749 §4.4). */
export interface OAuthClient {
  readonly tokenUrl: string
  readonly id: string
  readonly secret: string
  /** How it names itself to the token server: HTTP basic authentication, or in the form. */
  readonly auth: 'basic' | 'post'
  readonly scope: string | undefined
  readonly audience: string | undefined
}

/** Who we are in a TLS handshake, and whom we trust beside the system's authorities. */
export interface TlsIdentity {
  /** The same for the same certificates and key, and for no others: a digest. */
  readonly id: string
  readonly ca: string | undefined
  readonly client: { readonly cert: string; readonly key: string } | undefined
}

/** Why certificates or credentials cannot be used. */
export type AccessFault =
  | 'malformed'
  | 'authority_unreadable'
  | 'certificate_unreadable'
  | 'key_unreadable'
  | 'key_of_another_certificate'
  | 'certificate_expired'

export type Read<T> =
  | { readonly kind: 'read'; readonly value: T }
  | { readonly kind: 'fault'; readonly fault: AccessFault }

const CREDENTIALS = z.discriminatedUnion('type', [
  z.object({ type: z.literal('basic'), username: z.string(), password: z.string() }),
  z.object({ type: z.literal('bearer'), token: z.string() }),
  z.object({
    type: z.literal('oauth2'),
    token_url: z.string(),
    client_id: z.string(),
    client_secret: z.string(),
    client_auth: z.enum(['basic', 'post']).default('basic'),
    scope: z.string().optional(),
    audience: z.string().optional(),
  }),
])

const CERTIFICATES = z
  .object({ ca: z.string().optional(), cert: z.string().optional(), key: z.string().optional() })
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined))

export function readCredentials(text: string): Read<Credentials> {
  const parsed = CREDENTIALS.safeParse(jsonOf(text))
  if (!parsed.success) return fault('malformed')
  const given = parsed.data
  switch (given.type) {
    case 'basic':
      return read({ kind: 'fixed', authorization: basic(given.username, given.password) })
    case 'bearer':
      return read({ kind: 'fixed', authorization: `Bearer ${given.token}` })
    case 'oauth2':
      return read({
        kind: 'oauth2',
        client: {
          tokenUrl: given.token_url,
          id: given.client_id,
          secret: given.client_secret,
          auth: given.client_auth,
          scope: given.scope,
          audience: given.audience,
        },
      })
  }
}

/** `now` is in unix milliseconds. */
export function readTlsIdentity(text: string, now: number): Read<TlsIdentity> {
  const parsed = CERTIFICATES.safeParse(jsonOf(text))
  if (!parsed.success) return fault('malformed')
  const { ca, cert, key } = parsed.data
  if (ca !== undefined && !certificatesIn(ca).every(isCertificate)) return fault('authority_unreadable')
  const client = cert === undefined || key === undefined ? undefined : { cert, key }
  const wrong = client === undefined ? undefined : faultOfClient(client, now)
  if (wrong !== undefined) return fault(wrong)
  const id = createHash('sha256')
    .update(JSON.stringify([ca, cert, key]))
    .digest('base64')
  return read({ id, ca, client })
}

/** RFC 7617, in UTF-8. */
export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** An endpoint would refuse all of these, without saying which. */
function faultOfClient(client: { cert: string; key: string }, now: number): AccessFault | undefined {
  // The first is the client's; what follows are the authorities between it and the root.
  const [leaf, ...chain] = certificatesIn(client.cert).map(certificateOf)
  if (leaf === undefined || chain.includes(undefined)) return 'certificate_unreadable'
  const key = keyOf(client.key)
  if (key === undefined) return 'key_unreadable'
  if (!leaf.checkPrivateKey(key)) return 'key_of_another_certificate'
  return Date.parse(leaf.validTo) < now ? 'certificate_expired' : undefined
}

function certificatesIn(pem: string): readonly string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? ['']
}

function isCertificate(pem: string): boolean {
  return certificateOf(pem) !== undefined
}

function certificateOf(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    // OpenSSL has one answer for all that is no certificate.
    return undefined
  }
}

function keyOf(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    // The same.
    return undefined
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Its message quotes the text.
    return undefined
  }
}

function read<T>(value: T): Read<T> {
  return { kind: 'read', value }
}

function fault(of: AccessFault): { readonly kind: 'fault'; readonly fault: AccessFault } {
  return { kind: 'fault', fault: of }
}
