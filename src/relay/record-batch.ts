/**
 * Records a batch: deliveries, dead events, malformed rows and the position in one transaction. A batch that Postgres refuses for
 * what is in it is halved until the row at fault stands alone; that one is recorded as malformed, and the rest goes on.
 */
import { isTestEvent, type OutboxEvent } from '../core/outbox-event.ts'
import type { RelayPosition } from '../core/relay-position.ts'
import { errorCode } from '../lifecycle/errors.ts'
import { type Database, isRowsFault, isStatementTimeout, type Queryable } from '../store/database.ts'
import { captureEvents } from '../store/captured-events.ts'
import { recordDeadEvents } from '../store/dead-events.ts'
import { readDelays } from '../store/delays.ts'
import { type CommittedEvent, fanOut, type RecordedDelivery, type Room } from '../store/fan-out.ts'
import type { RetryJob } from '../store/jobs.ts'
import { advanceRelay, recordMalformed } from '../store/relay-ledger.ts'
import { holdTests } from '../store/test-events.ts'
import type { Judge, Judgement } from './judge-events.ts'
import type { RelayBatch, RelayRow } from './relay-batch.ts'

export interface RelayLedger {
  readonly database: Database
  readonly slotName: string
  /** What the dispatcher can take now. */
  room(): Room
  /** Undefined where no catalog is asked. */
  readonly judge: Judge | undefined
  /** In the transaction that records a delivery which is not due yet. */
  schedule(tx: Queryable, jobs: readonly RetryJob[]): Promise<void>
  onMalformed(row: RelayRow, reason: string): void
  /** It asks to be delayed, and nobody can tell until when: it is not. */
  onMisreadDelay(event: OutboxEvent): void
  /** Milliseconds that only move forward. */
  now(): number
}

export interface Recorded {
  readonly held: readonly {
    readonly delivery: RecordedDelivery & { readonly heldUntil: string }
    readonly event: OutboxEvent
    readonly committedAt: Date | undefined
  }[]
  readonly waitingSubscriptions: ReadonlySet<string>
  /** Before the statement was sent that began the leases, by the clock of `now()`. */
  readonly leaseStartedAt: number
  readonly events: number
  readonly deliveries: number
  /** Those of them that wait in the database and are due: memory had no room, or they may not be sent now. */
  readonly spilled: number
  readonly rows: readonly RelayRow[]
}

export async function recordBatch(batch: RelayBatch, ledger: RelayLedger): Promise<Recorded> {
  const judgement = await ledger.judge?.(eventsOf(batch.rows))
  const rows = judgement === undefined ? batch.rows : withoutDead(batch.rows, judgement)
  const leaseStartedAt = ledger.now()
  const deliveries = await recordRows(rows, batch.position, batch.committedAt, ledger)
  judgement?.tell()
  return { ...toRecorded(rows, deliveries), leaseStartedAt, deliveries: deliveries.length, rows }
}

function eventsOf(rows: readonly RelayRow[]): readonly OutboxEvent[] {
  return rows.flatMap(({ parsed }) => (parsed.kind === 'event' ? [parsed.event] : []))
}

function withoutDead(rows: readonly RelayRow[], { dead }: Judgement): readonly RelayRow[] {
  if (dead.size === 0) return rows
  return rows.map((row) => {
    if (row.parsed.kind !== 'event') return row
    const reason = dead.get(row.parsed.event)
    return reason === undefined ? row : { ...row, parsed: { ...row.parsed, kind: 'dead', reason } }
  })
}

async function recordRows(
  rows: readonly RelayRow[],
  position: RelayPosition,
  committedAt: Date | undefined,
  ledger: RelayLedger,
): Promise<readonly RecordedDelivery[]> {
  try {
    return await recordAtOnce(rows, position, committedAt, ledger)
  } catch (error) {
    const [first] = rows
    // A batch can meet so many subscriptions that one statement cannot insert its deliveries in time.
    const isTooMuch = isStatementTimeout(error) && rows.length > 1
    if (first === undefined || !(isTooMuch || isRowsFault(error))) throw error
    if (rows.length === 1) {
      const reason = `the fan-out refused it: SQLSTATE ${errorCode(error)}`
      return recordAtOnce(
        [{ ...first, parsed: { kind: 'malformed', reason } }],
        position,
        committedAt,
        ledger,
      )
    }
    const half = Math.ceil(rows.length / 2)
    const left = rows.slice(0, half)
    const deliveries = await recordRows(left, positionAfter(left), undefined, ledger)
    return [...deliveries, ...(await recordRows(rows.slice(half), position, committedAt, ledger))]
  }
}

