/**
 * What is kept, and for how long. Nothing that is still owed is ever removed; a delivery outlives its event, because
 * its row is what keeps the event from being fanned out again.
 */
import type { Database, Queryable } from './database.ts'
import { removeOldCounts } from './delivery-counts.ts'

export interface Retention {
  readonly outboxMs: number
  readonly deliveriesMs: number
  readonly attemptsMs: number
}

export interface RetentionReport {
  readonly events: number
  readonly deliveries: number
  readonly malformed: number
  readonly deadEvents: number
  readonly replays: number
  readonly attemptPartitions: number
  readonly previousSecrets: number
}

/** Rows removed in one transaction: long ones hold back vacuum and replicas. */
const BATCH = 5_000

const REMOVE_EVENTS = /* sql */ `
  with expired as (
    select o.id
    from walhook.outbox as o
    where o.created_at < now() - $1::double precision * interval '1 millisecond'
      -- What has not come over the log yet is owed, and nobody knows to whom. Nor does anybody before it was looked for after a gap.
      and age(o.xmin) > (select min(walhook.xid_age(audited_to)) from walhook.relay)
      -- Pending, said in a way that takes the index on event_id: the one of what is pending would be read whole, for each event.
      and not exists (select from walhook.deliveries as d where d.event_id = o.id and d.finished_at is null)
      -- Somebody may still release it.
      and not exists (select from walhook.dead_events as x where x.event_id = o.id)
      -- A replay that has still to come by it needs it.
      and not exists (
        select
        from walhook.replays as r
        where r.state = 'running'
          and case
            when r.kind = 'backfill' then o.created_at >= r.after_at and o.created_at < r.created_to
            else exists (
              select
              from walhook.deliveries as d
              where d.event_id = o.id and d.subscription_id = r.subscription_id
                and d.state = any (r.states) and d.id > r.after_id and d.id <= r.last_id
            )
          end
      )
    limit $2
    for update skip locked
  )
  delete from walhook.outbox as o using expired where o.id = expired.id
  returning o.id`

const REMOVE_DELIVERIES = /* sql */ `
  with expired as (
    select d.id
    from walhook.deliveries as d
    where d.finished_at < now() - $1::double precision * interval '1 millisecond'
      and not exists (select from walhook.outbox as o where o.id = d.event_id)
      -- A key that is blocked stays so until a person says otherwise.
      and (d.holds_key_until is null or d.holds_key_until <= now())
    order by d.finished_at
    limit $2
    for update skip locked
  )
  delete from walhook.deliveries as d using expired where d.id = expired.id
  returning d.id`

const REMOVE_MALFORMED = /* sql */ `
  with expired as (
    select id from walhook.malformed where created_at < now() - $1::double precision * interval '1 millisecond' limit $2
  )
  delete from walhook.malformed as m using expired where m.id = expired.id
  returning m.id`

const REMOVE_DEAD_EVENTS = /* sql */ `
  with expired as (
    select event_id from walhook.dead_events
    where created_at < now() - $1::double precision * interval '1 millisecond'
    limit $2
    for update skip locked
  )
  delete from walhook.dead_events as x using expired where x.event_id = expired.event_id
  returning x.event_id`

const REMOVE_REPLAYS = /* sql */ `
  with expired as (
    select id from walhook.replays where finished_at < now() - $1::double precision * interval '1 millisecond' limit $2
  )
  delete from walhook.replays as r using expired where r.id = expired.id
  returning r.id`

/** What a replay to another URL was sent to, once neither the replay nor anything that was sent is there any more. */
const REMOVE_REPLAYS_SUBSCRIPTIONS = /* sql */ `
  delete from walhook.subscriptions as s
  where s.signs_as is not null
    and s.created_at < now() - $1::double precision * interval '1 millisecond'
    and not exists (select from walhook.replays as r where r.to_subscription_id = s.id or r.subscription_id = s.id)
    and not exists (select from walhook.deliveries as d where d.subscription_id = s.id)
  returning s.id`

