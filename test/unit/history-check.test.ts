/** The judge of the fault experiments can say no: a bad history of every kind, each told by its name, and good ones. */
import { expect, test } from 'vitest'
import { checkHistory, READ_WITHIN_MS, RECORD_WITHIN_MS } from '../faults/history/check.ts'
import type {
  Fault,
  FaultKind,
  History,
  HistorySubscription,
  LoggedRequest,
  RecordedDelivery,
  WrittenEvent,
} from '../faults/history/history.ts'
import { Random } from '../faults/history/random.ts'

const EVENT: WrittenEvent = {
  id: 'e1',
  type: 'order.created',
  key: null,
  fate: 'committed',
  digest: 42,
  sequence: 1,
  rowIsGone: false,
}
const SUBSCRIPTION: HistorySubscription = {
  id: 's',
  name: '/hook',
  matches: () => true,
  isOrdered: false,
  timeoutMs: 15_000,
}
const REQUEST: LoggedRequest = {
  subscriptionId: 's',
  eventId: 'e1',
  attemptedAt: undefined,
  arrivedAt: 1_000,
  answeredAt: 1_001,
  status: 200,
  digest: 42,
  forged: undefined,
}
const ROW: RecordedDelivery = {
  eventId: 'e1',
  subscriptionId: 's',
  state: 'delivered',
  waitsAs: null,
  lastError: null,
  finishedAt: 1_010,
}
const fault = (kind: FaultKind, from: number, until = from): Fault => ({ kind, what: 'it', from, until })

function history(parts: {
  readonly event?: Partial<WrittenEvent>
  readonly events?: readonly WrittenEvent[]
  readonly subscription?: Partial<HistorySubscription>
  readonly requests?: readonly Partial<LoggedRequest>[]
  readonly rows?: readonly Partial<RecordedDelivery>[]
  readonly faults?: readonly Fault[]
}): History {
  const events = parts.events ?? [{ ...EVENT, ...parts.event }]
  return {
    written: new Map(events.map((event) => [event.id, event])),
    subscriptions: [{ ...SUBSCRIPTION, ...parts.subscription }],
    requests: (parts.requests ?? [{}]).map((request) => ({ ...REQUEST, ...request })),
    deliveries: (parts.rows ?? [{}]).map((row) => ({ ...ROW, ...row })),
    faults: parts.faults ?? [],
  }
}

const kindsOf = (parts: Parameters<typeof history>[0]): string[] =>
  checkHistory(history(parts))
    .violations.map(({ kind }) => kind)
    .sort()

test('a good history has no violation, and is counted', () => {
  const verdict = checkHistory(history({}))
  expect(verdict.violations).toEqual([])
  expect(verdict.counts).toMatchObject({
    written: 1,
    committed: 1,
    owed: 1,
    accepted: 1,
    requests: 1,
    duplicates: 0,
  })
})

test.each<[string, Parameters<typeof history>[0], string[]]>([
  ['never received, and no row', { requests: [], rows: [] }, ['lost', 'no delivery']],
  ['never received, and said to be delivered', { requests: [] }, ['lost']],
  ['received, and refused, and said to be delivered', { requests: [{ status: 500 }] }, ['lost']],
  ['received, and never answered', { requests: [{ status: undefined, answeredAt: undefined }] }, ['lost']],
  [
    'cancelled, though nobody deleted the subscription',
    { requests: [], rows: [{ state: 'cancelled' }] },
    ['lost'],
  ],
  ['received without a row', { rows: [] }, ['no delivery']],
  ['recorded twice', { rows: [{}, {}] }, ['several deliveries']],
  ['pending at the end', { rows: [{ state: 'pending' }] }, ['unsettled']],
  ['rolled back, and received', { event: { fate: 'rolled back' }, rows: [] }, ['phantom']],
  ['rolled back, and recorded', { event: { fate: 'rolled back' }, requests: [] }, ['row for nobody']],
  ['never written, and received', { events: [], rows: [] }, ['phantom']],
  ['not wished for', { subscription: { matches: () => false }, rows: [] }, ['unwanted']],
  [
    'recorded for a subscription nobody made',
    { rows: [{}, { subscriptionId: 'other' }] },
    ['row for nobody'],
  ],
  ['a signature that does not verify', { requests: [{ forged: 'no match' }] }, ['forged']],
  ['another body', { requests: [{ digest: 43 }] }, ['altered']],
  [
    'dead, and the endpoint never refused',
    { requests: [], rows: [{ state: 'dead' }] },
    ['dead for no reason'],
  ],
  ['sent again for nothing', { requests: [{}, { arrivedAt: 3_000 }] }, ['unexplained duplicate']],
])('%s', (_, parts, expected) => {
  expect(kindsOf(parts)).toEqual(expected)
})

