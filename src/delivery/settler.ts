/**
 * Outcomes on their way into the database: while one transaction is under way the next one fills. An outcome is kept
 * until it is recorded, however long the database is away, and what is kept is never attempted again by this process.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { SettledDelivery, Settlement } from '../store/settlement.ts'
import type { HeldDelivery } from './held-delivery.ts'

export interface Outcome {
  readonly settlement: Settlement
  readonly delivery: HeldDelivery
}

export interface SettlerPorts {
  /** One transaction; returns what was ours to settle. */
  settle(settlements: readonly Settlement[]): Promise<readonly SettledDelivery[]>
  /** Whether trying the same again can help. */
  isTransient(error: unknown): boolean
  /** `settled` is undefined where somebody else had taken over: nothing was recorded. */
  onSettled(outcome: Outcome, settled: SettledDelivery | undefined): void
  onError(error: unknown, outcomes: number): void
  /** Called when there is room again. */
  onDrained(): void
}

const BATCH = 500
/** Outcomes that may wait before no further attempt is started. */
const ENOUGH = 5_000
/** Tries for an outcome that is refused for what is in it; then it makes way for others. */
const TRIES_WHEN_REFUSED = 3
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2_000

export class Settler {
  readonly #ports: SettlerPorts
  #waiting: Outcome[] = []
  readonly #unsettled = new Set<string>()
  /** Accepted, refused by the database, and waiting for another try. */
  readonly #kept = new Set<Outcome>()
  #flushing: Promise<void> | undefined
  #isDraining = false
  #isGivenUp = false

  constructor(ports: SettlerPorts) {
    this.#ports = ports
  }

  /** Deliveries with an outcome that is not recorded yet. */
  get unsettled(): ReadonlySet<string> {
    return this.#unsettled
  }

  get isFull(): boolean {
    return this.#unsettled.size >= ENOUGH
  }

  record(settlement: Settlement, delivery: HeldDelivery): void {
    this.#waiting.push({ settlement, delivery })
    this.#unsettled.add(settlement.deliveryId)
    this.#flushing ??= this.#flush()
  }

  /** Resolves when everything is recorded, or once `giveUp` aborts: what is left then is attempted again after its lease. */
  async drain(giveUp: AbortSignal): Promise<void> {
    this.#isDraining = true
    giveUp.addEventListener('abort', () => (this.#isGivenUp = true), { once: true })
    this.#isGivenUp ||= giveUp.aborted
    await this.#flushing
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#isGivenUp) {
      const batch = this.#waiting.slice(0, BATCH)
      this.#waiting = this.#waiting.slice(BATCH)
      await this.#settleUntilRecorded(batch)
      const wasFull = this.isFull
      for (const outcome of batch)
        if (!this.#kept.has(outcome)) this.#unsettled.delete(outcome.settlement.deliveryId)
      if (wasFull && !this.isFull) this.#ports.onDrained()
    }
    this.#flushing = undefined
  }

  async #settleUntilRecorded(batch: readonly Outcome[]): Promise<void> {
    let refusals = 0
    for (let pauseMs = FIRST_PAUSE_MS; !this.#isGivenUp; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        const settled = await this.#ports.settle(batch.map(({ settlement }) => settlement))
        const byId = new Map(settled.map((delivery) => [delivery.id, delivery]))
        for (const outcome of batch) this.#ports.onSettled(outcome, byId.get(outcome.settlement.deliveryId))
        return
      } catch (error) {
        this.#ports.onError(error, batch.length)
        if (!this.#ports.isTransient(error)) {
          if (batch.length > 1) return this.#settleOneByOne(batch)
          refusals++
          if (refusals >= TRIES_WHEN_REFUSED) return this.#letGo(batch)
        }
        await sleep(pauseMs)
      }
    }
  }

  /** A failure is attempted again after its lease. What the endpoint accepted must not be: it is kept, and tried again. */
  #letGo(batch: readonly Outcome[]): void {
    for (const outcome of batch) {
      if (outcome.settlement.state !== 'delivered') continue
      this.#kept.add(outcome)
      setTimeout(() => {
        if (this.#isDraining) return
        this.#kept.delete(outcome)
        this.record(outcome.settlement, outcome.delivery)
      }, LONGEST_PAUSE_MS).unref()
    }
  }

  /** Something in one of them is refused: alone, the others go through. */
  async #settleOneByOne(batch: readonly Outcome[]): Promise<void> {
    for (const outcome of batch) await this.#settleUntilRecorded([outcome])
  }
}
