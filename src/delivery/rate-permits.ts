/**
 * Permission to make one more request of a subscription with a rate limit. The database keeps the count, so that all replicas
 * together keep the limit; each takes a fifth of a second's worth at a time, and asks for all of its subscriptions at once.
 */
import type { RateLimit } from '../core/subscription.ts'

export interface PermitWish {
  readonly subscriptionId: string
  readonly rate: RateLimit
  readonly want: number
}

export interface PermitGrant {
  readonly subscriptionId: string
  readonly granted: number
  /** Where none was granted: until the next one. */
  readonly againInMs: number
}

export interface RatePermitsPorts {
  reserve(wishes: readonly PermitWish[]): Promise<readonly PermitGrant[]>
  /** It is worth asking again for this subscription. */
  onChanged(subscriptionId: string): void
  onError(error: unknown): void
  /** Milliseconds that only move forward. */
  now(): number
}

interface Stock {
  permits: number
  /** What was not used by then is given up: after a pause it would come on top of what others use. */
  readonly validUntil: number
  /** There are none before. */
  readonly againAt: number
}

const SHARE_OF_SECOND = 0.2
const VALID_MS = 400
const AGAIN_AFTER_ERROR_MS = 1_000
/** An answer calls back by itself; this is for one that does not come. */
const ANSWER_WITHIN_MS = 5_000

export class RatePermits {
  readonly #ports: RatePermitsPorts
  readonly #stock = new Map<string, Stock>()
  #wishes = new Map<string, PermitWish>()
  #asking = new Set<string>()
  #isFlushing = false

  constructor(ports: RatePermitsPorts) {
    this.#ports = ports
  }

  /** Undefined: go. Else when to ask again, in milliseconds of `now()`. `waiting` requests would like to go. */
  take(subscriptionId: string, rate: RateLimit, waiting: number): number | undefined {
    const now = this.#ports.now()
    const stock = this.#stock.get(subscriptionId)
    if (stock !== undefined && stock.permits > 0 && now < stock.validUntil) {
      stock.permits--
      return undefined
    }
    if (stock !== undefined && now < stock.againAt) return stock.againAt
    if (!this.#asking.has(subscriptionId)) this.#ask({ subscriptionId, rate, want: wantOf(rate, waiting) })
    return now + ANSWER_WITHIN_MS
  }

  #ask(wish: PermitWish): void {
    this.#asking.add(wish.subscriptionId)
    this.#wishes.set(wish.subscriptionId, wish)
    if (this.#isFlushing) return
    this.#isFlushing = true
    void this.#flush()
  }

  async #flush(): Promise<void> {
    await Promise.resolve() // those who ask in this turn of the event loop share the statement
    while (this.#wishes.size > 0) {
      const wishes = [...this.#wishes.values()]
      this.#wishes = new Map()
      await this.#reserve(wishes)
    }
    this.#isFlushing = false
  }

  async #reserve(wishes: readonly PermitWish[]): Promise<void> {
    this.#forgetUnused()
    // A subscription that was deleted meanwhile has no grant: its deliveries are asked for again, and given back.
    for (const { subscriptionId } of wishes)
      this.#put(subscriptionId, { permits: 0, againInMs: AGAIN_AFTER_ERROR_MS })
    try {
      for (const { subscriptionId, granted, againInMs } of await this.#ports.reserve(wishes))
        this.#put(subscriptionId, { permits: granted, againInMs: granted > 0 ? 0 : againInMs })
    } catch (error) {
      this.#ports.onError(error)
    }
    for (const { subscriptionId } of wishes) this.#asking.delete(subscriptionId)
    for (const { subscriptionId } of wishes) this.#ports.onChanged(subscriptionId)
  }

  #put(subscriptionId: string, { permits, againInMs }: { permits: number; againInMs: number }): void {
    const now = this.#ports.now()
    this.#stock.set(subscriptionId, { permits, validUntil: now + VALID_MS, againAt: now + againInMs })
  }

  #forgetUnused(): void {
    const now = this.#ports.now()
    for (const [id, { validUntil, againAt }] of this.#stock)
      if (now >= validUntil && now >= againAt) this.#stock.delete(id)
  }
}

function wantOf({ perSecond, burst }: RateLimit, waiting: number): number {
  return Math.max(1, Math.min(waiting, burst, Math.ceil(perSecond * SHARE_OF_SECOND)))
}