/** What was on its way to an endpoint when its event was expunged was answered, and recorded, after it. */
const FORGET_LATE_ANSWERS = /* sql */ `
  update walhook.attempts as a
  set response_body = null
  from walhook.deliveries as d
  join walhook.outbox as o on o.id = d.event_id
  where o.expunged_at is not null and a.delivery_id = d.id and a.response_body is not null`

const RECORD = /* sql */ `
  insert into walhook.retention (table_name, keep, removed)
  select t.table_name, justify_hours(t.keep_ms * interval '1 millisecond'), t.removed
  from unnest($1::text[], $2::double precision[], $3::bigint[]) as t (table_name, keep_ms, removed)
  on conflict (table_name) do update set keep = excluded.keep, removed = excluded.removed, applied_at = excluded.applied_at`

/** It signs no more; whoever could read it must not be able to. */
const FORGET_ENDED_SECRETS = /* sql */ `
  update walhook.subscriptions
  set previous_secret = null, previous_secret_until = null, updated_at = null
  where previous_secret_until <= now()
  returning id`

/** A fan-out and a deletion that did not see each other leave deliveries that nobody wants any more. */
const CANCEL_UNWANTED = /* sql */ `
  update walhook.deliveries as d
  set state = 'cancelled', next_attempt_at = null, scheduled = false, finished_at = now()
  where d.state = 'pending' and not exists (select from walhook.subscriptions as s where s.id = d.subscription_id)`

/** Makes the coming days' partitions and removes what is older than it need be. Any replica may run it, several too. */
export async function applyRetention(
  database: Database,
  keep: Retention,
  signal: AbortSignal,
): Promise<RetentionReport> {
  await database.query('select walhook.ensure_attempt_partitions()')
  await database.query(CANCEL_UNWANTED)
  const ended = await database.query(FORGET_ENDED_SECRETS)
  const [dropped] = await database.query<{ count: number }>(
    `select walhook.drop_attempt_partitions($1::double precision * interval '1 millisecond') as count`,
    [keep.attemptsMs],
  )
  const inBatches = async (statement: string, ageMs: number): Promise<number> => {
    let removed = 0
    while (!signal.aborted) {
      const batch = await removeBatch(database, statement, ageMs)
      removed += batch
      if (batch < BATCH) break
    }
    return removed
  }
  await database.query(FORGET_LATE_ANSWERS)
  const report = {
    attemptPartitions: dropped?.count ?? 0,
    previousSecrets: ended.length,
    // Before the events, which go with them.
    deadEvents: await inBatches(REMOVE_DEAD_EVENTS, keep.deliveriesMs),
    events: await inBatches(REMOVE_EVENTS, keep.outboxMs),
    deliveries: await inBatches(REMOVE_DELIVERIES, keep.deliveriesMs),
    malformed: await inBatches(REMOVE_MALFORMED, keep.deliveriesMs),
    replays: await inBatches(REMOVE_REPLAYS, keep.deliveriesMs),
  }
  await database.query(REMOVE_REPLAYS_SUBSCRIPTIONS, [keep.deliveriesMs])
  await removeOldCounts(database)
  await recordRun(database, keep, report)
  return report
}

/** For walhook.space. */
async function recordRun(db: Queryable, keep: Retention, removed: RetentionReport): Promise<void> {
  const rows = [
    ['outbox', keep.outboxMs, removed.events],
    ['deliveries', keep.deliveriesMs, removed.deliveries],
    ['attempts', keep.attemptsMs, removed.attemptPartitions],
    ['malformed', keep.deliveriesMs, removed.malformed],
    ['replays', keep.deliveriesMs, removed.replays],
  ] as const
  await db.query(RECORD, [rows.map(([name]) => name), rows.map(([, ms]) => ms), rows.map(([, , n]) => n)])
}

/** Found by indexes, whatever the planner reckons: it would rather read both tables whole, for each batch. */
const BY_INDEX = /* sql */ `
  select set_config(name, 'off', true)
  from unnest('{enable_seqscan,enable_hashjoin,enable_mergejoin}'::text[]) as setting (name)`

function removeBatch(database: Database, statement: string, ageMs: number): Promise<number> {
  return database.transaction(async (tx) => {
    await tx.query(BY_INDEX)
    return (await tx.query(statement, [ageMs, BATCH])).length
  })
}
