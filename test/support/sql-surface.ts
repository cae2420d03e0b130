/**
 * What an application, an operator and a customer type into psql, for tests: nothing here knows more than SQL tells.
 *
 * Ids of events are made by the caller, as applications may, so that a test knows them whatever becomes of its commit.
 */
import { randomUUID } from 'node:crypto'
import { type Lsn, parseLsn } from '../../src/core/lsn.ts'
import { eventually, type Patience } from './eventually.ts'
import { CANARY } from './leak-watch.ts'
import type { TestDatabase } from './test-database.ts'

/** A pool or a connection: what takes a statement. */
export interface Session {
  query(sql: string, params?: unknown[]): Promise<unknown>
}

export interface SubscriptionWish {
  readonly eventTypes?: readonly string[]
  readonly tenant?: string
  readonly filter?: string
  readonly secret?: string
  readonly timeout?: string
  readonly retrySchedule?: readonly string[]
  readonly retryOn?: 'any' | 'transient'
  readonly ordering?: 'none' | 'key'
  readonly onDead?: 'block' | 'skip'
  readonly batch?: Readonly<Record<string, unknown>>
}

export interface Subscribed {
  readonly id: string
  readonly secret: string
}

export async function subscribe(
  db: TestDatabase,
  url: string,
  wish: SubscriptionWish = {},
): Promise<Subscribed> {
  const [made] = await db.query<{ id: string; secret: string }>(
    `select * from walhook.subscribe(url => $1, event_types => $2, tenant => $3, filter => $4::jsonpath,
       secret => $5, timeout => $6, retry_schedule => $7, retry_on => $8, ordering => $9, on_dead => $10,
       batch => $11::jsonb)`,
    [
      url,
      wish.eventTypes ?? ['*'],
      wish.tenant,
      wish.filter,
      wish.secret,
      wish.timeout,
      wish.retrySchedule,
      wish.retryOn,
      wish.ordering,
      wish.onDead,
      wish.batch,
    ],
  )
  if (made === undefined) throw new Error('walhook.subscribe returned no row')
  return made
}

export interface EventWish {
  readonly id?: string
  readonly type?: string
  /** JSON text. */
  readonly payload?: string
  readonly tenant?: string
  readonly key?: string
  readonly headers?: string
}

/** Inserts an event as an application does, and returns its id. Without a transaction of the caller's: committed. */
export async function publish(session: Session, event: EventWish = {}): Promise<string> {
  const id = event.id ?? randomUUID()
  await session.query(
    `insert into walhook.outbox (id, type, payload, tenant, key, headers) values ($1, $2, $3, $4, $5, $6)`,
    [
      id,
      event.type ?? 'order.created',
      event.payload ?? `{"canary": "${CANARY}"}`,
      event.tenant,
      event.key,
      event.headers ?? `{"canary": "${CANARY}"}`,
    ],
  )
  return id
}

/** Of other tests, on the same server. */
const LONGEST_TRANSACTION_MS = 30_000

/**
 * Until every event of the outbox is of an older transaction than any that runs on the server. Before that a subscription that
 * is made now might be owed it, and after a gap in the log gets it: whether it was there first cannot be told.
 */
export async function untilNothingOlderRuns(db: TestDatabase): Promise<void> {
  await eventually(
    async () => {
      const events = await db.query(`
      select from walhook.outbox
      where age(xmin) <= walhook.xid_age(pg_snapshot_xmin(pg_current_snapshot()))`)
      if (events.length > 0) throw new Error(`${events.length} events that somebody may not see yet`)
    },
    { withinMs: LONGEST_TRANSACTION_MS },
  )
}

/** Inserts `count` events in one statement, so that they commit together, in the order of the ids. */
export async function publishTogether(
  session: Session,
  count: number,
  { type = 'order.created', padding = 0 }: { readonly type?: string; readonly padding?: number } = {},
): Promise<readonly string[]> {
  const ids = Array.from({ length: count }, () => randomUUID())
  await session.query(
    `insert into walhook.outbox (id, type, payload)
     select e.id, $2, json_build_object('n', e.n, 'padding', repeat('x', $3), 'canary', $4::text)
     from unnest($1::uuid[]) with ordinality as e (id, n) order by e.n`,
    [ids, type, padding, CANARY],
  )
  return ids
}

export interface DeliveryRow {
  readonly id: string
  readonly event_id: string
  readonly subscription_id: string
  readonly state: 'pending' | 'delivered' | 'dead' | 'cancelled'
  readonly waits_as:
    | 'parked'
    | 'awaiting consent'
    | 'retry scheduled'
    | 'in flight'
    | 'waiting'
    | 'behind its key'
    | null
  readonly attempts: number
  readonly last_status: number | null
  readonly last_error: string | null
  readonly url: string
  readonly event_type: string
}

