/** Everything that is counted. Labels are closed lists: no URL, no tenant, no event type that an application invents. */
import { DISABLE_REASONS, type DisableReason } from '../core/endpoint-health.ts'
import { MISFITS } from '../core/event-type.ts'
import { SLOT_STATES, type SlotReading } from '../core/slot-health.ts'
import { type Gap, GAPS } from '../core/slot-plan.ts'
import { Counter, Gauge, Registry } from 'prom-client'
import { DeliveryMetrics } from './delivery-metrics.ts'
import { ProcessMetrics } from './process-metrics.ts'

export interface Gauges {
  readonly inFlight: () => number
  readonly waitingInMemory: () => number
  readonly openCircuits: () => number
  readonly unrecordedOutcomes: () => number
}

export class Metrics {
  readonly #registry = new Registry()
  readonly deliveries = new DeliveryMetrics(this.#registry)
  readonly process: ProcessMetrics
  readonly #events = this.#counter('walhook_events_relayed_total', 'Events recorded by the relay')
  readonly #malformed = this.#counter(
    'walhook_malformed_rows_total',
    'Rows of the outbox that could not be events',
  )
  readonly #misfits = new Counter({
    name: 'walhook_event_type_misfits_total',
    help: 'Events that the catalog of event types does not know or whose payload does not fit, by reason',
    labelNames: ['reason'] as const,
    registers: [this.#registry],
  })
  readonly #slotState = new Gauge({
    name: 'walhook_slot_state',
    help: '1 for the state that the slot is in',
    labelNames: ['state'] as const,
    registers: [this.#registry],
  })
  readonly #retained = this.#plainGauge(
    'walhook_slot_retained_wal_bytes',
    'Log that Postgres keeps for the slot',
  )
  readonly #unconfirmed = this.#plainGauge(
    'walhook_slot_unconfirmed_wal_bytes',
    'Log that has not been confirmed',
  )
  readonly #safe = this.#plainGauge(
    'walhook_slot_safe_wal_bytes',
    'Log that may be written before the slot is lost',
  )
  readonly #untilLost = this.#plainGauge(
    'walhook_slot_seconds_until_lost',
    'Time until the slot is lost, if nothing more is read',
  )
  readonly #recovered = new Counter({
    name: 'walhook_events_recovered_total',
    help: 'Events found in the outbox that the log had not brought, by the reason for looking',
    labelNames: ['reason'] as const,
    registers: [this.#registry],
  })
  readonly #delaysIgnored = this.#counter(
    'walhook_delays_ignored_total',
    'Events whose deliver_after could not be understood, and that were not delayed',
  )
  readonly #expired = this.#counter(
    'walhook_deliveries_expired_total',
    'Deliveries cancelled because their events were older than the ttl',
  )
  readonly #disabled = new Counter({
    name: 'walhook_subscriptions_disabled_total',
    help: 'Subscriptions disabled, by the reason',
    labelNames: ['reason'] as const,
    registers: [this.#registry],
  })
  readonly #jobsLost = this.#counter(
    'walhook_jobs_lost_total',
    'Retries taken a minute after they were due, since their jobs had not rung',
  )
  readonly #commitLag = this.#plainGauge(
    'walhook_relay_lag_seconds',
    'Age of the newest recorded event at the time it was recorded, since its commit',
  )
  readonly #isStreaming = this.#plainGauge('walhook_relay_streaming', '1 while this process streams the slot')
  readonly #interruptions = this.#counter(
    'walhook_relay_interruptions_total',
    'Times that the replication stream ended',
  )

  readonly #tableBytes = new Gauge({
    name: 'walhook_table_bytes',
    help: 'What a table takes on disk, with its indexes',
    labelNames: ['table'] as const,
    registers: [this.#registry],
  })

  /** `version` of Walhook. */
  constructor(version: string) {
    this.process = new ProcessMetrics(this.#registry, version)
    for (const reason of MISFITS) this.#misfits.inc({ reason }, 0)
    for (const reason of DISABLE_REASONS) this.#disabled.inc({ reason }, 0)
    for (const reason of [...GAPS, 'audit'] as const) this.#recovered.inc({ reason }, 0)
  }

  /** What there is no figure for is infinite: there is no limit, or no growth. */
  slot(reading: SlotReading, secondsUntilLost: number | undefined): void {
    for (const state of SLOT_STATES) this.#slotState.set({ state }, state === reading.state ? 1 : 0)
    this.#retained.set(reading.retainedBytes ?? 0)
    this.#unconfirmed.set(reading.unconfirmedBytes ?? 0)
    this.#safe.set(reading.safeBytes ?? Infinity)
    this.#untilLost.set(secondsUntilLost ?? Infinity)
  }

  /** `table` is one of ours, of which there are a dozen. */
  tableBytes(table: string, bytes: number): void {
    this.#tableBytes.set({ table }, bytes)
  }

  observe(gauges: Gauges): void {
    this.#gauge('walhook_attempts_in_flight', 'Attempts under way', gauges.inFlight)
    this.#gauge('walhook_deliveries_in_memory', 'Deliveries that wait in memory', gauges.waitingInMemory)
    this.#gauge('walhook_circuits_open', 'Endpoints that are left alone but for probes', gauges.openCircuits)
    this.#gauge(
      'walhook_outcomes_unrecorded',
      'Outcomes on their way into the database',
      gauges.unrecordedOutcomes,
    )
  }

  recorded(events: number, lagSeconds: number | undefined): void {
    this.#events.inc(events)
    if (lagSeconds !== undefined) this.#commitLag.set(lagSeconds)
  }

  recovered(reason: Gap | 'audit', events: number): void {
    this.#recovered.inc({ reason }, events)
  }

  jobsLost(count: number): void {
    this.#jobsLost.inc(count)
  }

  delayIgnored(): void {
    this.#delaysIgnored.inc()
  }

  expired(deliveries: number): void {
    this.#expired.inc(deliveries)
    this.deliveries.ended('cancelled', deliveries)
  }

  disabled(reason: DisableReason): void {
    this.#disabled.inc({ reason })
  }

  malformed(): void {
    this.#malformed.inc()
  }

  misfit(reason: (typeof MISFITS)[number]): void {
    this.#misfits.inc({ reason })
  }

  streaming(isStreaming: boolean): void {
    this.#isStreaming.set(isStreaming ? 1 : 0)
  }

  interrupted(): void {
    this.#interruptions.inc()
  }

  /** Prometheus's text format. */
  async text(): Promise<string> {
    return this.#registry.metrics()
  }

  #counter(name: string, help: string): Counter {
    return new Counter({ name, help, registers: [this.#registry] })
  }

  #plainGauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers: [this.#registry] })
  }

  #gauge(name: string, help: string, read: () => number): void {
    const registers = [this.#registry]
    // oxlint-disable-next-line no-new -- the registry keeps it
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  }
}
