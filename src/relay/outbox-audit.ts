/**
 * Compares the outbox with what was made of it, behind the relay's back: after a gap in the log at once and whole, and
 * now and then for what has come since. Where an event owes somebody a delivery that nobody made, it is made.
 *
 * It looks only at what the relay has passed: an event that is still on its way is not missing.
 */
import type { Gap } from '../core/slot-plan.ts'
import type { CataloguedEvent } from '../core/event-type.ts'
import { type Database, isStatementTimeout, type Queryable } from '../store/database.ts'
import { readEvents, recordDeadEvents, takeBackDeliveries } from '../store/dead-events.ts'
import type { RetryJob } from '../store/jobs.ts'
import {
  type AuditRange,
  type AuditResult,
  type Horizon,
  makeMissingDeliveries,
  middleOf,
  readAuditState,
  recordAudit,
  recordRescanned,
  takeHorizon,
} from '../store/outbox-audit.ts'
import type { Judge, Judgement } from './judge-events.ts'

export interface Found extends AuditResult {
  /** The gap that hid them; `audit` where none was known. */
  readonly reason: Gap | 'audit'
}

export interface AuditPorts {
  readonly database: Database
  readonly slotName: string
  /** Undefined where no catalog is asked. */
  readonly judge: Judge | undefined
  /** In the transaction that makes deliveries which are not due yet. */
  readonly schedule: (tx: Queryable, jobs: readonly RetryJob[]) => Promise<void>
  readonly onFound: (found: Found) => void
}

/** Events whose payloads are read at a time: each may have 1 MiB. */
const JUDGED_AT_ONCE = 32

/** Looks through what a gap in the log may have hidden. Does nothing where none was found. */
export async function closeGap(ports: AuditPorts): Promise<void> {
  const { database, slotName, onFound } = ports
  const state = await readAuditState(database, slotName)
  if (state?.rescan === undefined) return
  const { reason, createdFrom, toXid } = state.rescan
  const result = await makeMissing(ports, {
    fromXid: state.auditedTo,
    toXid,
    createdFrom,
    createdTo: 'infinity',
    onlyLongStanding: false,
  })
  onFound({ ...result, reason })
  await recordRescanned(database, slotName, toXid)
}

/**
 * One look at what the relay has passed since the last one. `horizon` was taken the last time; returns the one for the
 * next time.
 */
export async function audit(ports: AuditPorts, horizon: Horizon | undefined): Promise<Horizon> {
  const { database, slotName, onFound } = ports
  const state = await readAuditState(database, slotName)
  if (state === undefined || horizon === undefined) return takeHorizon(database)
  // The relay is behind: that is for its own alarms. Or a gap is still to be searched, from where the last audit ended.
  if (state.lsn < horizon.lsn || state.rescan !== undefined) return horizon
  const result = await makeMissing(ports, {
    fromXid: state.auditedTo,
    toXid: horizon.xid,
    createdFrom: state.createdFrom,
    createdTo: 'infinity',
    onlyLongStanding: true,
  })
  if (result.deliveries > 0) onFound({ ...result, reason: 'audit' })
  await recordAudit(database, slotName, horizon)
  return takeHorizon(database)
}

/** Too much for one statement is halved by time of creation, the older half first. */
async function makeMissing(ports: AuditPorts, range: AuditRange): Promise<AuditResult> {
  const { database, judge, schedule } = ports
  try {
    if (judge !== undefined) return await makeMissingJudged(ports, judge, range)
    return await database.transaction(async (tx) => {
      const made = await makeMissingDeliveries(tx, range)
      await schedule(tx, made.delayed)
      return made
    })
  } catch (error) {
    if (!isStatementTimeout(error)) throw error
    const middle = await middleOf(database, range.createdFrom, range.createdTo)
    if (middle === undefined) throw error
    const older = await makeMissing(ports, { ...range, createdTo: middle })
    const newer = await makeMissing(ports, { ...range, createdFrom: middle })
    return {
      events: older.events + newer.events,
      deliveries: older.deliveries + newer.deliveries,
      subscriptionIds: [...new Set([...older.subscriptionIds, ...newer.subscriptionIds])],
      delayed: [...older.delayed, ...newer.delayed],
    }
  }
}

/** Which events are owed is known once their deliveries are made. Those of dead ones are taken back before anybody can see them. */
async function makeMissingJudged(
  { database, schedule }: AuditPorts,
  judge: Judge,
  range: AuditRange,
): Promise<AuditResult> {
  const judgements: Judgement[] = []
  const result = await database.transaction(async (tx) => {
    const made = await makeMissingDeliveries(tx, range, { withEventIds: true })
    let { events, deliveries } = made
    for (let from = 0; from < made.eventIds.length; from += JUDGED_AT_ONCE) {
      const judgement = await judge(await readEvents(tx, made.eventIds.slice(from, from + JUDGED_AT_ONCE)))
      judgements.push(judgement)
      events -= judgement.dead.size
      deliveries -= await buryDead(tx, judgement.dead)
    }
    // A job that rings for a delivery which was taken back does nothing.
    await schedule(tx, made.delayed)
    return { events, deliveries, subscriptionIds: made.subscriptionIds, delayed: made.delayed }
  })
  for (const { tell } of judgements) tell()
  return result
}

/** Their place in the log is not known. Returns how many deliveries they had been given. */
async function buryDead(tx: Queryable, dead: ReadonlyMap<CataloguedEvent, string>): Promise<number> {
  if (dead.size === 0) return 0
  const taken = await takeBackDeliveries(
    tx,
    [...dead.keys()].map(({ id }) => id),
  )
  await recordDeadEvents(
    tx,
    [...dead].map(([event, reason]) => ({ event, reason, commitLsn: undefined })),
  )
  return taken
}