/** walhook.delivery_status, in the order of fan-out. */
export async function deliveries(
  db: TestDatabase,
  subscription?: { readonly id: string },
): Promise<DeliveryRow[]> {
  return db.query<DeliveryRow>(
    `select * from walhook.delivery_status where $1::uuid is null or subscription_id = $1 order by id`,
    [subscription?.id],
  )
}

export interface AttemptRow {
  readonly number: number
  readonly duration_ms: number
  readonly response_status: number | null
  readonly error: string | null
  readonly response_body: string | null
  readonly started_at: Date
}

export async function attemptsOf(db: TestDatabase, eventId: string): Promise<AttemptRow[]> {
  return db.query<AttemptRow>(
    `select a.* from walhook.attempts as a join walhook.deliveries as d on d.id = a.delivery_id
     where d.event_id = $1 order by d.id, a.number`,
    [eventId],
  )
}

/** Resolves to the deliveries of all events, or of one subscription, once none of them is pending. */
export async function untilSettled(
  db: TestDatabase,
  count: number,
  { subscription, ...patience }: Patience & { readonly subscription?: { readonly id: string } } = {},
): Promise<DeliveryRow[]> {
  return eventually(
    async () => {
      const [{ total, pending } = { total: 0, pending: 0 }] = await db.query<{
        total: number
        pending: number
      }>(
        `select count(*)::int as total, count(*) filter (where state = 'pending')::int as pending
       from walhook.deliveries where $1::uuid is null or subscription_id = $1`,
        [subscription?.id],
      )
      if (total !== count || pending > 0)
        throw new Error(`${total} deliveries of ${count}, ${pending} of them pending`)
      return deliveries(db, subscription)
    },
    { withinMs: 20_000, ...patience },
  )
}

/** Where the write-ahead log ends now: what is committed lies before it. */
export async function currentLsn(db: TestDatabase): Promise<Lsn> {
  const [row] = await db.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn')
  return parseLsn(row?.lsn ?? '')
}

/** What Postgres was told is durable, of the test's own slot. */
export async function confirmedLsn(db: TestDatabase): Promise<Lsn> {
  const [row] = await db.query<{ lsn: string }>(
    'select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = $1',
    [db.slot],
  )
  return parseLsn(row?.lsn ?? '')
}

/** Up to where the relay has recorded. */
export async function recordedLsn(db: TestDatabase): Promise<Lsn> {
  const [row] = await db.query<{ lsn: string }>(
    'select lsn::text as lsn from walhook.relay where slot_name = $1',
    [db.slot],
  )
  return parseLsn(row?.lsn ?? '')
}

/** Resolves once everything that is committed now is recorded. Publishes an event that only `*` matches, to see it pass. */
export async function untilRecorded(db: TestDatabase, patience: Patience = {}): Promise<void> {
  const lsn = await currentLsn(db)
  await publish(db, { type: 'test.everything_before_this_is_recorded' })
  await eventually(
    async () => {
      if ((await recordedLsn(db)) <= lsn) throw new Error('the relay has not come that far')
    },
    { withinMs: 20_000, ...patience },
  )
}

/** Ends every connection of the sidecar's, the replication connection among them. */
export async function terminateSidecarConnections(db: TestDatabase): Promise<number> {
  const ended = await db.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = 'walhook'`,
  )
  return ended.length
}

/** Its successor has its name and is another table: in no publication, and empty. */
export async function replaceOutbox(db: TestDatabase): Promise<void> {
  await db.query(`
    begin;
    alter table walhook.outbox rename to outbox_of_yesterday;
    create table walhook.outbox (like walhook.outbox_of_yesterday including all);
    commit`)
}

/** In use it cannot be dropped, so whoever streams is ended first; it is back within a quarter of a second. */
export async function dropSlot(db: TestDatabase): Promise<void> {
  await eventually(
    async () => {
      await terminateSidecarConnections(db)
      await db.query('select pg_drop_replication_slot($1)', [db.slot])
    },
    { everyMs: 5 },
  )
}

/** As if a minute had passed: what a process that is gone still holds is free for others to take. */
export async function lapseLeases(db: TestDatabase): Promise<void> {
  await db.query(
    `update walhook.deliveries set next_attempt_at = now()
     where state = 'pending' and not scheduled and next_attempt_at < 'infinity'`,
  )
}
