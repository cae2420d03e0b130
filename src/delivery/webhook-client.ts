/**
 * Sends one webhook request and brings back what came of it. Invariant: no redirect is followed, nothing is
 * decompressed, and every connection comes from the Connector, which judges addresses.
 */
import type { TlsIdentity } from '../core/access.ts'
import type { ErrorClass, WebhookResponse } from '../core/attempt-outcome.ts'
import { type AddressPolicy, judgeUrl } from '../core/address-policy.ts'
import { AbortGroup } from './abort-group.ts'
import { ConnectionPools } from './connection-pools.ts'
import { Connector, type ConnectorOptions } from './connector.ts'
import { ResponseReader, type Wanted } from './response-reader.ts'

export interface OutgoingRequest {
  readonly url: string
  readonly method: 'POST' | 'PUT' | 'OPTIONS'
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface SendOptions {
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /** Who we are, and whom we trust; its connections serve nobody else. */
  readonly tls?: TlsIdentity | undefined
  readonly wanted?: Wanted
}

type Endpoint =
  | { readonly kind: 'ok'; readonly origin: string; readonly path: string }
  | { readonly kind: 'denied'; readonly error: ErrorClass }

const DEFAULT_CONNECT_TIMEOUT_MS = 5000
const MAX_KNOWN_ENDPOINTS = 4096

export class WebhookClient implements AsyncDisposable {
  readonly #policy: AddressPolicy
  readonly #connector: Connector
  readonly #pools: ConnectionPools
  readonly #endpoints = new Map<string, Endpoint>()
  readonly #abortGroups = new WeakMap<AbortSignal, AbortGroup>()

  constructor(options: Omit<ConnectorOptions, 'connectTimeoutMs'> & { connectTimeoutMs?: number }) {
    this.#policy = options.policy
    this.#connector = new Connector({ connectTimeoutMs: DEFAULT_CONNECT_TIMEOUT_MS, ...options })
    this.#pools = new ConnectionPools(this.#connector)
  }

  /**
   * Never rejects for what an endpoint or a network does; only, with `invalid_input`, for a header that cannot be
   * written. The promise settles within `timeoutMs`, or at once when `signal` aborts.
   */
  send(request: OutgoingRequest, options: SendOptions): Promise<WebhookResponse> {
    const endpoint = this.#endpoints.get(request.url) ?? this.#judge(request.url)
    if (endpoint.kind === 'denied') return Promise.resolve({ kind: 'failed', error: endpoint.error })
    const { signal } = options
    if (signal?.aborted === true) return Promise.resolve({ kind: 'failed', error: 'aborted' })
    const connections = this.#pools.for(options.tls)
    if (connections === undefined) return Promise.resolve({ kind: 'failed', error: 'tls' })
    const reader = new ResponseReader(
      {
        origin: endpoint.origin,
        path: endpoint.path,
        method: request.method,
        headers: wireHeaders(request.headers),
        body: request.body,
      },
      {
        timeoutMs: options.timeoutMs,
        resend: connections.resend,
        group: signal === undefined ? undefined : this.#abortGroup(signal),
        wanted: options.wanted,
      },
    )
    connections.agent.dispatch(reader.request, reader)
    return reader.response
  }

  /** Gives up what is under way (`aborted`) and closes every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#connector[Symbol.dispose]()
    await this.#pools[Symbol.asyncDispose]()
  }

  #judge(url: string): Endpoint {
    const judgement = judgeUrl(url, this.#policy)
    const endpoint: Endpoint =
      judgement.kind === 'denied'
        ? { kind: 'denied', error: judgement.error }
        : { kind: 'ok', origin: judgement.url.origin, path: judgement.url.pathname + judgement.url.search }
    // Forgetting all of them now and then is cheaper than knowing which was used last.
    if (this.#endpoints.size >= MAX_KNOWN_ENDPOINTS) this.#endpoints.clear()
    this.#endpoints.set(url, endpoint)
    return endpoint
  }

  #abortGroup(signal: AbortSignal): AbortGroup {
    const known = this.#abortGroups.get(signal)
    if (known !== undefined) return known
    const group = new AbortGroup(signal)
    this.#abortGroups.set(signal, group)
    return group
  }
}

/** Names and values in turn. The receiver is asked not to compress, since nothing is decompressed here. */
function wireHeaders(headers: OutgoingRequest['headers']): string[] {
  const list = ['accept-encoding', 'identity']
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined && name !== 'accept-encoding') list.push(name, value)
  }
  return list
}
