/** The demo checks its own story. A check that holds whatever happened would make it an advertisement. */
import { expect, test } from 'vitest'
import type { WrittenEvent } from '../../src/commands/demo/application.ts'
import { checkStory, debtsOf, type Evidence } from '../../src/commands/demo/check.ts'
import { commitToReceipt } from '../../src/commands/demo/latency.ts'
import type { Receipt } from '../../src/commands/demo/receiver.ts'
import { ENDPOINTS, TOLD_ORDERS } from '../../src/commands/demo/story.ts'
import type { DeliveryStatus } from '../../src/store/delivery-reports.ts'

const written: readonly WrittenEvent[] = TOLD_ORDERS.flatMap((order) =>
  order.events.map((event, i) => ({
    id: `${order.number}-${i}`,
    event,
    order,
    endedAtMs: order.number * 100,
  })),
)

/** Everything as the plot wants it. */
function trueStory(): {
  written: readonly WrittenEvent[]
  receipts: Receipt[]
  deliveries: DeliveryStatus[]
} {
  const debts = debtsOf(written)
  const receipts = debts.flatMap(({ written: { id, event, endedAtMs }, endpoint }) => {
    const { failures } = ENDPOINTS[endpoint]
    return Array.from({ length: failures + 1 }, (_, i) => ({
      endpoint,
      eventId: id,
      eventType: event.type,
      attempt: i + 1,
      verdict: { kind: 'verified' as const },
      status: i < failures ? 503 : 204,
      body: `{"id":"${id}","data":${event.payload}}`,
      arrivedAtMs: endedAtMs + 5 + i,
    }))
  })
  const deliveries = debts.map(({ written: { id, event }, endpoint }, i) =>
    delivery(i, id, event.type, endpoint),
  )
  return { written, receipts, deliveries }
}

function delivery(
  number: number,
  eventId: string,
  type: string,
  endpoint: keyof typeof ENDPOINTS,
): DeliveryStatus {
  return {
    id: String(number),
    state: 'delivered',
    event_type: type,
    key: null,
    tenant: null,
    url: `http://127.0.0.1:1/${endpoint}`,
    attempts: ENDPOINTS[endpoint].failures + 1,
    last_status: 204,
    last_error: null,
    waits_as: null,
    next_attempt_at: null,
    created_at: '',
    finished_at: '',
    event_id: eventId,
    subscription_id: endpoint,
  }
}

const brokenClaims = (evidence: Evidence): readonly string[] =>
  checkStory(evidence)
    .filter(({ against }) => against.length > 0)
    .map(({ text }) => text)

test('the plot has what is owed to one, to many, and to nobody', () => {
  expect(TOLD_ORDERS.some(({ fate }) => fate === 'rollback')).toBe(true)
  const perEndpoint = Map.groupBy(debtsOf(written), ({ endpoint }) => endpoint)
  expect(perEndpoint.get('everything')).toHaveLength(5)
  expect(perEndpoint.get('big-orders')).toHaveLength(2)
  expect(perEndpoint.get('accounting')).toHaveLength(1)
})

test('a true story passes every check', () => {
  expect(brokenClaims(trueStory())).toEqual([])
})

test('an event that did not arrive is missed', () => {
  const story = trueStory()
  story.receipts.shift()
  expect(brokenClaims(story)).toContain('every committed event reached every endpoint that wants it')
})

test('an arrival that is not recorded is missed', () => {
  const story = trueStory()
  const [first, ...rest] = story.deliveries
  if (first === undefined) throw new Error('no delivery')
  expect(brokenClaims({ ...story, deliveries: [{ ...first, state: 'pending' }, ...rest] })).toContain(
    'every committed event reached every endpoint that wants it',
  )
})

test('a rolled-back event is noticed, received or only recorded', () => {
  const rolledBack = written.find(({ order }) => order.fate === 'rollback')
  const received = trueStory()
  const [receipt] = received.receipts
  if (rolledBack === undefined || receipt === undefined) throw new Error('the plot has neither')
  received.receipts.push({ ...receipt, eventId: rolledBack.id })
  expect(brokenClaims(received)).toContain('what was rolled back is nowhere')

  const recorded = trueStory()
  recorded.deliveries.push(delivery(99, rolledBack.id, 'order.created', 'everything'))
  expect(brokenClaims(recorded)).toContain('what was rolled back is nowhere')
})

test('a request too many is noticed, and one for an endpoint that did not ask', () => {
  const twice = trueStory()
  const [receipt] = twice.receipts
  if (receipt === undefined) throw new Error('no receipt')
  twice.receipts.push(receipt)
  expect(brokenClaims(twice)).toContain('nothing else arrived, and nothing twice')

  const astray = trueStory()
  astray.receipts.push({ ...receipt, endpoint: 'accounting' })
  expect(brokenClaims(astray)).toContain('nothing else arrived, and nothing twice')
})

test('one bad signature and one changed digit are noticed', () => {
  const forged = trueStory()
  const [first, ...rest] = forged.receipts
  if (first === undefined) throw new Error('no receipt')
  const verdict = { kind: 'refused', reason: 'No matching signature found' } as const
  expect(brokenClaims({ ...forged, receipts: [{ ...first, verdict }, ...rest] })).toEqual([
    'every signature was verified',
  ])
  const body = first.body.replace('25', '26')
  expect(brokenClaims({ ...forged, receipts: [{ ...first, body }, ...rest] })).toEqual([
    'every payload came byte for byte',
  ])
})

test('a failing endpoint that was tried too seldom, or counted wrongly, is noticed', () => {
  const seldom = trueStory()
  const receipts = seldom.receipts.filter(
    (receipt) => !(receipt.endpoint === 'accounting' && receipt.attempt === 2),
  )
  expect(brokenClaims({ ...seldom, receipts })).toEqual(['the failing endpoint was tried until it accepted'])
  const deliveries = seldom.deliveries.map((row) => ({ ...row, attempts: 1 }))
  expect(brokenClaims({ ...seldom, deliveries })).toEqual([
    'the failing endpoint was tried until it accepted',
  ])
})

test('times are those of first attempts, and percentiles are times that were measured', () => {
  const events = Array.from({ length: 200 }, (_, i) => ({
    ...(written[0] as WrittenEvent),
    id: `e${i}`,
    endedAtMs: 0,
  }))
  const [receipt] = trueStory().receipts
  const receipts = events.flatMap(({ id }, i) => [
    { ...(receipt as Receipt), eventId: id, attempt: 1, arrivedAtMs: i + 1 },
    { ...(receipt as Receipt), eventId: id, attempt: 2, arrivedAtMs: 10_000 },
  ])
  expect(commitToReceipt(events, receipts)).toEqual({ samples: 200, p50Ms: 100, p99Ms: 198 })
  expect(commitToReceipt(events, [])).toBeUndefined()
})
