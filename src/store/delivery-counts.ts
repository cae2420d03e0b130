/** Counters → walhook.delivery_counts: the minute, its quarter of an hour, and ever; of each subscription, and of all. */
import type { MinuteCounts } from '../core/delivery-counts.ts'
import type { Queryable } from './database.ts'

/**
 * One statement, and a transaction of its own, so that rows are held for as long as it takes to commit. Invariant: rows are
 * written in one order, and those of all subscriptions last, since other replicas add to the same ones.
 */
const ADD = {
  name: 'walhook_add_counts',
  text: /* sql */ `
    with counted as (
      select c.*
      from json_to_recordset($1::json) as c (
        id uuid, at double precision, attempts bigint, failed bigint, delivered bigint, dead bigint, cancelled bigint,
        attempt_buckets bigint[], delivered_buckets bigint[], first_at double precision, last_at double precision
      )
    ),
    summed as (
      select
        whose.id, grained.grain, grained.at,
        sum(c.attempts) as attempts, sum(c.failed) as failed, sum(c.delivered) as delivered, sum(c.dead) as dead,
        sum(c.cancelled) as cancelled,
        case when grained.grain = 'ever' then '{}' else walhook.sum_buckets(c.attempt_buckets) end as attempt_buckets,
        case when grained.grain = 'ever' then '{}' else walhook.sum_buckets(c.delivered_buckets) end as delivered_buckets,
        to_timestamp(min(c.first_at)) as first_at, to_timestamp(max(c.last_at)) as last_at
      from counted as c
      cross join lateral (values (c.id), ('00000000-0000-0000-0000-000000000000')) as whose (id)
      cross join lateral (
        values
          ('minute', to_timestamp(c.at)),
          ('quarter', date_bin('15 minutes', to_timestamp(c.at), to_timestamp(0))),
          ('ever', to_timestamp(0))
      ) as grained (grain, at)
      group by whose.id, grained.grain, grained.at
    )
    insert into walhook.delivery_counts as k (
      subscription_id, grain, at, attempts, failed_attempts, delivered, dead, cancelled, attempt_buckets, delivered_buckets,
      first_delivered_at, last_delivered_at
    )
    select id, grain, at, attempts, failed, delivered, dead, cancelled, attempt_buckets, delivered_buckets, first_at, last_at
    from summed
    order by id desc, grain, at
    on conflict (subscription_id, grain, at, writer) do update
    set attempts = k.attempts + excluded.attempts,
        failed_attempts = k.failed_attempts + excluded.failed_attempts,
        delivered = k.delivered + excluded.delivered,
        dead = k.dead + excluded.dead,
        cancelled = k.cancelled + excluded.cancelled,
        attempt_buckets = walhook.add_buckets(k.attempt_buckets, excluded.attempt_buckets),
        delivered_buckets = walhook.add_buckets(k.delivered_buckets, excluded.delivered_buckets),
        first_delivered_at = least(k.first_delivered_at, excluded.first_delivered_at),
        last_delivered_at = greatest(k.last_delivered_at, excluded.last_delivered_at)`,
}

export async function addCounts(db: Queryable, counts: readonly MinuteCounts[]): Promise<void> {
  if (counts.length === 0) return
  await db.query(ADD, [JSON.stringify(counts.map(asRow))])
}

function asRow(counts: MinuteCounts): Record<string, unknown> {
  const { subscriptionId, minuteAt, firstDeliveredAt, lastDeliveredAt } = counts
  return {
    id: subscriptionId,
    at: minuteAt / 1000,
    attempts: counts.attempts,
    failed: counts.failedAttempts,
    delivered: counts.delivered,
    dead: counts.dead,
    cancelled: counts.cancelled,
    attempt_buckets: counts.attemptBuckets,
    delivered_buckets: counts.deliveredBuckets,
    first_at: firstDeliveredAt === undefined ? null : firstDeliveredAt / 1000,
    last_at: lastDeliveredAt === undefined ? null : lastDeliveredAt / 1000,
  }
}

const REMOVE_MINUTES = /* sql */ `
  delete from walhook.delivery_counts
  where grain = 'minute' and at < now() - interval '2 hours'
     or grain = 'quarter' and at < now() - interval '7 days 1 hour'`

/** Nobody asks for those of a subscription that is gone. */
const REMOVE_OF_DELETED = /* sql */ `
  delete from walhook.delivery_counts as c
  where c.subscription_id <> '00000000-0000-0000-0000-000000000000'
    and not exists (select from walhook.subscriptions as s where s.id = c.subscription_id)`

/** Each in a transaction of its own; what they remove is added to no more. */
export async function removeOldCounts(db: Queryable): Promise<void> {
  await db.query(REMOVE_MINUTES)
  await db.query(REMOVE_OF_DELETED)
}
