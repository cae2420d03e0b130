/**
 * Keeps the counters that statistics are read from: adds up in memory what was recorded, and writes it every few seconds,
 * beside the settlements and never within them. A crash loses the last seconds of a counter, and of deliveries nothing.
 */
import { type CountedAttempt, DeliveryCounts } from './core/delivery-counts.ts'
import { Wake } from './lifecycle/wake.ts'
import type { Database } from './store/database.ts'
import { addCounts } from './store/delivery-counts.ts'
import type { Logger } from './telemetry/logger.ts'

const WRITE_EVERY_MS = 2_000
/** With thousands of busy subscriptions writing takes a while: then it is done more seldom. */
const MOST_SHARE_OF_TIME = 0.05
/** Rows for a statement. */
const AT_A_TIME = 500
/** Where they cannot be written, subscriptions times minutes: what is over that is not counted. */
const MOST_KEPT = 50_000

export class Counting {
  readonly #database: Database
  readonly #logger: Logger
  readonly #counts = new DeliveryCounts()

  constructor(database: Database, logger: Logger) {
    this.#database = database
    this.#logger = logger
  }

  attempted(attempt: CountedAttempt): void {
    this.#counts.addAttempt(attempt, Date.now())
  }

  /** Without an attempt. */
  ended(state: 'dead' | 'cancelled', deliveries: readonly { readonly subscriptionId: string }[]): void {
    for (const { subscriptionId } of deliveries) this.#counts.addEnded(subscriptionId, state, Date.now())
  }

  /** Runs until `signal` aborts; never rejects. What came after the last write is written by `flush`. */
  async run(signal: AbortSignal): Promise<void> {
    const pause = new Wake()
    while (!signal.aborted) {
      const startedAt = performance.now()
      await this.flush()
      const tookMs = performance.now() - startedAt
      await pause.sleep(Math.max(WRITE_EVERY_MS, tookMs / MOST_SHARE_OF_TIME), signal)
    }
  }

  /** Never rejects: what could not be written is kept for the next time. */
  async flush(): Promise<void> {
    const counts = this.#counts.take()
    for (let from = 0; from < counts.length; from += AT_A_TIME) {
      try {
        await addCounts(this.#database, counts.slice(from, from + AT_A_TIME))
      } catch (err) {
        const unwritten = counts.slice(from)
        if (this.#counts.size + unwritten.length <= MOST_KEPT) this.#counts.putBack(unwritten)
        this.#logger.warn({ err, counters: unwritten.length }, 'counters.unwritten')
        return
      }
    }
  }
}
