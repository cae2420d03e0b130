/**
 * The history check: a pure function from what was written, received, recorded and done to a verdict.
 *
 *   const verdict = checkHistory(history)      // history.ts says what a history is
 *   verdict.violations                         // empty, or the promise was broken; one entry a kind, with examples
 *   verdict.counts                             // what it looked at: a run that saw nothing proves nothing
 *
 * It has to hold, for each subscription:
 * - a committed event that matches was accepted (2xx) at least once, or is a dead letter with a reason;
 * - it has exactly one delivery, which is settled, and says `delivered` only of what was accepted;
 * - what was rolled back, never written, or not wished for was neither received nor recorded;
 * - every request verifies, and its body is what was written, byte for byte;
 * - where batches were asked for, each event comes in one, within its size, and an id is never seen with other events;
 * - where order was asked for: no event of a key arrives before the one committed before it was accepted, or is dead, and
 *   none comes again once a later one has come;
 * - no request follows an accepted one of the same event without an explanation.
 *
 * A *duplicate* is a request for an (event, subscription) that arrives after another one that was answered with 2xx, and in time: on a
 * busy machine an endpoint may read a request, and accept it, when its sender has given it up. Those are counted.
 * Let A be the last accepted request before it. A's answer had to be recorded by D: `RECORD_WITHIN_MS` after the answer,
 * and where a `database` fault overlaps that time, as much after that fault's end. The duplicate is explained if
 * - a process was `killed`, `aborted`, `frozen` or `cut off` within [A's arrival − `READ_WITHIN_MS`, or its attempt's begin, D], and before the
 *   duplicate came (a request that was sent before a kill may be read after it); or a `database` fault lasted longer than
 *   a lease, so that other replicas could take the delivery over;
 * - and it did not come `AFTER_RECORD_MS` or more after the tables say that A's answer was recorded. (A process that was
 *   frozen or cut off may record late what another one has in hand by then: that is explained by itself.)
 * Which process sent a request is not known, so with replicas the fault of any of them counts: bound the number as well.
 */
import {
  type Fault,
  type FaultKind,
  type History,
  type HistorySubscription,
  isAccepted,
  isAnsweredTooLate,
  type LoggedRequest,
  type RecordedDelivery,
  type WrittenEvent,
} from './history.ts'
import { assertWholeBatches } from './batch-sets.ts'
import { assertNeverOvertaken, READ_WITHIN_MS } from './key-order.ts'
import { Violations, type ViolationCount } from './violations.ts'

/** How long an outcome may take into the tables of a busy machine, where nothing is wrong. */
export const RECORD_WITHIN_MS = 5_000
export { READ_WITHIN_MS }
/** Between the begin of the transaction that records an outcome, which is its time, and its commit. */
export const AFTER_RECORD_MS = 1_000
const LEASE_MS = 60_000

const LOSES_AN_ANSWER: readonly FaultKind[] = ['killed', 'aborted', 'frozen', 'cut off']
const LETS_TWO_HOLD_ONE: readonly FaultKind[] = ['frozen', 'cut off']

export interface Counts {
  written: number
  committed: number
  rolledBack: number
  /** (event, subscription) pairs owed. */
  owed: number
  /** Of them: accepted at least once. */
  accepted: number
  dead: number
  requests: number
  duplicates: number
  /** Accepted when the sender may have given them up: what comes after them is no duplicate. */
  acceptedTooLate: number
  /** Duplicates by the kind of fault that explains them. */
  readonly explained: Partial<Record<FaultKind, number>>
  /** Each counts at the fault that is nearest to the first of the two in time. */
  mostDuplicatesOfOneFault: number
  faults: number
}

export interface Verdict {
  readonly counts: Readonly<Counts>
  readonly violations: readonly ViolationCount[]
}

/** What there is of one event and one subscription. */
interface Pair {
  readonly requests: LoggedRequest[]
  readonly rows: RecordedDelivery[]
}

