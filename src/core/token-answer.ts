/**
 * The OAuth2 client credentials grant (RFC 6749 §4.4): what a token server is asked, and what its answer holds. No fault quotes
 * the answer: it may hold a token where none belongs.
 */
import { z } from 'zod'
import { basic, type OAuthClient } from './access.ts'
import type { ErrorClass, WebhookResponse } from './attempt-outcome.ts'

export interface TokenRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export type TokenAnswer =
  | { readonly kind: 'token'; readonly token: string; readonly lifetimeMs: number }
  | { readonly kind: 'none'; readonly fault: TokenFault }

export type TokenFault =
  | ErrorClass
  /** A status that is no 2xx. */
  | `status_${number}`
  /** What the server itself says that is wrong (RFC 6749 §5.2). */
  | (typeof SERVER_ERRORS)[number]
  | 'no_token'
  | 'no_bearer_token'

const SERVER_ERRORS = [
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
] as const

/** More than most servers take in a header. */
const LONGEST_TOKEN = 16_384
/** Where the server does not say. */
const DEFAULT_LIFETIME_MS = 300_000
const LONGEST_LIFETIME_MS = 86_400_000

const TOKEN = z.object({
  access_token: z
    .string()
    .max(LONGEST_TOKEN)
    .regex(/^[\x21-\x7e]+$/),
  token_type: z.string().optional(),
  // A number by the standard; some write it as text.
  expires_in: z
    .union([
      z.number().nonnegative(),
      z
        .string()
        .regex(/^\d{1,9}$/)
        .transform(Number),
    ])
    .optional()
    .catch(undefined),
})

const REFUSAL = z.object({ error: z.enum(SERVER_ERRORS) })

export function tokenRequest(client: OAuthClient, userAgent: string): TokenRequest {
  const form = new URLSearchParams({ grant_type: 'client_credentials' })
  if (client.scope !== undefined) form.set('scope', client.scope)
  if (client.audience !== undefined) form.set('audience', client.audience)
  if (client.auth === 'post') {
    form.set('client_id', client.id)
    form.set('client_secret', client.secret)
  }
  return {
    url: client.tokenUrl,
    headers: {
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      'user-agent': userAgent,
      // Form-encoded before it is base64, says §2.3.1.
      ...(client.auth === 'basic' && {
        authorization: basic(formEncoded(client.id), formEncoded(client.secret)),
      }),
    },
    body: Buffer.from(form.toString()),
  }
}

export function readTokenAnswer(response: WebhookResponse): TokenAnswer {
  if (response.kind === 'failed') return none(response.error)
  const answer = jsonOf(response.body)
  if (response.status < 200 || response.status > 299) {
    const refusal = REFUSAL.safeParse(answer)
    return none(refusal.success ? refusal.data.error : `status_${response.status}`)
  }
  const parsed = TOKEN.safeParse(answer)
  if (!parsed.success) return none(response.bodyError ?? 'no_token')
  const { access_token: token, token_type: type = 'bearer', expires_in: seconds } = parsed.data
  if (type.toLowerCase() !== 'bearer') return none('no_bearer_token')
  const lifetimeMs = seconds === undefined ? DEFAULT_LIFETIME_MS : seconds * 1000
  return { kind: 'token', token, lifetimeMs: Math.min(lifetimeMs, LONGEST_LIFETIME_MS) }
}

function none(fault: TokenFault): TokenAnswer {
  return { kind: 'none', fault }
}

function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Its message quotes the text.
    return undefined
  }
}
