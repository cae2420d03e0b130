/**
 * Access tokens of subscriptions with OAuth2 client credentials: fetched when they are needed, one fetch at a time for each
 * subscription, kept until they are about to expire, and fetched anew before that. Invariant: a token goes to nobody but the
 * endpoint of the subscription whose credentials bought it, and into no log.
 */
import type { OAuthClient, TlsIdentity } from '../core/access.ts'
import { readTokenAnswer, type TokenAnswer, type TokenFault, tokenRequest } from '../core/token-answer.ts'
import type { WebhookClient } from './webhook-client.ts'

export interface AccessTokenPorts {
  readonly send: WebhookClient['send']
  /** No token could be had. Told once for each time that a server was asked. */
  onFault(subscriptionId: string, fault: TokenFault): void
  readonly userAgent: string
  /** Aborts what is under way. */
  readonly signal: AbortSignal
  /** Milliseconds that only move forward. */
  now(): number
}

/** Whose token is wanted. */
export interface TokenWish {
  readonly subscriptionId: string
  readonly client: OAuthClient
  /** For the token server as for the endpoint: who has certificates of his own has them on both. */
  readonly tls: TlsIdentity | undefined
  readonly timeoutMs: number
}

interface Entry {
  /** Of the whole wish: what changed is fetched anew. */
  readonly wish: string
  token: string | undefined
  /** From then on it is fetched anew, and from then on it is not used any more. */
  refreshAt: number
  expiresAt: number
  fetching: Promise<TokenAnswer> | undefined
  /** After a fault: the server is left alone until then. */
  fault: { readonly answer: TokenAnswer; readonly until: number } | undefined
  /** When the endpoint's 401 may drop a token again. */
  mayDropAt: number
}

const MAX_ENTRIES = 2_048
const MAX_ANSWER_BYTES = 65_536
/** For clocks that differ, and for requests under way. */
const LONGEST_MARGIN_MS = 30_000
const PAUSE_AFTER_FAULT_MS = 1_000
/** An endpoint that refuses every token must not make us fetch one for each request. */
const DROP_EVERY_MS = 60_000

export class AccessTokens {
  readonly #ports: AccessTokenPorts
  /** The one that was used longest ago comes first. */
  readonly #entries = new Map<string, Entry>()

  constructor(ports: AccessTokenPorts) {
    this.#ports = ports
  }

  /** Settles within the wish's timeout. */
  async get(wish: TokenWish): Promise<TokenAnswer> {
    const entry = this.#entry(wish)
    const now = this.#ports.now()
    if (entry.token === undefined || now >= entry.expiresAt) {
      if (entry.fault !== undefined && now < entry.fault.until) return entry.fault.answer
      return this.#fetch(entry, wish)
    }
    if (now >= entry.refreshAt && (entry.fault === undefined || now >= entry.fault.until))
      void this.#fetch(entry, wish)
    return { kind: 'token', token: entry.token, lifetimeMs: entry.expiresAt - now }
  }

  /** The endpoint answered 401 to it. Returns whether the next attempt comes with another. */
  drop(subscriptionId: string, token: string): boolean {
    const entry = this.#entries.get(subscriptionId)
    const now = this.#ports.now()
    if (entry === undefined || entry.token !== token) return true
    if (now < entry.mayDropAt) return false
    entry.token = undefined
    entry.mayDropAt = now + DROP_EVERY_MS
    return true
  }

  #entry(wish: TokenWish): Entry {
    const { subscriptionId, client, tls, timeoutMs } = wish
    const text = JSON.stringify([client, tls?.id, timeoutMs])
    const known = this.#entries.get(subscriptionId)
    const entry = known?.wish === text ? known : newEntry(text)
    this.#entries.delete(subscriptionId)
    this.#entries.set(subscriptionId, entry)
    if (this.#entries.size > MAX_ENTRIES) {
      const [oldest = subscriptionId] = this.#entries.keys()
      this.#entries.delete(oldest)
    }
    return entry
  }

  #fetch(entry: Entry, wish: TokenWish): Promise<TokenAnswer> {
    entry.fetching ??= this.#ask(entry, wish).finally(() => (entry.fetching = undefined))
    return entry.fetching
  }

  async #ask(entry: Entry, { subscriptionId, client, tls, timeoutMs }: TokenWish): Promise<TokenAnswer> {
    const { send, userAgent, signal } = this.#ports
    const askedAt = this.#ports.now()
    const response = await send(
      { method: 'POST', ...tokenRequest(client, userAgent) },
      { timeoutMs, signal, tls, wanted: { bodyBytes: MAX_ANSWER_BYTES } },
    )
    const answer = readTokenAnswer(response)
    if (answer.kind === 'token') {
      // Counted from the question: the server may have made it as soon as that.
      const marginMs = Math.min(answer.lifetimeMs / 10, LONGEST_MARGIN_MS)
      entry.token = answer.token
      entry.expiresAt = askedAt + answer.lifetimeMs - marginMs
      entry.refreshAt = entry.expiresAt - marginMs
      entry.fault = undefined
    } else if (answer.fault !== 'aborted') {
      entry.fault = { answer, until: this.#ports.now() + PAUSE_AFTER_FAULT_MS }
      this.#ports.onFault(subscriptionId, answer.fault)
    }
    return answer
  }
}

function newEntry(wish: string): Entry {
  return {
    wish,
    token: undefined,
    refreshAt: 0,
    expiresAt: 0,
    fetching: undefined,
    fault: undefined,
    mayDropAt: 0,
  }
}
