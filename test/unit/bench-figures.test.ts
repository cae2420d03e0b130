/** How the benchmark comes from what it measured to what it says. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { latenciesOf, latenciesOverTime } from '../../bench/figures/latency.ts'
import { type Measurement, rateBetween } from '../../bench/figures/measurement.ts'
import { percentile, spreadOf } from '../../bench/figures/statistics.ts'
import { costOfDelivery, fitted } from '../../bench/model/cost.ts'
import { simulate } from '../../bench/model/simulation.ts'
import { rowsOf, spoken } from '../../bench/report/wording.ts'
import type { Results } from '../../bench/results.ts'
import { SUBSCRIPTIONS } from '../../bench/scenarios/fan-out.ts'
import { scenario } from '../../bench/scenario.ts'

describe('statistics', () => {
  test('half of the values lie on either side of the median, and all within the spread', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
        const { median, low, high } = spreadOf(values)
        expect(values.filter((value) => value < median).length).toBeLessThanOrEqual(values.length / 2)
        expect(values.filter((value) => value > median).length).toBeLessThanOrEqual(values.length / 2)
        expect([low, high]).toEqual([Math.min(...values), Math.max(...values)])
      }),
    )
  })

  test('a percentile is a value that so many do not exceed', () => {
    const hundred = Array.from({ length: 100 }, (_, n) => 100 - n)
    expect([0.5, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([50, 99, 100])
    expect(percentile([7], 0.99)).toBe(7)
    expect(percentile([], 0.99)).toBeNaN()
  })

  test('a rate between two shares is that of the time between them', () => {
    // Ten a second at first, then a hundred a second.
    const samples = [
      { second: 0, received: 0, walhookMiB: 1 },
      { second: 10, received: 100, walhookMiB: 1 },
      { second: 11, received: 200, walhookMiB: 1 },
    ]
    expect(rateBetween(samples, 0, 0.5)).toBeCloseTo(10)
    expect(rateBetween(samples, 0.5, 1)).toBeCloseTo(100)
    expect(rateBetween(samples, 0, 1)).toBeCloseTo(200 / 11)
  })

  test('latencies are those of what came, by the second in which it was committed', () => {
    const from = new Map([
      ['a', 1_000],
      ['b', 1_900],
      ['c', 2_100],
      ['lost', 2_200],
    ])
    const to = new Map([
      ['a', 1_004],
      ['b', 1_908],
      ['c', 2_101],
    ])
    expect(latenciesOf(from, to)).toEqual([4, 8, 1])
    expect(latenciesOverTime(from, to)).toEqual([
      { second: 0, p50: 4, p99: 8 },
      { second: 1, p50: 1, p99: 1 },
    ])
  })
})

describe('what is said', () => {
  const asked = scenario({
    name: 'asked',
    shows: 'what is asked',
    rounds: 3,
    figures: {
      ratio: { what: 'a ratio', unit: 'ratio', reach: { atLeast: 0.5 } },
      p99: { what: 'a latency', unit: 'ms', reach: { atMost: 25 } },
      absent: { what: 'what this server cannot show', unit: 'ms' },
    },
    round: () => Promise.reject(new Error('is not played')),
  })

  test('a figure is the median, with its spread, and whether it is what it should be', () => {
    const rounds = [
      { ratio: 0.4, p99: 12.34 },
      { ratio: 0.49, p99: 15.5 },
      { ratio: 0.6, p99: 90 },
    ]
    expect(rowsOf(asked, { name: 'asked', rounds, measurements: [] })).toEqual([
      { what: 'a ratio', value: '0.49', spread: '0.4 to 0.6', reach: '≥ 0.5', isReached: false },
      { what: 'a latency', value: '15.5 ms', spread: '12.3 to 90', reach: '≤ 25 ms', isReached: true },
    ])
  })

  test.for([
    [0, '0'],
    [0.07362, '0.0736'],
    [1.0078, '1.01'],
    [12_345.6, '12,300'],
    [999.6, '1,000'],
    [Number.NaN, '–'],
  ] as const)('%d is spoken %s', ([value, text]) => {
    expect(spoken(value)).toBe(text)
  })
})

describe('the model of cost', () => {
  const EVENT = { walhook: 0.03, postgres: 0.02, wal: 400 }
  const DELIVERY = { walhook: 0.05, postgres: 0.025, wal: 900 }
  const KILOBYTE = { walhook: 0.004, postgres: 0.002, wal: 10 }
  const model = fitted(resultsOf(EVENT, DELIVERY, KILOBYTE))

  test('finds the costs that a run was made of', () => {
    expect(model.event.walhookMs).toBeCloseTo(EVENT.walhook)
    expect(model.event.walBytes).toBeCloseTo(EVENT.wal)
    expect(model.delivery.postgresMs).toBeCloseTo(DELIVERY.postgres)
    expect(model.kilobyte.walhookMs).toBeCloseTo(KILOBYTE.walhook)
    expect(costOfDelivery(model, 4, 1_200).walhookMs).toBeCloseTo(0.03 / 4 + 0.05 + 0.004)
  })

  test('one sidecar carries what its thread can, and more of them what the cores can', () => {
    const site = { withReceiver: false, withApplication: false }
    const load = { deliveriesPerEvent: 1, waiting: 100_000, eventsPerSecond: 0 }
    expect(simulate(model, { ...site, cores: 64, sidecars: 1 }, load, 3_600).perSecond).toBeCloseTo(
      1_000 / 0.08,
      -2,
    )
    expect(simulate(model, { ...site, cores: 2, sidecars: 8 }, load, 3_600).perSecond).toBeCloseTo(
      2_000 / 0.125,
      -2,
    )
  })

  test('what comes faster than it can be carried never ends waiting', () => {
    const site = { cores: 2, sidecars: 1, withReceiver: false, withApplication: false }
    const load = { deliveriesPerEvent: 1, waiting: 1_000, eventsPerSecond: 20_000 }
    expect(simulate(model, site, load, 60)).toMatchObject({ seconds: undefined })
    expect(simulate(model, site, { ...load, eventsPerSecond: 2_000 }, 60).seconds).toBeDefined()
  })
})

type Unit = { readonly walhook: number; readonly postgres: number; readonly wal: number }

/** A run in which everything costs exactly so much. */
function resultsOf(event: Unit, delivery: Unit, kilobyte: Unit): Results {
  const one = (label: string, perEvent: number, kilobytes = 0): Measurement => {
    const total = (of: (unit: Unit) => number): number =>
      of(event) / perEvent + of(delivery) + kilobytes * of(kilobyte)
    return {
      label,
      seconds: 1,
      deliveries: 1,
      cpuMs: {
        walhook: total(({ walhook }) => walhook),
        postgres: total(({ postgres }) => postgres),
        application: 0,
        receiver: 0,
        bench: 0,
      },
      walBytes: total(({ wal }) => wal),
      walhookPeakMiB: 1,
      postgresPrivateMiB: 1,
      samples: [],
      latencies: [],
    }
  }
  const played = (name: string, ...measurements: Measurement[]): Results['scenarios'][number] => ({
    name,
    rounds: [],
    measurements: [measurements],
  })
  return {
    startedAt: '2026-01-01T00:00:00Z',
    command: 'npm run bench',
    machine: { cores: 2, model: 'a processor', memoryGiB: 8, node: '24' },
    postgres: { version: '18', description: 'a server', plugins: ['pgoutput'] },
    plugin: 'auto',
    scale: 1,
    besideOthers: false,
    scenarios: [
      played('drain', one('drain', 1)),
      played('fan-out', one('fan-out', SUBSCRIPTIONS)),
      played('payloads', one('200 B', 1), one('10 kB', 1, 9.8)),
      played('application-cost', one('without Walhook', 1)),
    ],
  }
}
