/**
 * What an event and a delivery cost, fitted to a run's measurements: CPU by process, and bytes of log. Two equations for
 * two unknowns: a drain of events with one delivery each, and of events with twenty.
 */
import type { Measurement } from '../figures/measurement.ts'
import { NoFigure } from '../figures/no-figure.ts'
import { spreadOf } from '../figures/statistics.ts'
import type { Results } from '../results.ts'
import { SUBSCRIPTIONS } from '../scenarios/fan-out.ts'
import { MIDDLE, SMALL } from '../scenarios/payloads.ts'

/** Milliseconds of CPU, and bytes of log, of one unit. */
export interface UnitCost {
  readonly walhookMs: number
  readonly postgresMs: number
  readonly walBytes: number
}

export interface CostModel {
  /** To read it off the log, to match it, and to record it. */
  readonly event: UnitCost
  /** To record it as owed, to send it, and to record its outcome. */
  readonly delivery: UnitCost
  /** For each kilobyte of payload beyond the first 200 bytes, a delivery; the event's part is in it. */
  readonly kilobyte: UnitCost
  /** Of the endpoint, where it shares the machine. */
  readonly receiverMs: number
  /** Of whoever reads the log lines of Walhook. */
  readonly logReaderMs: number
  /** Of the application's INSERT, where it shares the machine. */
  readonly insert: { readonly applicationMs: number; readonly postgresMs: number }
}

export function fitted(results: Results): CostModel {
  const single = unit(measured(results, 'drain', 'drain'))
  const fanned = unit(measured(results, 'fan-out', 'fan-out'))
  const delivery = combined(fanned, single, (many, one) => (SUBSCRIPTIONS * many - one) / (SUBSCRIPTIONS - 1))
  const small = unit(measured(results, 'payloads', SMALL.label))
  const middle = unit(measured(results, 'payloads', MIDDLE.label))
  const kilobytes = (MIDDLE.bytes - SMALL.bytes) / 1000
  const drained = measured(results, 'drain', 'drain')
  const alone = measured(results, 'application-cost', 'without Walhook')
  return {
    event: combined(single, delivery, (whole, part) => Math.max(0, whole - part)),
    delivery,
    kilobyte: combined(middle, small, (large, little) => Math.max(0, (large - little) / kilobytes)),
    receiverMs: drained.cpuMs.receiver,
    logReaderMs: drained.cpuMs.bench,
    insert: { applicationMs: alone.cpuMs.application, postgresMs: alone.cpuMs.postgres },
  }
}

/** What one delivery costs where an event has so many, of so many bytes. */
export function costOfDelivery(
  { event, delivery, kilobyte }: CostModel,
  perEvent: number,
  payloadBytes = SMALL.bytes,
): UnitCost {
  const kilobytes = Math.max(0, payloadBytes - SMALL.bytes) / 1000
  const total = (of: (cost: UnitCost) => number): number =>
    of(event) / perEvent + of(delivery) + kilobytes * of(kilobyte)
  return {
    walhookMs: total((cost) => cost.walhookMs),
    postgresMs: total((cost) => cost.postgresMs),
    walBytes: total((cost) => cost.walBytes),
  }
}

/** The median of a run's rounds. */
export function measured(
  results: Results,
  scenario: string,
  label: string,
): Pick<Measurement, 'cpuMs' | 'walBytes' | 'deliveries'> {
  const found = (results.scenarios.find(({ name }) => name === scenario)?.measurements ?? [])
    .flat()
    .filter((one) => one.label === label)
  const [first] = found
  if (first === undefined)
    throw new NoFigure(`the run holds no measurement of ${scenario}: ${label}; the model needs it`)
  const median = (of: (one: Measurement) => number): number => spreadOf(found.map(of)).median
  return {
    deliveries: first.deliveries,
    walBytes: median(({ walBytes }) => walBytes),
    cpuMs: {
      postgres: median(({ cpuMs }) => cpuMs.postgres),
      walhook: median(({ cpuMs }) => cpuMs.walhook),
      application: median(({ cpuMs }) => cpuMs.application),
      receiver: median(({ cpuMs }) => cpuMs.receiver),
      bench: median(({ cpuMs }) => cpuMs.bench),
    },
  }
}

/** The median of a figure over the rounds. */
export function figure(results: Results, scenario: string, name: string): number {
  const rounds = results.scenarios.find((one) => one.name === scenario)?.rounds ?? []
  const values = rounds.flatMap((round) => (round[name] === undefined ? [] : [round[name]]))
  if (values.length === 0)
    throw new NoFigure(`the run holds no figure ${name} of ${scenario}; the model is checked against it`)
  return spreadOf(values).median
}

function unit({ cpuMs, walBytes }: Pick<Measurement, 'cpuMs' | 'walBytes'>): UnitCost {
  return { walhookMs: cpuMs.walhook, postgresMs: cpuMs.postgres, walBytes }
}

function combined(a: UnitCost, b: UnitCost, combine: (a: number, b: number) => number): UnitCost {
  return {
    walhookMs: combine(a.walhookMs, b.walhookMs),
    postgresMs: combine(a.postgresMs, b.postgresMs),
    walBytes: combine(a.walBytes, b.walBytes),
  }
}