export function checkHistory(history: History): Verdict {
  const violations = new Violations()
  const counts = countWritten(history)
  const duplicatesOf = new Map<Fault, number>()
  const known = new Set(history.subscriptions.map(({ id }) => id))
  for (const row of history.deliveries)
    if (!known.has(row.subscriptionId)) violations.add('row for nobody', row.eventId, row.subscriptionId)

  for (const subscription of history.subscriptions) {
    const pairs = pairsOf(history, subscription)
    for (const [eventId, pair] of pairs) {
      const event = history.written.get(eventId)
      const wanted = event?.fate === 'committed' && subscription.matches(event)
      if (wanted) checkContent(event, pair, subscription, violations)
      else checkNothing(event, eventId, pair, subscription, violations)
      explainDuplicates(eventId, pair, subscription, history.faults, violations, counts, duplicatesOf)
    }
    for (const event of history.written.values()) {
      if (event.fate !== 'committed' || !subscription.matches(event)) continue
      counts.owed++
      checkOwed(event, pairs.get(event.id) ?? NOTHING, subscription, history.faults, violations, counts)
    }
    assertWholeBatches(history.requests, subscription, violations)
    if (subscription.isOrdered)
      assertNeverOvertaken(
        history.written.values(),
        subscription,
        (id) => pairs.get(id) ?? NOTHING,
        history.faults,
        violations,
      )
  }
  counts.mostDuplicatesOfOneFault = Math.max(0, ...duplicatesOf.values())
  return { counts, violations: violations.all() }
}

const NOTHING: Pair = { requests: [], rows: [] }

function countWritten(history: History): Counts {
  const fates = { committed: 0, 'rolled back': 0 }
  for (const { fate } of history.written.values()) fates[fate]++
  return {
    written: history.written.size,
    committed: fates.committed,
    rolledBack: fates['rolled back'],
    owed: 0,
    accepted: 0,
    dead: 0,
    requests: history.requests.length,
    duplicates: 0,
    acceptedTooLate: 0,
    explained: {},
    mostDuplicatesOfOneFault: 0,
    faults: history.faults.length,
  }
}

/** One subscription at a time: a long run's pairs do not all fit into memory twice. */
function pairsOf(history: History, subscription: HistorySubscription): ReadonlyMap<string, Pair> {
  const pairs = new Map<string, Pair>()
  const pairOf = (eventId: string): Pair => {
    const pair = pairs.get(eventId) ?? { requests: [], rows: [] }
    pairs.set(eventId, pair)
    return pair
  }
  for (const request of history.requests)
    if (request.subscriptionId === subscription.id) pairOf(request.eventId).requests.push(request)
  for (const row of history.deliveries)
    if (row.subscriptionId === subscription.id) pairOf(row.eventId).rows.push(row)
  for (const { requests } of pairs.values()) requests.sort((a, b) => a.arrivedAt - b.arrivedAt)
  return pairs
}

function checkContent(
  event: WrittenEvent,
  pair: Pair,
  { name }: HistorySubscription,
  violations: Violations,
): void {
  for (const request of pair.requests) {
    if (request.forged !== undefined) violations.add('forged', event.id, name, request.forged)
    if (request.digest !== event.digest) violations.add('altered', event.id, name)
  }
  if (pair.rows.length > 1) violations.add('several deliveries', event.id, name, `${pair.rows.length} rows`)
}

function checkNothing(
  event: WrittenEvent | undefined,
  eventId: string,
  pair: Pair,
  { name }: HistorySubscription,
  violations: Violations,
): void {
  const why =
    event === undefined ? 'never written' : event.fate === 'rolled back' ? 'rolled back' : 'does not match'
  if (pair.requests.length > 0)
    violations.add(why === 'does not match' ? 'unwanted' : 'phantom', eventId, name, why)
  if (pair.rows.length > 0) violations.add('row for nobody', eventId, name, why)
}

function checkOwed(
  event: WrittenEvent,
  { requests, rows }: Pair,
  { name }: HistorySubscription,
  faults: readonly Fault[],
  violations: Violations,
  counts: Counts,
): void {
  const accepted = requests.some(isAccepted)
  const [row] = rows
  if (accepted) counts.accepted++
  if (row === undefined)
    violations.add('no delivery', event.id, name, accepted ? 'and accepted' : 'and never accepted')
  switch (row?.state) {
    case undefined:
    case 'delivered':
      if (!accepted)
        violations.add('lost', event.id, name, row === undefined ? 'no row' : 'the row says delivered')
      return
    case 'dead':
      counts.dead++
      if (!accepted && !isDeadForAReason(event, requests, row, faults))
        violations.add('dead for no reason', event.id, name, String(row.lastError))
      return
    case 'cancelled':
      if (!accepted) violations.add('lost', event.id, name, 'the row says cancelled')
      return
    case 'pending':
      violations.add('unsettled', event.id, name, `${row.waitsAs}${accepted ? ', accepted' : ''}`)
      return
  }
}