test('a dead letter is no loss where the endpoint refused, was out of reach, or the row is gone', () => {
  const dead = [{ state: 'dead' as const, lastError: null }]
  expect(kindsOf({ requests: [{ status: 500 }], rows: dead })).toEqual([])
  expect(kindsOf({ requests: [], rows: dead, faults: [fault('endpoint', 1_000)] })).toEqual([])
  const missing = [{ state: 'dead' as const, lastError: 'event_missing' }]
  expect(kindsOf({ event: { rowIsGone: true }, requests: [], rows: missing })).toEqual([])
  expect(kindsOf({ requests: [], rows: missing })).toEqual(['dead for no reason'])
})

test('an attempt after one that was not accepted is no duplicate', () => {
  const requests = [
    { status: 500 },
    { arrivedAt: 2_000, status: undefined, answeredAt: undefined },
    { arrivedAt: 3_000 },
  ]
  expect(checkHistory(history({ requests })).counts).toMatchObject({ requests: 3, duplicates: 0 })
})

const TWICE = [{}, { arrivedAt: 61_000, answeredAt: 61_001 }]
const RECORDED_LATE = [{ finishedAt: 61_005 }]
test.each<[string, readonly Fault[], string[]]>([
  ['a kill before the record explains it', [fault('killed', 1_002)], []],
  ['one just before it was read, too', [fault('killed', 900)], []],
  ['one long before does not', [fault('killed', 1_000 - READ_WITHIN_MS - 1)], ['unexplained duplicate']],
  [
    'nor one that came when the answer had long been due in the tables',
    [fault('killed', 9_000)],
    ['unexplained duplicate'],
  ],
  ['nor one after it came again', [fault('killed', 61_002)], ['unexplained duplicate']],
  ['a stop that had its time explains nothing', [fault('stopped', 1_002)], ['unexplained duplicate']],
  ['one that had not does', [fault('aborted', 1_000, 1_100)], []],
  ['a freeze does', [fault('frozen', 500, 60_000)], []],
  [
    'a database that was away delays the record, and loses nothing',
    [fault('database', 900, 30_000)],
    ['unexplained duplicate'],
  ],
  ['but a kill while it was away does', [fault('database', 900, 30_000), fault('killed', 20_000)], []],
  ['or soon after', [fault('database', 900, 30_000), fault('killed', 30_000 + RECORD_WITHIN_MS)], []],
  ['away for longer than a lease, it lets another replica take over', [fault('database', 900, 60_990)], []],
])('a duplicate: %s', (_, faults, expected) => {
  expect(kindsOf({ requests: TWICE, rows: RECORDED_LATE, faults })).toEqual(expected)
})

test('what is accepted when its sender may have given it up may come again; it is accepted all the same', () => {
  const late = { arrivedAt: 16_000, answeredAt: 16_001, attemptedAt: 1_000 }
  const again = { arrivedAt: 20_000, answeredAt: 20_001, attemptedAt: 19_000 }
  const rows = [{ finishedAt: 20_005 }]
  const { counts, violations } = checkHistory(history({ requests: [late, again], rows }))
  expect(violations).toEqual([])
  expect(counts).toMatchObject({ duplicates: 0, acceptedTooLate: 1 })
  expect(kindsOf({ requests: [late], rows: [{ finishedAt: 16_005 }] })).toEqual([])
  const inTime = { ...late, attemptedAt: 2_000 }
  expect(kindsOf({ requests: [inTime, again], rows })).toEqual(['unexplained duplicate'])
})

test('a kill while an attempt was under way explains its repetition, however late it was read', () => {
  const read = { arrivedAt: 10_000, answeredAt: 10_001, attemptedAt: 4_000 }
  const again = { arrivedAt: 70_000, answeredAt: 70_001, attemptedAt: 70_000 }
  const kinds = (at: number): string[] =>
    kindsOf({ requests: [read, again], rows: [{ finishedAt: 70_005 }], faults: [fault('killed', at)] })
  expect(kinds(4_500)).toEqual([])
  expect(kinds(3_500)).toEqual(['unexplained duplicate'])
})

test('what was recorded and comes again is not explained by a kill; by a freeze it is', () => {
  expect(kindsOf({ requests: TWICE, faults: [fault('killed', 1_050)] })).toEqual([
    'sent after it was recorded',
  ])
  expect(kindsOf({ requests: TWICE, faults: [fault('frozen', 500, 60_000)] })).toEqual([])
})

test('explained duplicates are counted by their fault', () => {
  const { counts } = checkHistory(
    history({ requests: TWICE, rows: RECORDED_LATE, faults: [fault('killed', 1_002)] }),
  )
  expect(counts).toMatchObject({ duplicates: 1, explained: { killed: 1 }, mostDuplicatesOfOneFault: 1 })
})

test('of several faults that can explain a duplicate, it counts at the one nearest to the answer', () => {
  const pair = (eventId: string, at: number): Partial<LoggedRequest>[] => [
    { eventId, arrivedAt: at, answeredAt: at + 1 },
    { eventId, arrivedAt: 61_000, answeredAt: 61_001 },
  ]
  const events = ['e1', 'e2', 'e3'].map((id) => ({ ...EVENT, id }))
  const { counts, violations } = checkHistory(
    history({
      events,
      rows: events.map(({ id }) => ({ eventId: id, finishedAt: 61_005 })),
      requests: [...pair('e1', 1_000), ...pair('e2', 2_900), ...pair('e3', 3_000)],
      faults: [fault('killed', 1_100), fault('killed', 3_010)],
    }),
  )
  expect(violations).toEqual([])
  expect(counts).toMatchObject({ duplicates: 3, mostDuplicatesOfOneFault: 2 })
})

