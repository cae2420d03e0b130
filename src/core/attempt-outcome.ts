/**
 * What an attempt came to, told from what the wire gave. The error classes are a closed list: they stand in
 * `attempts.error`, in metrics labels and in people's scripts, so one is never renamed.
 */
export const ERROR_CLASSES = [
  'dns', // the name did not resolve
  'connect_refused',
  'connect_timeout',
  'connect_failed', // unreachable network or host, and what else stops a connection
  'tls', // handshake or certificate
  'proxy', // the operator's proxy could not be reached, or made no tunnel to the endpoint
  'auth', // no access token could be had for the request
  'timeout', // the attempt's deadline passed before a status arrived
  'reset', // the connection was closed before a status arrived
  'invalid_response', // not HTTP, or headers beyond the limit
  'response_too_large', // the status stands; the body was cut
  'response_incomplete', // the status stands; the body was too slow or broke off
  'address_denied', // the endpoint's address is one that must not be called
  'invalid_url', // the URL cannot be called at all
  'aborted_by_endpoint', // beside a status: it answered that it does not want this delivery again
  'aborted', // this process gave the attempt up while stopping; it is not counted
] as const

export type ErrorClass = (typeof ERROR_CLASSES)[number]

/** `disable`: no deliveries at all any more. `abort`: not this one again. */
export type EndpointWish = 'disable' | 'abort'

/** What the client brings back from one request. It never throws for what an endpoint or a network does. */
export type WebhookResponse =
  | {
      readonly kind: 'answered'
      readonly status: number
      /** The `Retry-After` header as it stood, if there was one. */
      readonly retryAfter: string | undefined
      /** What the header `webhook-delivery` asks for, whatever the status. */
      readonly asks?: EndpointWish | undefined
      /** The body's beginning as text, capped; U+0000 taken out, invalid UTF-8 replaced. */
      readonly body: string
      /** Set when the body was cut; it does not undo the status. */
      readonly bodyError?: 'response_too_large' | 'response_incomplete'
      /** Those that were asked for and came, by their names in lower case. */
      readonly headers?: Readonly<Record<string, string>>
    }
  | { readonly kind: 'failed'; readonly error: ErrorClass }

export type AttemptOutcome =
  | { readonly kind: 'delivered'; readonly status: number }
  | {
      readonly kind: 'rejected'
      readonly status: number
      readonly retryAfterMs: number | undefined
      /** The endpoint asked not to get this delivery again. */
      readonly isAborted?: true
    }
  | { readonly kind: 'gone'; readonly status: 410 }
  | { readonly kind: 'unreachable'; readonly error: ErrorClass }
  | { readonly kind: 'undeliverable'; readonly error: 'address_denied' | 'invalid_url' }

/** Status and headers decide; `now` is in milliseconds and serves `Retry-After` dates only. */
export function outcomeOf(response: WebhookResponse, now: number): AttemptOutcome {
  if (response.kind === 'failed') {
    return response.error === 'address_denied' || response.error === 'invalid_url'
      ? { kind: 'undeliverable', error: response.error }
      : { kind: 'unreachable', error: response.error }
  }
  const { status } = response
  if (status >= 200 && status < 300) return { kind: 'delivered', status }
  if (status === 410) return { kind: 'gone', status }
  const mayAskForTime = status === 429 || status === 503
  const retryAfterMs = mayAskForTime ? parseRetryAfter(response.retryAfter, now) : undefined
  return { kind: 'rejected', status, retryAfterMs, ...(response.asks === 'abort' && { isAborted: true }) }
}

/** The header `webhook-delivery`; anything else in it is as if it were absent. */
export function parseEndpointWish(header: string | undefined): EndpointWish | undefined {
  const wish = header?.trim().toLowerCase()
  return wish === 'disable' || wish === 'abort' ? wish : undefined
}

/**
 * `Retry-After` in milliseconds from `now`: delay-seconds or an HTTP date (RFC 9110 §10.2.3). A date in the past
 * is 0; anything unreadable is as if it were absent.
 */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined
  const text = header.trim()
  if (/^\d+$/.test(text)) return Number(text) * 1000
  // Date.parse accepts far more than HTTP dates ("5" is a year in some engines): ask for a weekday first.
  if (!/^[A-Za-z]{3,9},? /.test(text)) return undefined
  // asctime's form bears no zone and means GMT; Date.parse would take it for local time.
  const isAsctime = /^[A-Za-z]{3} [A-Za-z]{3} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/.test(text)
  const at = Date.parse(isAsctime ? `${text} GMT` : text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}
