/** The model as the tables of `docs/scaling.md`: what it is fitted to, how it holds against what was measured, and what it says of other sites. */
import { markdownTable } from '../report/table.ts'
import { spoken } from '../report/wording.ts'
import type { Results } from '../results.ts'
import { SUBSCRIPTIONS } from '../scenarios/fan-out.ts'
import { MIDDLE } from '../scenarios/payloads.ts'
import { type CostModel, costOfDelivery, figure, fitted } from './cost.ts'
import { type Load, simulate, type Site } from './simulation.ts'

export interface Reports {
  readonly costs: string
  readonly check: string
  readonly sites: string
}

export function modelReports(results: Results): Reports {
  const model = fitted(results)
  return { costs: costTable(model), check: checkTable(model, results), sites: siteTable(model) }
}

function costTable({ event, delivery, kilobyte, receiverMs, insert }: CostModel): string {
  const row = (name: string, { walhookMs, postgresMs, walBytes }: CostModel['event']): string[] => [
    name,
    spoken(walhookMs * 1000),
    spoken(postgresMs * 1000),
    spoken(walBytes),
  ]
  return table(
    ['', 'Walhook, µs', 'Postgres, µs', 'log, bytes'],
    [
      row('an event', event),
      row('a delivery', delivery),
      row('a kilobyte of payload beyond the first 200 bytes, a delivery', kilobyte),
      ["the application's INSERT", '', spoken(insert.postgresMs * 1000), ''],
      ['the endpoint, a request', `(its own ${spoken(receiverMs * 1000)})`, '', ''],
    ],
  )
}

interface Point {
  readonly what: string
  readonly measured: number
  readonly sidecars?: number
  readonly load: Partial<Load>
}

function checkTable(model: CostModel, results: Results): string {
  const points: Point[] = [
    { what: 'drain, one subscription', measured: figure(results, 'drain', 'deliveries'), load: {} },
    {
      what: `fan-out, ${SUBSCRIPTIONS} subscriptions`,
      measured: figure(results, 'fan-out', 'deliveries'),
      load: { deliveriesPerEvent: SUBSCRIPTIONS },
    },
    {
      what: `payloads of ${MIDDLE.label}`,
      measured: figure(results, 'payloads', 'middle'),
      load: { payloadBytes: MIDDLE.bytes },
    },
    { what: 'backlog of 1,000,000', measured: figure(results, 'backlog', 'deliveries'), load: {} },
    { what: 'after the outage', measured: figure(results, 'outage', 'recovery'), load: {} },
    { what: 'two replicas', measured: figure(results, 'replicas', 'two'), sidecars: 2, load: {} },
    { what: 'four replicas', measured: figure(results, 'replicas', 'four'), sidecars: 4, load: {} },
  ]
  const rows = points.map(({ what, measured, sidecars = 1, load }) => {
    const site = { cores: results.machine.cores, sidecars, withReceiver: true, withApplication: true }
    const whole = { deliveriesPerEvent: 1, waiting: 100_000, eventsPerSecond: 0, ...load }
    const simulated = simulate(model, site, whole, 3_600).perSecond
    return [what, `${spoken(measured)}/s`, `${spoken(simulated)}/s`, spoken(simulated / measured)]
  })
  return table(['', 'measured', 'simulated', 'simulated, of measured'], rows)
}

/** Of the cores, what may be used in a busy hour: queues grow long before all is. */
const BUSY = 0.7
const HOUR = 3_600

function siteTable(model: CostModel): string {
  const sites: (Site & { readonly name: string })[] = [
    { name: '2 cores for both', cores: 2, sidecars: 1, withReceiver: false, withApplication: false },
    { name: '4 cores, one sidecar', cores: 4, sidecars: 1, withReceiver: false, withApplication: false },
    { name: '8 cores, two sidecars', cores: 8, sidecars: 2, withReceiver: false, withApplication: false },
    { name: '16 cores, four sidecars', cores: 16, sidecars: 4, withReceiver: false, withApplication: false },
  ]
  const rows = sites.flatMap((site) =>
    [1, 5].map((deliveriesPerEvent) => {
      const flat = { deliveriesPerEvent, waiting: 1_000_000, eventsPerSecond: 0 }
      const most = simulate(model, site, flat, HOUR).perSecond
      const sustained = most * BUSY
      const { walBytes } = costOfDelivery(model, deliveriesPerEvent)
      // Ten minutes of it, with every endpoint down; then as much as is left catches up.
      const owed = sustained * 600
      const load = { deliveriesPerEvent, waiting: owed, eventsPerSecond: sustained / deliveriesPerEvent }
      return [
        deliveriesPerEvent === 1 ? site.name : '',
        String(deliveriesPerEvent),
        `${spoken(most)}/s`,
        `${spoken(sustained)}/s`,
        `${spoken((sustained * walBytes) / 1e6)} MB/s`,
        catchUp(model, site, load),
      ]
    }),
  )
  return table(
    [
      'Postgres and Walhook on',
      'deliveries an event',
      'deliveries at most',
      `at ${BUSY * 100} %`,
      'log then',
      'after 10 min of outage, until caught up',
    ],
    rows,
  )
}

const PATIENCE_MINUTES = 120

/** To a tenth of a minute, the shortest time after which nothing waits any more. */
function catchUp(model: CostModel, site: Site, load: Load): string {
  let [low, high] = [0, PATIENCE_MINUTES]
  while (high - low > 0.1) {
    const middle = (low + high) / 2
    if (simulate(model, site, load, middle * 60).seconds === undefined) low = middle
    else high = middle
  }
  return high === PATIENCE_MINUTES ? 'more than 2 h' : `${spoken(high)} min`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return markdownTable(head, rows).join('\n')
}