test('order of a key: nothing comes before its predecessor was accepted, unless that is dead', () => {
  const events = [1, 2, 3].map((n) => ({ ...EVENT, id: `e${n}`, key: 'k', sequence: n }))
  const rows = events.map(({ id }) => ({ eventId: id }))
  const at = (eventId: string, arrivedAt: number, status = 200): Partial<LoggedRequest> => ({
    eventId,
    arrivedAt,
    answeredAt: arrivedAt + 5,
    status,
  })
  const ordered = { isOrdered: true }
  const inOrder = [at('e1', 10), at('e2', 15), at('e3', 20)]
  const overlapping = [at('e1', 10), at('e2', 14), at('e3', 20)]
  const swapped = [at('e1', 10), at('e3', 20), at('e2', 30)]
  const overtaking = [at('e1', 10), at('e2', 15, 500), at('e3', 21), at('e2', 30)]
  expect(kindsOf({ events, rows, subscription: ordered, requests: inOrder })).toEqual([])
  for (const requests of [overlapping, swapped, overtaking]) {
    expect(kindsOf({ events, rows, subscription: ordered, requests })).toEqual(['out of order'])
    expect(kindsOf({ events, rows, requests })).toEqual([])
  }
  const repeatedInTime = [at('e1', 10), at('e1', 15), at('e2', 20), at('e3', 30)]
  const repeatedLate = [at('e1', 10), at('e2', 20), at('e1', 26), at('e3', 30)]
  const killed = [fault('killed', 12)]
  expect(kindsOf({ events, rows, subscription: ordered, faults: killed, requests: repeatedInTime })).toEqual(
    [],
  )
  expect(kindsOf({ events, rows, subscription: ordered, faults: killed, requests: repeatedLate })).toEqual([
    'out of order',
  ])
  const frozen = [fault('frozen', 12, 25)]
  expect(kindsOf({ events, rows, subscription: ordered, faults: frozen, requests: repeatedLate })).toEqual([])
  const aroundTheDead = [{ eventId: 'e1' }, { eventId: 'e2', state: 'dead' as const }, { eventId: 'e3' }]
  const skipping = [at('e1', 10), at('e2', 15, 500), at('e3', 21)]
  expect(kindsOf({ events, rows: aroundTheDead, subscription: ordered, requests: skipping })).toEqual([])
})

test('batches: each event in one, within its size, and an id never with other events', () => {
  const events = ['e1', 'e2', 'e3'].map((id) => ({ ...EVENT, id }))
  const rows = events.map(({ id }) => ({ eventId: id }))
  const batching = { batching: { maxEvents: 2 } }
  const at = (eventId: string, id: string, request: number, status = 200): Partial<LoggedRequest> => ({
    eventId,
    arrivedAt: request,
    answeredAt: request,
    status,
    batch: { id, request },
  })
  const refused = [at('e1', 'b', 1, 503), at('e2', 'b', 1, 503)]
  const last = at('e3', 'c', 3)
  const judge = (
    requests: readonly Partial<LoggedRequest>[],
    subscription: Partial<HistorySubscription>,
  ): string[] => kindsOf({ events, rows, requests, subscription })

  expect(judge([...refused, at('e1', 'b', 2), at('e2', 'b', 2), last], batching)).toEqual([])
  expect(judge([...refused, at('e1', 'd', 2), at('e2', 'e', 4), last], batching)).toEqual([])
  const another = ['another batch under its id']
  expect(judge([...refused, at('e2', 'b', 2), at('e1', 'b', 2), last], batching)).toEqual(another)
  expect(judge([...refused, at('e1', 'b', 2), at('e2', 'd', 4), last], batching)).toEqual(another)
  const unwished = ['not batched as wished']
  const alone = events.map(({ id }) => ({ eventId: id }))
  expect(judge(alone, {})).toEqual([])
  expect(judge(alone, batching)).toEqual(unwished)
  const three = events.map(({ id }) => at(id, 'b', 1))
  expect(judge(three, batching)).toEqual(unwished)
  expect(judge(three, { batching: { maxEvents: 3 } })).toEqual([])
  expect(judge(three, {})).toEqual(unwished)
})

test('the same seed gives the same choices, and streams of other names others', () => {
  const draw = (random: Random): unknown[] => [
    random.uuid(),
    random.between(1, 6),
    random.pick(['a', 'b', 'c']),
  ]
  expect(draw(Random.of(7, 'x'))).toEqual(draw(Random.of(7, 'x')))
  expect(draw(Random.of(7, 'x'))).not.toEqual(draw(Random.of(7, 'y')))
  expect(draw(Random.of(7, 'x'))).not.toEqual(draw(Random.of(8, 'x')))
  expect(new Random(1).uuid()).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  )
})