/** The first half's own position: a crash between the halves repeats the second only. */
function positionAfter(rows: readonly RelayRow[]): RelayPosition {
  const last = rows.at(-1)
  if (last === undefined) throw new RangeError('half of a batch has at least one row')
  return { lsn: last.commitLsn, row: last.row + 1 }
}

async function recordAtOnce(
  rows: readonly RelayRow[],
  position: RelayPosition,
  committedAt: Date | undefined,
  ledger: RelayLedger,
): Promise<readonly RecordedDelivery[]> {
  const events = rows.flatMap(({ parsed, commitLsn }) =>
    parsed.kind === 'event' ? [{ event: parsed.event, commitLsn }] : [],
  )
  const captured = rows.flatMap(({ parsed }) =>
    parsed.kind !== 'malformed' && parsed.captured !== undefined
      ? [{ event: parsed.event, captured: parsed.captured }]
      : [],
  )
  const malformed = rows.flatMap(({ parsed, commitLsn, row, raw }) =>
    parsed.kind === 'malformed'
      ? [{ lsn: commitLsn, rowInTransaction: row, reason: parsed.reason, raw }]
      : [],
  )
  const dead = rows.flatMap(({ parsed, commitLsn }) =>
    parsed.kind === 'dead' ? [{ event: parsed.event, reason: parsed.reason, commitLsn }] : [],
  )
  const { deliveries, misread } = await ledger.database.transaction(async (tx) => {
    await captureEvents(tx, captured)
    const delays = await readDelays(
      tx,
      events.map(({ event }) => event),
    )
    const room = ledger.room()
    // Together, so that a batch waits for two answers, this one and the commit's.
    const [fannedOut] = await Promise.all([
      fanOut(tx, events, room, delays),
      advanceRelay(tx, ledger.slotName, position, committedAt),
    ])
    await ledger.schedule(tx, fannedOut.flatMap(firstJob))
    const left = { ...room, deliveries: room.deliveries - fannedOut.length }
    const recorded = [...fannedOut, ...(await holdTestsAmong(tx, events, left))]
    await recordDeadEvents(tx, dead)
    await recordMalformed(tx, ledger.slotName, malformed)
    return { deliveries: recorded, misread: delays.misread }
  })
  for (const event of misread) ledger.onMisreadDelay(event)
  for (const row of rows) if (row.parsed.kind === 'malformed') ledger.onMalformed(row, row.parsed.reason)
  return deliveries
}

/** They have their delivery, and the fan-out finds nobody for them. */
async function holdTestsAmong(
  tx: Queryable,
  events: readonly CommittedEvent[],
  room: Room,
): Promise<readonly RecordedDelivery[]> {
  const tests = events.flatMap(({ event }) => (isTestEvent(event) ? [event.id] : []))
  return tests.length === 0 || room.deliveries <= 0 ? [] : holdTests(tx, tests, room)
}

function firstJob({ id, dueAt }: RecordedDelivery): RetryJob[] {
  return dueAt === null ? [] : [{ deliveryId: id, attempt: 1, dueAt }]
}

function toRecorded(
  rows: readonly RelayRow[],
  deliveries: readonly RecordedDelivery[],
): Pick<Recorded, 'held' | 'waitingSubscriptions' | 'events' | 'spilled'> {
  const events = new Map<string, { readonly event: OutboxEvent; readonly committedAt: Date | undefined }>()
  for (const { parsed, committedAt } of rows)
    if (parsed.kind === 'event') events.set(parsed.event.id, { event: parsed.event, committedAt })

  const held = []
  const waitingSubscriptions = new Set<string>()
  let spilled = 0
  for (const delivery of deliveries) {
    if (delivery.dueAt !== null) continue
    const committed = events.get(delivery.eventId)
    if (delivery.heldUntil === null || committed === undefined) {
      waitingSubscriptions.add(delivery.subscriptionId)
      spilled++
    } else held.push({ delivery: { ...delivery, heldUntil: delivery.heldUntil }, ...committed })
  }
  return { held, waitingSubscriptions, events: events.size, spilled }
}
