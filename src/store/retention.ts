/**
 * What is kept, and for how long. Nothing that is still owed is ever removed; a delivery outlives its event, because
 * its row is what keeps the event from being fanned out again.
 */
import { FIRST_CURSOR } from '../core/first-cursor.ts'
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

/** Rows removed, or looked at, in one transaction: long ones hold back vacuum and replicas. */
const BATCH = 5_000

/** What has to stay stands before what may go, and grows: each batch looks on from where the last one ended. */
const REMOVE_EVENTS = /* sql */ `
  with looked_at as materialized (
    select o.created_at as at, o.id
    from walhook.outbox as o
    where o.created_at < now() - $1::double precision * interval '1 millisecond'
      and (o.created_at, o.id) > ($3::timestamptz, $4::uuid)
    order by o.created_at, o.id
    limit $2
  ),
  expired as (
    select o.id
    from looked_at as l
    join walhook.outbox as o on o.id = l.id
    where
      -- What has not come over the log yet is owed, and nobody knows to whom. Nor does anybody before it was looked for after a gap.
      age(o.xmin) > (select min(walhook.xid_age(audited_to)) from walhook.relay)
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
    for update of o skip locked
  ),
  removed as (
    delete from walhook.outbox as o using expired where o.id = expired.id
    returning o.id
  )
  select l.at::text as at, l.id::text as id, l.looked_at, (select count(*)::integer from removed) as removed
  from (select at, id, count(*) over ()::integer as looked_at from looked_at order by at desc, id desc limit 1) as l`

const REMOVE_DELIVERIES = /* sql */ `
  with looked_at as materialized (
    select d.finished_at as at, d.id
    from walhook.deliveries as d
    where d.finished_at < now() - $1::double precision * interval '1 millisecond'
      and (d.finished_at, d.id) > ($3::timestamptz, $4::bigint)
    order by d.finished_at, d.id
    limit $2
  ),
  expired as (
    select d.id
    from looked_at as l
    join walhook.deliveries as d on d.id = l.id
    -- It may have been resent meanwhile. Said in a way that takes no index: a settlement's all have the same time.
    where d.finished_at is not distinct from l.at
      and not exists (select from walhook.outbox as o where o.id = d.event_id)
      -- A key that is blocked stays so until a person says otherwise.
      and (d.holds_key_until is null or d.holds_key_until <= now())
    for update of d skip locked
  ),
  removed as (
    delete from walhook.deliveries as d using expired where d.id = expired.id
    returning d.id
  )
  select l.at::text as at, l.id::text as id, l.looked_at, (select count(*)::integer from removed) as removed
  from (select at, id, count(*) over ()::integer as looked_at from looked_at order by at desc, id desc limit 1) as l`

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

/**
 * A fan-out and a deletion that did not see each other leave deliveries that nobody wants any more. One index probe for each
 * subscription that is owed something: to look at each delivery took two seconds where a million were parked.
 */
const CANCEL_UNWANTED = /* sql */ `
  with recursive owed (subscription_id) as (
    (select subscription_id from walhook.deliveries where state = 'pending' order by subscription_id limit 1)
    union all
    select (
      select d.subscription_id
      from walhook.deliveries as d
      where d.state = 'pending' and d.subscription_id > owed.subscription_id
      order by d.subscription_id
      limit 1
    )
    from owed
    where owed.subscription_id is not null
  )
  update walhook.deliveries as d
  set state = 'cancelled', next_attempt_at = null, scheduled = false, finished_at = now()
  where d.state = 'pending' and d.subscription_id = any (
    array(
      select o.subscription_id
      from owed as o
      where o.subscription_id is not null and not exists (select from walhook.subscriptions as s where s.id = o.subscription_id)
    )
  )`

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
  const lookingOn = async (statement: string, ageMs: number, firstId: string): Promise<number> => {
    let removed = 0
    let after = { at: '-infinity', id: firstId }
    while (!signal.aborted) {
      const batch = await lookThroughBatch(database, statement, ageMs, after)
      removed += batch?.removed ?? 0
      if (batch === undefined || batch.looked_at < BATCH) break
      after = batch
    }
    return removed
  }
  await database.query(FORGET_LATE_ANSWERS)
  const report = {
    attemptPartitions: dropped?.count ?? 0,
    previousSecrets: ended.length,
    // Before the events, which go with them.
    deadEvents: await inBatches(REMOVE_DEAD_EVENTS, keep.deliveriesMs),
    events: await lookingOn(REMOVE_EVENTS, keep.outboxMs, FIRST_CURSOR),
    deliveries: await lookingOn(REMOVE_DELIVERIES, keep.deliveriesMs, '0'),
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

/** A row of the table where the batch ended, by what it is ordered by. */
interface Place {
  readonly at: string
  readonly id: string
}

/** Undefined where nothing came after. */
function lookThroughBatch(
  database: Database,
  statement: string,
  ageMs: number,
  { at, id }: Place,
): Promise<(Place & { readonly looked_at: number; readonly removed: number }) | undefined> {
  return database.transaction(async (tx) => {
    await tx.query(BY_INDEX)
    const [batch] = await tx.query<Place & { looked_at: number; removed: number }>(statement, [
      ageMs,
      BATCH,
      at,
      id,
    ])
    return batch
  })
}
