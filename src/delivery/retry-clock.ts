/** Makes retries due when their jobs ring. A ring only says "now": who attempts it is the backlog's affair. */
import { Wake } from '../lifecycle/wake.ts'

export interface RetryClockPorts {
  /** One transaction: takes due jobs and makes their deliveries due. */
  ring(limit: number): Promise<{ readonly jobs: number; readonly subscriptionIds: readonly string[] }>
  onDue(subscriptionIds: readonly string[]): void
  onError(error: unknown): void
  /** Unix milliseconds. */
  clock(): number
}

/** How often the queue is asked, for jobs that other processes made. */
const ASK_EVERY_MS = 1_000
const BATCH = 500
/** A job's time is the database's, to the millisecond: ask a little late rather than a little early. */
const LATE_MS = 5

export class RetryClock {
  readonly #ports: RetryClockPorts
  readonly #wake = new Wake()
  /** The earliest retry that this process knows of, unix milliseconds. */
  #nextAt = Infinity

  constructor(ports: RetryClockPorts) {
    this.#ports = ports
  }

  /** A retry was recorded that is due then. */
  expect(dueAt: Date): void {
    if (dueAt.getTime() >= this.#nextAt) return
    this.#nextAt = dueAt.getTime()
    this.#wake.set()
  }

  /** Runs until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#nextAt <= this.#ports.clock()) this.#nextAt = Infinity
        const rung = await this.#ports.ring(BATCH)
        if (rung.subscriptionIds.length > 0) this.#ports.onDue(rung.subscriptionIds)
        if (rung.jobs === BATCH) continue
      } catch (error) {
        this.#ports.onError(error)
      }
      await this.#wake.sleep(this.#pauseMs(), signal)
    }
  }

  #pauseMs(): number {
    return Math.max(LATE_MS, Math.min(ASK_EVERY_MS, this.#nextAt - this.#ports.clock() + LATE_MS))
  }
}
