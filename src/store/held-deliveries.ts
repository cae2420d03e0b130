/**
 * Who may attempt a delivery: taking it under a lease, giving it back, and finding what nobody holds. One claim
 * serves overflow, retries that are due, lapsed leases, resends and lost jobs: all are pending deliveries that wait.
 */
import type { SentBatch } from '../core/sent-batch.ts'
import { rfc3339, type OutboxEvent } from '../core/outbox-event.ts'
import type { Queryable } from './database.ts'
import type { RetryJob } from './jobs.ts'

export interface ClaimedDelivery {
  /** A bigint as text. */
  readonly id: string
  readonly subscriptionId: string
  /** Attempts made before this one, and how many of them belong to an earlier schedule. */
  readonly attempts: number
  readonly scheduleFrom: number
  /** The lease, as Postgres's text: it is compared, not computed with. */
  readonly heldUntil: string
  /** Undefined when the outbox has no such row: not visible yet, or deleted. */
  readonly event: OutboxEvent | undefined
  /** The batch in which the last attempt failed. */
  readonly batch: SentBatch | undefined
  /** A retry whose job should have rung long ago. */
  readonly hadNoJob: boolean
  /** No other of its key may be in anybody's hands. */
  readonly isOrdered: boolean
  /** Time since the fan-out, in milliseconds. */
  readonly ageMs: number
  /** It was not sent before and sent again, nor is its event older than its subscription. */
  readonly isFirstTime: boolean
  /** Its event is older than its subscription wants any, by the database's clock. */
  readonly isExpired: boolean
}

/** A scheduled retry whose job has not rung this long after it was due is taken without it. */
const LOST_JOB_AFTER_MS = 60_000

const FIND_WAITING = {
  name: 'walhook_find_waiting',
  text: /* sql */ `
    -- One index probe for each subscription that is owed something, however long its backlog.
    with recursive owed (subscription_id) as (
      (
        select d.subscription_id
        from walhook.deliveries as d
        where d.state = 'pending' and d.subscription_id > $1::uuid
        order by d.subscription_id
        limit 1
      )
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
    ),
    scanned as (select subscription_id from owed where subscription_id is not null limit $2)
    select
      scanned.subscription_id as "subscriptionId",
      -- As one row: an "exists" may be answered by reading all that waits, of every subscription.
      s.state = 'active' and (
        select true
        from walhook.deliveries as d
        where d.subscription_id = scanned.subscription_id
          and d.state = 'pending'
          and d.next_attempt_at <= now()
          and (not d.scheduled or d.next_attempt_at <= now() - $3::double precision * interval '1 millisecond')
        limit 1
      ) is true as waiting
    from scanned
    join walhook.subscriptions as s on s.id = scanned.subscription_id`,
}

/**
 * Looks through up to `limit` subscriptions after `cursor` that are owed anything. `cursor` of the answer is where to
 * go on, or undefined when the end was reached.
 */
export async function findWaiting(
  db: Queryable,
  cursor: string,
  limit: number,
): Promise<{ subscriptionIds: readonly string[]; cursor: string | undefined }> {
  const rows = await db.query<{ subscriptionId: string; waiting: boolean }>(FIND_WAITING, [
    cursor,
    limit,
    LOST_JOB_AFTER_MS,
  ])
  return {
    subscriptionIds: rows.filter((row) => row.waiting).map((row) => row.subscriptionId),
    cursor: rows.length < limit ? undefined : rows.at(-1)?.subscriptionId,
  }
}

const CLAIM = {
  name: 'walhook_claim',
  text: /* sql */ `
    with due as (
      select d.id, d.event_id, d.next_attempt_at, d.scheduled
      from unnest($1::uuid[], $2::int[]) as wanted (subscription_id, room)
      join walhook.subscriptions as s on s.id = wanted.subscription_id and s.state = 'active'
      cross join lateral (
        select d.id, d.event_id, d.next_attempt_at, d.scheduled
        from walhook.deliveries as d
        where d.subscription_id = wanted.subscription_id
          and d.state = 'pending'
          and d.next_attempt_at <= now()
          and (not d.scheduled or d.next_attempt_at <= now() - $3::double precision * interval '1 millisecond')
          -- Not "<> all": of a parameter that compares with each in turn, where this looks into a hash table.
          and d.id not in (select unnest($4::bigint[]))
          -- The first of its key, and none of it in anybody's hands.
          and (d.order_key is null or not exists (
            select
            from walhook.key_fronts as f
            where f.subscription_id = d.subscription_id
              and f.order_key = d.order_key
              and f.id <> d.id
              and (f.id < d.id or f.is_held)
          ))
        order by d.next_attempt_at, d.id
        limit wanted.room
        for update skip locked
      ) as d
      limit $5
    ),
    weighed as (
      select
        due.id, due.scheduled,
        sum(coalesce(octet_length(o.payload::text) + octet_length(o.headers::text), 0))
          over (order by due.next_attempt_at, due.id) as bytes_before_next
      from due
      left join walhook.outbox as o on o.id = due.event_id
    ),
    claimed as (
      update walhook.deliveries as d
      set next_attempt_at = now() + $6::double precision * interval '1 millisecond', scheduled = false
      from weighed
      where d.id = weighed.id and (weighed.bytes_before_next <= $7::bigint or weighed.id = (select min(id) from weighed))
      returning
        d.id, d.event_id, d.subscription_id, d.attempts, d.schedule_from, d.next_attempt_at, d.created_at,
        d.order_key is not null as is_ordered, d.batch_id, d.batch_size, weighed.scheduled as had_no_job
    )
    select
      c.id::text as id, c.subscription_id, c.attempts, c.schedule_from, c.next_attempt_at::text as held_until, c.had_no_job,
      c.is_ordered, c.batch_id, c.batch_size,
      extract(epoch from now() - c.created_at)::double precision * 1000 as age_ms,
      o.id as event_id, o.type, o.key, o.tenant, o.payload::text as payload, o.headers, o.created_at::text as created_at,
      c.schedule_from = 0 and coalesce(o.created_at >= s.created_at, false) as is_first_time,
      coalesce(o.created_at < now() - walhook.duration_ms(s.ttl) * interval '1 millisecond', false) as is_expired
    from claimed as c
    -- What was expunged can no more be sent than what is gone.
    left join walhook.outbox as o on o.id = c.event_id and o.expunged_at is null
    left join walhook.subscriptions as s on s.id = c.subscription_id
    order by c.id`,
}

