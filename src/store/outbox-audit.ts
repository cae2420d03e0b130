/**
 * Finds events of the outbox that have no delivery though they are owed one, and makes it. That is what closes a gap in
 * the log, and what shows that there was none.
 *
 * What may be looked at is told by transaction numbers, not by clocks. A snapshot's oldest running transaction, taken
 * before a position of the log is: what committed from that position on is of that transaction or a younger one, and
 * whatever is older had ended before. `created_at` only narrows the search to what an index can find.
 */
import { formatLsn, type Lsn, parseLsn } from '../core/lsn.ts'
import type { Gap } from '../core/slot-plan.ts'
import type { Queryable } from './database.ts'
import type { RetryJob } from './jobs.ts'

export interface Horizon {
  /** Transactions older than this one had all ended. As text: a 64-bit number. */
  readonly xid: string
  /** They had committed before this position, if they did. */
  readonly lsn: Lsn
  /** When that was, as Postgres's text. */
  readonly at: string
}

/** A statement's snapshot is older than everything that it evaluates: the position is taken after it. */
export async function takeHorizon(db: Queryable): Promise<Horizon> {
  const [row] = await db.query<{ xid: string; lsn: string; at: string }>(/* sql */ `
    select
      pg_snapshot_xmin(pg_current_snapshot())::text as xid,
      pg_current_wal_insert_lsn()::text as lsn,
      now()::text as at`)
  if (row === undefined) throw new Error('a row was asked for that is always there')
  return { ...row, lsn: parseLsn(row.lsn) }
}

/** Which events to compare with their deliveries: of transactions from `fromXid` to before `toXid`. */
export interface AuditRange {
  readonly fromXid: string
  readonly toXid: string
  /** Those created from then on, to before `createdTo`: Postgres's text, ends may be `-infinity` and `infinity`. */
  readonly createdFrom: string
  readonly createdTo: string
  /**
   * Leaves out subscriptions that were made or changed around the time of an event: the relay may rightly have matched it with
   * what they were before. After a gap nobody has matched it yet, and they are asked as they are.
   */
  readonly onlyLongStanding: boolean
}

export interface AuditResult {
  readonly events: number
  readonly deliveries: number
  readonly subscriptionIds: readonly string[]
  /** Jobs that are still to be scheduled, for deliveries that are not due yet. */
  readonly delayed: readonly RetryJob[]
}

const MAKE_MISSING = /* sql */ `
  with bounds as materialized (select walhook.xid_age($3::xid8) as oldest, walhook.xid_age($4::xid8) as youngest),
  unmatched as (
    select
      o.id, o.type, o.key, o.tenant, o.payload::text as payload, o.created_at, age(o.xmin) as age,
      walhook.due_at(o.headers, o.created_at) as due_at
    from walhook.outbox as o, bounds
    where o.created_at >= $1::timestamptz
      and o.created_at < $2::timestamptz
      and age(o.xmin) <= bounds.oldest
      and age(o.xmin) > bounds.youngest
      -- A copy was made together with its deliveries, when its event was captured.
      and o.captured_from is null
      and not exists (select from walhook.deliveries as d where d.event_id = o.id)
      -- What the catalog refused waits for somebody to release it.
      and not exists (select from walhook.dead_events as x where x.event_id = o.id)
      -- What cannot be an event is malformed, and recorded as that where it comes over the log.
      and walhook.is_event_type(o.type)
      and o.payload is not null
      and o.expunged_at is null
      and json_typeof(o.headers) = 'object'
      and isfinite(o.created_at)
  ),
  made as (
    insert into walhook.deliveries (event_id, subscription_id, order_key, next_attempt_at, scheduled)
    select
      u.id, m.subscription_id, walhook.order_key(m.ordering, u.key), greatest(now(), u.due_at), coalesce(u.due_at > now(), false)
    from unmatched as u
    cross join lateral walhook.matching_subscriptions(u.type, u.tenant, u.payload) as m
    join walhook.subscriptions as s on s.id = m.subscription_id
    where u.age <= walhook.xid_age(s.active_from_xid)
      and (not $5::boolean or s.updated_at < u.created_at - interval '1 minute')
    order by u.created_at, u.id, m.subscription_id
    on conflict (event_id, subscription_id) do nothing
    returning id, event_id, subscription_id, next_attempt_at, scheduled
  )
  select
    count(*)::integer as deliveries,
    count(distinct event_id)::integer as events,
    coalesce(array_agg(distinct subscription_id), '{}') as "subscriptionIds",
    coalesce(array_agg(distinct event_id) filter (where $6::boolean), '{}') as "eventIds",
    coalesce(array_agg(id::text) filter (where scheduled), '{}') as delayed,
    coalesce(array_agg(next_attempt_at) filter (where scheduled), '{}') as due
  from made`

