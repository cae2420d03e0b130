/**
 * Sends as the subscription says who we are: with its certificates, its credentials or a token that they buy, and, to an
 * endpoint that was asked for its consent, with the origin that it consented to.
 */
import type { Credentials } from '../core/access.ts'
import type { WebhookResponse } from '../core/attempt-outcome.ts'
import type { Subscription } from '../core/subscription.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { OutgoingRequest, SendOptions, WebhookClient } from './webhook-client.ts'

export interface AuthorizedClientPorts {
  readonly send: WebhookClient['send']
  readonly tokens: AccessTokens
  /** WALHOOK_ORIGIN. */
  readonly origin: string
  /** Milliseconds that only move forward. */
  now(): number
}

export type AuthorizedOptions = Pick<SendOptions, 'timeoutMs' | 'signal' | 'wanted'> & {
  readonly subscription: Subscription
}

type Authorization =
  | { readonly kind: 'none' }
  | { readonly kind: 'header'; readonly value: string; readonly token: string | undefined }
  | { readonly kind: 'failed'; readonly error: 'auth' | 'aborted' }

export class AuthorizedClient {
  readonly #ports: AuthorizedClientPorts

  constructor(ports: AuthorizedClientPorts) {
    this.#ports = ports
  }

  /** Settles within `timeoutMs`, of which getting a token may take a part; `auth` where there was none to be had. */
  send(request: OutgoingRequest, options: AuthorizedOptions): Promise<WebhookResponse> {
    const { access, consent } = options.subscription
    return access?.credentials === undefined && consent === 'not_needed'
      ? this.#ports.send(request, access?.tls === undefined ? options : { ...options, tls: access.tls })
      : this.#sendAuthorized(request, options)
  }

  async #sendAuthorized(request: OutgoingRequest, options: AuthorizedOptions): Promise<WebhookResponse> {
    const { subscription, timeoutMs, ...rest } = options
    const askedAt = this.#ports.now()
    const authorization = await this.#authorization(subscription)
    if (authorization.kind === 'failed') return authorization
    const leftMs = timeoutMs - (this.#ports.now() - askedAt)
    if (leftMs <= 0) return { kind: 'failed', error: 'auth' }
    const response = await this.#ports.send(this.#withHeaders(request, subscription, authorization), {
      ...rest,
      timeoutMs: leftMs,
      tls: subscription.access?.tls,
    })
    return authorization.kind === 'header' && authorization.token !== undefined
      ? this.#afterToken(authorization.token, response, subscription)
      : response
  }

  /**
   * A token that was refused is replaced. Where only what may pass is retried, a 401 is dead at once, and this one may pass: it
   * is told as what it is.
   */
  #afterToken(token: string, response: WebhookResponse, { id, retry }: Subscription): WebhookResponse {
    if (response.kind !== 'answered' || response.status !== 401) return response
    const isReplaced = this.#ports.tokens.drop(id, token)
    return isReplaced && retry.retryOn === 'transient' ? { kind: 'failed', error: 'auth' } : response
  }

  async #authorization(subscription: Subscription): Promise<Authorization> {
    const { access, id: subscriptionId, timeoutMs } = subscription
    const credentials: Credentials | undefined = access?.credentials
    if (credentials === undefined) return { kind: 'none' }
    if (credentials.kind === 'fixed')
      return { kind: 'header', value: credentials.authorization, token: undefined }
    const answer = await this.#ports.tokens.get({
      subscriptionId,
      client: credentials.client,
      tls: access?.tls,
      timeoutMs,
    })
    if (answer.kind === 'token')
      return { kind: 'header', value: `Bearer ${answer.token}`, token: answer.token }
    return { kind: 'failed', error: answer.fault === 'aborted' ? 'aborted' : 'auth' }
  }

  #withHeaders(
    request: OutgoingRequest,
    { consent }: Subscription,
    authorization: Authorization,
  ): OutgoingRequest {
    const ours: Record<string, string> = {
      ...(authorization.kind === 'header' && { authorization: authorization.value }),
      ...(consent === 'given' && { origin: this.#ports.origin }),
    }
    // One of the subscription's own beside it would make two, of which a server takes either.
    const others = Object.entries(request.headers).filter(([name]) => !(name.toLowerCase() in ours))
    return { ...request, headers: { ...Object.fromEntries(others), ...ours } }
  }
}