export interface ClaimRequest {
  /** How many each subscription may get. */
  readonly room: ReadonlyMap<string, number>
  readonly limit: number
  readonly limitBytes: number
  /** Deliveries whose outcome this process has and could not record yet. */
  readonly unsettled: readonly string[]
  readonly leaseMs: number
}

interface ClaimRow {
  id: string
  subscription_id: string
  attempts: number
  schedule_from: number
  held_until: string
  had_no_job: boolean
  is_ordered: boolean
  batch_id: string | null
  batch_size: number | null
  age_ms: number
  is_first_time: boolean
  is_expired: boolean
  event_id: string | null
  type: string
  key: string | null
  tenant: string | null
  payload: string
  headers: Record<string, unknown>
  created_at: string
}

/** Takes waiting deliveries under a lease, the longest waiting of each subscription first. */
export async function claimWaiting(
  db: Queryable,
  request: ClaimRequest,
): Promise<readonly ClaimedDelivery[]> {
  const rows = await db.query<ClaimRow>(CLAIM, [
    [...request.room.keys()],
    [...request.room.values()],
    LOST_JOB_AFTER_MS,
    request.unsettled,
    request.limit,
    request.leaseMs,
    request.limitBytes,
  ])
  return rows.map((row) => ({
    id: row.id,
    subscriptionId: row.subscription_id,
    attempts: row.attempts,
    scheduleFrom: row.schedule_from,
    heldUntil: row.held_until,
    batch:
      row.batch_id === null || row.batch_size === null
        ? undefined
        : { id: row.batch_id, size: row.batch_size },
    hadNoJob: row.had_no_job,
    isOrdered: row.is_ordered,
    ageMs: row.age_ms,
    isFirstTime: row.is_first_time,
    isExpired: row.is_expired,
    event: row.event_id === null ? undefined : eventOf(row, row.event_id),
  }))
}

function eventOf(row: ClaimRow, id: string): OutboxEvent {
  const { type, key, tenant, payload, headers } = row
  return { id, type, key, tenant, payload, headers, timestamp: rfc3339(row.created_at) ?? row.created_at }
}

const RELEASE = /* sql */ `
  update walhook.deliveries as d
  set next_attempt_at = now() + $3::double precision * interval '1 millisecond'
  from unnest($1::bigint[], $2::timestamptz[]) as held (id, until)
  where d.id = any ($1::bigint[]) and d.id = held.id
    and d.state = 'pending' and not d.scheduled and d.next_attempt_at = held.until`

/** Gives leases back, so that whoever has room can go on at once, or after `afterMs`. A lease that has moved on is left. */
export async function releaseLeases(
  db: Queryable,
  held: readonly { readonly id: string; readonly heldUntil: string }[],
  afterMs: number,
): Promise<void> {
  if (held.length === 0) return
  await db.query(RELEASE, [held.map((h) => h.id), held.map((h) => h.heldUntil), afterMs])
}

const MAKE_DUE = /* sql */ `
  update walhook.deliveries as d
  set scheduled = false, next_attempt_at = least(d.next_attempt_at, now())
  from unnest($1::bigint[], $2::int[]) as job (delivery_id, attempt)
  where d.id = any ($1::bigint[]) and d.id = job.delivery_id and d.state = 'pending' and d.scheduled and d.attempts = job.attempt - 1
  returning d.subscription_id as "subscriptionId"`

/** A job has rung. Where that attempt is no longer owed, nothing happens. Returns the subscriptions that now wait. */
export async function makeDue(
  tx: Queryable,
  jobs: readonly Pick<RetryJob, 'deliveryId' | 'attempt'>[],
): Promise<readonly string[]> {
  const rows = await tx.query<{ subscriptionId: string }>(MAKE_DUE, [
    jobs.map((job) => job.deliveryId),
    jobs.map((job) => job.attempt),
  ])
  return [...new Set(rows.map((row) => row.subscriptionId))]
}