type MakeMissingRow = Omit<AuditResult, 'delayed'> & {
  eventIds: readonly string[]
  delayed: readonly string[]
  due: readonly Date[]
}

/** One statement; it can time out (57014) where there is too much to look at. `eventIds` are there if they are asked for. */
export async function makeMissingDeliveries(
  db: Queryable,
  range: AuditRange,
  { withEventIds = false } = {},
): Promise<AuditResult & { readonly eventIds: readonly string[] }> {
  const [row] = await db.query<MakeMissingRow>(MAKE_MISSING, [
    range.createdFrom,
    range.createdTo,
    range.fromXid,
    range.toXid,
    range.onlyLongStanding,
    withEventIds,
  ])
  if (row === undefined) throw new Error('a count was asked for that is always there')
  const { delayed, due, ...counted } = row
  const jobs = due.map((dueAt, i) => ({ deliveryId: delayed[i] ?? '', attempt: 1, dueAt }))
  return { ...counted, delayed: jobs }
}

/** The middle of a stretch of creation times; undefined once it is too short to be cut in two. */
export async function middleOf(
  db: Queryable,
  createdFrom: string,
  createdTo: string,
): Promise<string | undefined> {
  const [row] = await db.query<{ middle: string | null }>(
    /* sql */ `
    with stretch as (
      select greatest($1::timestamptz, min(created_at)) as first, least($2::timestamptz, max(created_at)) as last
      from walhook.outbox
      where created_at >= $1::timestamptz and created_at < $2::timestamptz
    )
    select (first + (last - first) / 2)::text as middle
    from stretch
    where last - first > interval '1 millisecond'`,
    [createdFrom, createdTo],
  )
  return row?.middle ?? undefined
}

export interface AuditState {
  readonly lsn: Lsn
  readonly auditedTo: string
  /** What was created before that was looked at by the last audit, or is left to a search after a gap. */
  readonly createdFrom: string
  /** What a gap in the log may have hidden; undefined once it has been looked for. */
  readonly rescan: { readonly reason: Gap; readonly createdFrom: string; readonly toXid: string } | undefined
}

interface AuditStateRow {
  lsn: string
  audited_to: string
  created_from: string
  rescan_from: string | null
  rescan_to: string | null
  rescan_reason: Gap | null
}

export async function readAuditState(db: Queryable, slotName: string): Promise<AuditState | undefined> {
  const [row] = await db.query<AuditStateRow>(
    /* sql */ `
    select
      lsn::text as lsn, audited_to::text as audited_to,
      -- An event can be older than its transaction's end, by as long as that was open.
      coalesce(audited_at - interval '5 minutes', '-infinity')::text as created_from,
      rescan_from::text as rescan_from, rescan_to::text as rescan_to, rescan_reason
    from walhook.relay
    where slot_name = $1`,
    [slotName],
  )
  if (row === undefined) return undefined
  const { rescan_from: createdFrom, rescan_to: toXid, rescan_reason: reason } = row
  return {
    lsn: parseLsn(row.lsn),
    auditedTo: row.audited_to,
    createdFrom: row.created_from,
    rescan:
      createdFrom === null || toXid === null || reason === null ? undefined : { reason, createdFrom, toXid },
  }
}

/** Written only where something was committed since the last time: an idle outbox writes nothing. */
export async function recordAudit(db: Queryable, slotName: string, horizon: Horizon): Promise<void> {
  await db.query(
    /* sql */ `
    update walhook.relay
    set audited_to = $2::xid8, audited_at = $3::timestamptz
    where slot_name = $1 and lsn >= $4::pg_lsn and audited_to < $2::xid8 and rescan_from is null
      and (audited_at is null or committed_at >= audited_at)`,
    [slotName, horizon.xid, horizon.at, formatLsn(horizon.lsn)],
  )
}

/** `toXid` is what was looked through: a gap that was found meanwhile stays. */
export async function recordRescanned(db: Queryable, slotName: string, toXid: string): Promise<void> {
  await db.query(
    /* sql */ `
    update walhook.relay
    set rescan_from = null, rescan_to = null, rescan_reason = null
    where slot_name = $1 and rescan_to = $2::xid8`,
    [slotName, toXid],
  )
}