function isDeadForAReason(
  event: WrittenEvent,
  requests: readonly LoggedRequest[],
  row: RecordedDelivery,
  faults: readonly Fault[],
): boolean {
  if (event.rowIsGone && row.lastError === 'event_missing') return true
  return requests.some((request) => !isAccepted(request)) || faults.some(({ kind }) => kind === 'endpoint')
}

function explainDuplicates(
  eventId: string,
  { requests, rows }: Pair,
  { name, timeoutMs }: HistorySubscription,
  faults: readonly Fault[],
  violations: Violations,
  counts: Counts,
  duplicatesOf: Map<Fault, number>,
): void {
  let accepted: LoggedRequest | undefined
  for (const request of requests) {
    if (accepted !== undefined) {
      counts.duplicates++
      const fault = faultBetween(accepted, request, faults)
      const recordedAt = rows.find(({ state }) => state === 'delivered')?.finishedAt ?? Infinity
      if (fault === undefined)
        violations.add('unexplained duplicate', eventId, name, timesOf(accepted, request, recordedAt))
      else if (request.arrivedAt > recordedAt + AFTER_RECORD_MS && !LETS_TWO_HOLD_ONE.includes(fault.kind))
        violations.add('sent after it was recorded', eventId, name, timesOf(accepted, request, recordedAt))
      else {
        counts.explained[fault.kind] = (counts.explained[fault.kind] ?? 0) + 1
        duplicatesOf.set(fault, (duplicatesOf.get(fault) ?? 0) + 1)
      }
    }
    if (!isAccepted(request)) continue
    if (isAnsweredTooLate(request, timeoutMs)) counts.acceptedTooLate++
    else accepted = request
  }
}

/** The fault that can have kept `accepted` from being recorded before `again` came: the one nearest to it in time. */
export function faultBetween(
  accepted: LoggedRequest,
  again: LoggedRequest,
  faults: readonly Fault[],
): Fault | undefined {
  const answeredAt = accepted.answeredAt ?? accepted.arrivedAt
  const dueAt = recordDueAt(answeredAt, faults)
  const sentFrom = Math.min(accepted.arrivedAt - READ_WITHIN_MS, accepted.attemptedAt ?? Infinity)
  const distance = (fault: Fault): number =>
    Math.max(0, fault.from - answeredAt, accepted.arrivedAt - fault.until)
  return faults
    .filter(
      (fault) =>
        (LOSES_AN_ANSWER.includes(fault.kind) || isLongerThanALease(fault)) &&
        fault.from <= Math.min(dueAt, again.arrivedAt) &&
        fault.until >= sentFrom,
    )
    .reduce<Fault | undefined>(
      (nearest, fault) => (nearest === undefined || distance(fault) < distance(nearest) ? fault : nearest),
      undefined,
    )
}

function isLongerThanALease(fault: Fault): boolean {
  return fault.kind === 'database' && fault.until - fault.from >= LEASE_MS
}

function recordDueAt(answeredAt: number, faults: readonly Fault[]): number {
  let dueAt = answeredAt + RECORD_WITHIN_MS
  // Faults are in the order in which they began.
  for (const { kind, from, until } of faults)
    if (kind === 'database' && from <= dueAt && until >= answeredAt)
      dueAt = Math.max(dueAt, until + RECORD_WITHIN_MS)
  return dueAt
}

function timesOf(accepted: LoggedRequest, again: LoggedRequest, recordedAt: number): string {
  const after = (at: number | undefined): string =>
    at === undefined ? 'never' : `${at - accepted.arrivedAt} ms`
  const recorded = Number.isFinite(recordedAt) ? `recorded ${after(recordedAt)}` : 'not recorded'
  return `answered ${after(accepted.answeredAt)}, ${recorded}, again ${after(again.arrivedAt)} after it came first`
}
