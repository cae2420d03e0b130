/** Test events: made with their one delivery, taken in hand when they come over the log, and looked at until their outcome is there. */
import { rfc3339 } from '../core/outbox-event.ts'
import type { Queryable } from './database.ts'
import type { RecordedDelivery, Room } from './fan-out.ts'

export interface SentTest {
  readonly eventId: string
  /** A bigint as text. */
  readonly deliveryId: string
}

/** Undefined where there is no such subscription. Errors: Postgres's 22023 of column state, where it is not active. */
export async function sendTest(
  db: Queryable,
  subscriptionId: string,
  tenant: string | null,
): Promise<SentTest | undefined> {
  const [sent] = await db.query<SentTest>(
    /* sql */ `
    select t.event_id as "eventId", t.delivery_id::text as "deliveryId"
    from walhook.subscriptions as s
    cross join lateral walhook.test_subscription(s.id) as t
    where s.id = $1 and ($2::text is null or s.tenant = $2)`,
    [subscriptionId, tenant],
  )
  return sent
}

const HOLD = /* sql */ `
  with found as (
    select d.id
    from walhook.deliveries as d
    join walhook.subscriptions as s on s.id = d.subscription_id
    where d.event_id = any ($1::uuid[])
      and d.state = 'pending' and d.attempts = 0 and not d.scheduled
      -- As walhook.test_subscription left it: a lease of anybody's ends later.
      and d.next_attempt_at <= d.created_at + interval '1 second'
      and s.state = 'active' and s.id <> all ($2::uuid[])
    order by d.id
    limit $3
    for update of d skip locked
  )
  update walhook.deliveries as d
  set next_attempt_at = now() + $4::double precision * interval '1 millisecond'
  from found
  where d.id = found.id
  returning
    d.id::text as id, d.event_id as "eventId", d.subscription_id as "subscriptionId", d.next_attempt_at::text as "heldUntil",
    null as "dueAt"`

/**
 * Under the relay's own lease, like what it fans out, so that a test does not wait behind a backlog. What it does not get (no room, not
 * visible yet, in somebody's hands) waits in the database like any other delivery. Repeating it is harmless.
 */
export function holdTests(
  tx: Queryable,
  eventIds: readonly string[],
  room: Room,
): Promise<readonly RecordedDelivery[]> {
  return tx.query<RecordedDelivery>(HOLD, [eventIds, room.fullSubscriptions, room.deliveries, room.leaseMs])
}

export interface TestOutcome {
  readonly delivery_id: string
  readonly event_id: string
  readonly state: 'pending' | 'delivered' | 'dead' | 'cancelled'
  /** While pending: what it waits as. */
  readonly waits_as: string | null
  readonly next_attempt_at: string | null
  /** The last one; null before there was one. */
  readonly attempt: {
    readonly number: number
    readonly duration_ms: number
    readonly response_status: number | null
    readonly error: string | null
    readonly response_body: string | null
  } | null
}

const READ = /* sql */ `
  select
    d.id::text as delivery_id, d.event_id, d.state, v.waits_as, v.next_attempt_at::text as next_attempt_at,
    (
      select to_jsonb(a)
      from (
        select a.number, a.duration_ms, a.response_status, a.error, a.response_body
        from walhook.attempts as a
        where a.delivery_id = d.id and a.started_at >= d.created_at - interval '1 minute'
        order by a.number desc
        limit 1
      ) as a
    ) as attempt
  from walhook.deliveries as d
  join walhook.delivery_status as v on v.id = d.id
  where d.id = $1`

export async function readTest(db: Queryable, deliveryId: string): Promise<TestOutcome | undefined> {
  const [found] = await db.query<TestOutcome>(READ, [deliveryId])
  if (found === undefined) return undefined
  const { next_attempt_at: next } = found
  return { ...found, next_attempt_at: next === null ? null : (rfc3339(next) ?? next) }
}
