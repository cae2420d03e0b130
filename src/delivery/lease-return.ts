/** Leases on their way back, collected: a stop or an open circuit gives back thousands at once. */
import type { HeldDelivery } from './held-delivery.ts'

export interface LeaseReturnPorts {
  /** Fenced by the lease: one that somebody else has taken since is left alone. */
  release(deliveries: readonly HeldDelivery[]): Promise<void>
  /** These subscriptions have deliveries waiting in the database now. */
  onReturned(subscriptionIds: ReadonlySet<string>): void
  onError(error: unknown): void
}

const BATCH = 1_000

export class LeaseReturn {
  readonly #ports: LeaseReturnPorts
  #waiting: HeldDelivery[] = []
  #flushing: Promise<void> | undefined

  constructor(ports: LeaseReturnPorts) {
    this.#ports = ports
  }

  giveBack(deliveries: readonly HeldDelivery[]): void {
    if (deliveries.length === 0) return
    this.#waiting.push(...deliveries)
    this.#flushing ??= this.#flush()
  }

  async drain(): Promise<void> {
    await this.#flushing
  }

  async #flush(): Promise<void> {
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, BATCH)
      this.#waiting = this.#waiting.slice(BATCH)
      try {
        await this.#ports.release(batch)
        this.#ports.onReturned(new Set(batch.map((delivery) => delivery.subscriptionId)))
      } catch (error) {
        // Not returned is not lost: the lease lapses by itself.
        this.#ports.onError(error)
      }
    }
    this.#flushing = undefined
  }
}
