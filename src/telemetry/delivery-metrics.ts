/** What is counted of deliveries and their attempts. Labels are closed lists. */
import { ERROR_CLASSES } from '../core/attempt-outcome.ts'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** What an attempt's outcome is called; superseded where another process had taken over. */
export const ATTEMPT_OUTCOMES = ['delivered', 'pending', 'dead', 'superseded'] as const
export type CountedOutcome = (typeof ATTEMPT_OUTCOMES)[number]

export const DELIVERY_ENDS = ['delivered', 'dead', 'cancelled'] as const

/** How a pending delivery waits, as walhook.backlog tells them apart. */
export const WAITS = ['waiting', 'retry', 'delayed', 'behind_key', 'parked'] as const

/** From a commit to an attempt or a delivery: milliseconds where all is well, days where an endpoint is away. */
const LATENCY_SECONDS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400,
]

export class DeliveryMetrics {
  readonly #recorded: Counter
  readonly #spilled: Counter
  readonly #ended: Counter<'outcome'>
  readonly #attempts: Counter<'outcome' | 'error'>
  readonly #attemptSeconds: Histogram
  readonly #firstAttemptSeconds: Histogram
  readonly #deliveredSeconds: Histogram
  readonly #settled: Histogram
  readonly #backlog: Gauge<'waits_as'>
  readonly #oldest: Gauge
  readonly #jobs: Gauge

  constructor(registry: Registry) {
    const registers = [registry]
    this.#recorded = new Counter({
      name: 'walhook_deliveries_recorded_total',
      help: 'Deliveries made by the fan-out',
      registers,
    })
    this.#spilled = new Counter({
      name: 'walhook_deliveries_spilled_total',
      help: 'Deliveries that were due and did not go to the dispatcher from memory: it had no room, their subscription is not active, or they are ordered by key',
      registers,
    })
    this.#ended = new Counter({
      name: 'walhook_deliveries_ended_total',
      help: 'Deliveries that this process saw end, by outcome',
      labelNames: ['outcome'] as const,
      registers,
    })
    this.#attempts = new Counter({
      name: 'walhook_attempts_total',
      help: 'Attempts by outcome and error class',
      labelNames: ['outcome', 'error'] as const,
      registers,
    })
    this.#attemptSeconds = new Histogram({
      name: 'walhook_attempt_duration_seconds',
      help: 'How long attempts took',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    })
    this.#firstAttemptSeconds = new Histogram({
      name: 'walhook_commit_to_first_attempt_seconds',
      help: "From an event's commit to the first attempt of its delivery, by the two machines' clocks; from created_at where the event had waited in the database. Sent again, backfilled and delayed deliveries are left out",
      buckets: LATENCY_SECONDS,
      registers,
    })
    this.#deliveredSeconds = new Histogram({
      name: 'walhook_commit_to_delivered_seconds',
      help: 'From the same moment to when the delivery was recorded as delivered, however many attempts that took. The same are left out',
      buckets: LATENCY_SECONDS,
      registers,
    })
    this.#settled = new Histogram({
      name: 'walhook_settlement_outcomes',
      help: 'Outcomes recorded in one transaction',
      buckets: [1, 2, 5, 10, 25, 50, 100, 250, 500],
      registers,
    })
    this.#backlog = new Gauge({
      name: 'walhook_backlog_deliveries',
      help: 'Pending deliveries that no process holds, by what they wait for. Every process tells the same',
      labelNames: ['waits_as'] as const,
      registers,
    })
    this.#oldest = new Gauge({
      name: 'walhook_backlog_oldest_seconds',
      help: 'Age of the oldest pending delivery of an active subscription; 0 where there is none. Every process tells the same',
      registers,
    })
    this.#jobs = new Gauge({
      name: 'walhook_jobs_waiting',
      help: 'Retries and delayed deliveries whose jobs have not rung yet. Every process tells the same',
      registers,
    })
    for (const outcome of DELIVERY_ENDS) this.#ended.inc({ outcome }, 0)
  }

  recorded(deliveries: number, spilled: number): void {
    this.#recorded.inc(deliveries)
    this.#spilled.inc(spilled)
  }

  attempted(outcome: CountedOutcome, error: string | undefined, durationMs: number): void {
    this.#attempts.inc({ outcome, error: errorLabel(error) })
    this.#attemptSeconds.observe(durationMs / 1000)
    if (outcome === 'delivered' || outcome === 'dead') this.#ended.inc({ outcome })
  }

  firstAttempted(sinceCommitMs: number): void {
    this.#firstAttemptSeconds.observe(sinceCommitMs / 1000)
  }

  delivered(sinceCommitMs: number): void {
    this.#deliveredSeconds.observe(sinceCommitMs / 1000)
  }

  /** Without an attempt. */
  ended(outcome: 'dead' | 'cancelled', deliveries: number): void {
    this.#ended.inc({ outcome }, deliveries)
  }

  settled(outcomes: number): void {
    this.#settled.observe(outcomes)
  }

  backlog(
    waiting: Readonly<Record<(typeof WAITS)[number], number>>,
    oldestSeconds: number,
    jobs: number,
  ): void {
    for (const name of WAITS) this.#backlog.set({ waits_as: name }, waiting[name])
    this.#oldest.set(oldestSeconds)
    this.#jobs.set(jobs)
  }
}

/** Whatever may come one day, a label is one of a closed list. */
function errorLabel(error: string | undefined): string {
  if (error === undefined) return ''
  return ERROR_CLASSES.some((known) => known === error) ? error : 'other'
}
