/** Events that the catalog refused: recorded in place of deliveries, and put on their way when somebody releases them. */
import type { CataloguedEvent } from '../core/event-type.ts'
import { formatLsn, type Lsn } from '../core/lsn.ts'
import type { Queryable } from './database.ts'

export interface DeadEvent {
  readonly event: CataloguedEvent
  readonly reason: string
  /** Where its transaction's commit record begins; undefined where it did not come over the log. */
  readonly commitLsn: Lsn | undefined
}

const RECORD = {
  name: 'walhook_record_dead_events',
  text: /* sql */ `
    insert into walhook.dead_events (event_id, type, reason, lsn)
    select x.id, x.type, x.reason, x.lsn
    from unnest($1::uuid[], $2::text[], $3::text[], $4::pg_lsn[]) as x (id, type, reason, lsn)
    -- What was released and is read again has its deliveries.
    where not exists (select from walhook.deliveries as d where d.event_id = x.id)
    on conflict (event_id) do nothing`,
}

/** In the transaction that would have made their deliveries. Repeating it is harmless. */
export async function recordDeadEvents(tx: Queryable, dead: readonly DeadEvent[]): Promise<void> {
  if (dead.length === 0) return
  await tx.query(RECORD, [
    dead.map(({ event }) => event.id),
    dead.map(({ event }) => event.type),
    dead.map(({ reason }) => reason),
    dead.map(({ commitLsn }) => (commitLsn === undefined ? null : formatLsn(commitLsn))),
  ])
}

/** As the outbox has them. */
export function readEvents(db: Queryable, ids: readonly string[]): Promise<CataloguedEvent[]> {
  return db.query<CataloguedEvent>(
    /* sql */ `select id, type, payload::text as payload from walhook.outbox where id = any ($1::uuid[])`,
    [ids],
  )
}

/** In the transaction that made them, before anybody could see them. Returns how many there were. */
export async function takeBackDeliveries(tx: Queryable, eventIds: readonly string[]): Promise<number> {
  const taken = await tx.query(
    /* sql */ `delete from walhook.deliveries where event_id = any ($1::uuid[]) returning id`,
    [eventIds],
  )
  return taken.length
}

/** A row of walhook.dead_events; timestamps are Postgres's text, in UTC. */
export type DeadEventRow = Readonly<{
  event_id: string
  type: string
  reason: string
  created_at: string
}>

export interface DeadEventFilter {
  /** A type, or a pattern that ends in `*`. */
  readonly type: string | undefined
  readonly limit: number
}

/** In the order of their ids, which is mostly that of time. */
export function listDeadEvents(db: Queryable, filter: DeadEventFilter): Promise<DeadEventRow[]> {
  return db.query<DeadEventRow>(
    /* sql */ `
    select event_id, type, reason, created_at::text as created_at
    from walhook.dead_events
    where ($1::text is null or type = $1 or ($1 like '%*' and starts_with(type, left($1, -1))))
    order by event_id
    limit $2`,
    [filter.type ?? null, filter.limit],
  )
}

/** Those after `after`, locked until the transaction ends, but for what somebody else has in hand. */
export async function lockDeadEvents(
  tx: Queryable,
  { type, limit }: DeadEventFilter,
  after: string | undefined,
): Promise<readonly string[]> {
  const rows = await tx.query<{ event_id: string }>(
    /* sql */ `
    select event_id
    from walhook.dead_events
    where ($1::text is null or type = $1 or ($1 like '%*' and starts_with(type, left($1, -1))))
      and ($2::uuid is null or event_id > $2)
    order by event_id
    limit $3
    for update skip locked`,
    [type ?? null, after ?? null, limit],
  )
  return rows.map((row) => row.event_id)
}

/** How many deliveries it made. Errors: Postgres's P0002 where there is no such dead event, or no such event. */
export async function releaseEvent(tx: Queryable, eventId: string): Promise<number> {
  const [row] = await tx.query<{ made: number }>(/* sql */ `select walhook.release_event($1::uuid) as made`, [
    eventId,
  ])
  if (row === undefined) throw new Error('walhook.release_event returned no row')
  return row.made
}
