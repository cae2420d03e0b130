/** Deliveries as they happen: attempts that were recorded lately, and deliveries that ended without one. */
import type { Queryable } from './database.ts'
import type { DeliveryWish } from './delivery-pages.ts'

/** Timestamps are Postgres's text, in UTC. */
export type TailRow = Readonly<{
  /** Of the attempt's start, or of the end without one. */
  at: string
  /** A bigint as text. */
  delivery_id: string
  event_id: string
  event_type: string | null
  key: string | null
  tenant: string | null
  subscription_id: string
  url: string | null
  /** Of the attempt; null where there was none. */
  attempt: number | null
  duration_ms: number | null
  status: number | null
  error: string | null
  /** As it is by now. */
  state: string
  next_attempt_at: string | null
}>

/**
 * What began or ended since `since`, at most `limit` and the newest of it, in the order of time. An attempt is there once it is over:
 * whoever asks again has to begin earlier than it ended, by the longest that one may take.
 */
export function tailDeliveries(
  db: Queryable,
  wish: DeliveryWish,
  since: string,
  limit: number,
): Promise<readonly TailRow[]> {
  return db.query<TailRow>(
    /* sql */ `
    with happened as (
      select a.delivery_id, a.started_at as at, a.number as attempt, a.duration_ms, a.response_status as status, a.error
      from walhook.attempts as a
      where a.started_at >= $1::timestamptz
      union all
      select d.id, d.finished_at, null, null, null, d.last_error
      from walhook.deliveries as d
      where d.finished_at >= $1::timestamptz
        and (d.state = 'cancelled' or d.state = 'dead' and d.last_error = 'event_missing')
    )
    select shown.*
    from (
      select
        h.at::text as at, v.id::text as delivery_id, v.event_id, v.event_type, v.key, v.tenant, v.subscription_id, v.url,
        h.attempt, h.duration_ms, h.status, h.error, v.state, v.next_attempt_at::text as next_attempt_at
      from happened as h
      join walhook.delivery_status as v on v.id = h.delivery_id
      where ($2::text is null or v.state = $2)
        and ($3::uuid is null or v.subscription_id = $3)
        and ($4::uuid is null or v.event_id = $4)
        and ($5::text is null or v.event_type = $5 or ($5 like '%*' and starts_with(v.event_type, left($5, -1))))
        and ($6::text is null or v.key = $6)
        and ($7::text is null or v.tenant = $7)
        and ($8::integer is null or h.status between $8 and $9)
        and ($10::text is null or h.error = $10)
      order by h.at desc, v.id desc
      limit $11
    ) as shown
    order by shown.at, shown.delivery_id::bigint`,
    [
      since,
      wish.state ?? null,
      wish.subscriptionId ?? null,
      wish.eventId ?? null,
      wish.eventType ?? null,
      wish.key ?? null,
      wish.tenant ?? null,
      wish.status?.from ?? null,
      wish.status?.to ?? null,
      wish.error ?? null,
      limit,
    ],
  )
}

/** The database's clock: an operator's may be another. */
export async function databaseTime(db: Queryable): Promise<number> {
  const [row] = await db.query<{ now: number }>(
    'select extract(epoch from now())::double precision * 1000 as now',
  )
  return row?.now ?? Number.NaN
}
