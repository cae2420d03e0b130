/**
 * What a person asks about deliveries. The columns bear the names of `walhook.delivery_status` and `walhook.attempts`,
 * so that a program reads the same words from here as from psql; timestamps are Postgres's text, in UTC.
 */
import type { Queryable } from './database.ts'

export const DELIVERY_STATES = ['pending', 'delivered', 'dead', 'cancelled'] as const
export type DeliveryState = (typeof DELIVERY_STATES)[number]

/** A row of walhook.delivery_status. */
export type DeliveryStatus = Readonly<{
  /** A bigint as text. */
  id: string
  state: DeliveryState
  event_type: string | null
  key: string | null
  tenant: string | null
  url: string | null
  attempts: number
  last_status: number | null
  last_error: string | null
  waits_as: string | null
  next_attempt_at: string | null
  created_at: string
  finished_at: string | null
  event_id: string
  subscription_id: string
}>

/** Undefined where there is none, or its subscription is not `ofTenant`'s. */
export async function findDelivery(
  db: Queryable,
  id: string,
  ofTenant?: string,
): Promise<DeliveryStatus | undefined> {
  const [found] = await db.query<DeliveryStatus>(
    /* sql */ `
    select
      id::text as id, state, event_type, key, tenant, url, attempts, last_status, last_error, waits_as,
      next_attempt_at::text as next_attempt_at, created_at::text as created_at, finished_at::text as finished_at,
      event_id, subscription_id
    from walhook.delivery_status as v
    where id = $1::bigint
      and ($2::text is null or exists (select from walhook.subscriptions as s where s.id = v.subscription_id and s.tenant = $2))`,
    [id, ofTenant ?? null],
  )
  return found
}

/** A row of walhook.attempts. */
export type AttemptReport = Readonly<{
  number: number
  started_at: string
  duration_ms: number
  response_status: number | null
  error: string | null
  /** What an endpoint sent, capped: anything may be in it. */
  response_body: string | null
  /** The `webhook-id` of the request, where it was a batch. */
  batch_id: string | null
}>

/** In order, for as long as they are kept. */
export function listAttempts(db: Queryable, deliveryId: string): Promise<AttemptReport[]> {
  return db.query<AttemptReport>(
    /* sql */ `
    select number, started_at::text as started_at, duration_ms, response_status, error, response_body, batch_id
    from walhook.attempts
    where delivery_id = $1::bigint
    order by number, attempts.started_at`,
    [deliveryId],
  )
}

export type DeliveryCount = Readonly<{ state: DeliveryState; deliveries: number; attempts: number }>

export function countDeliveries(db: Queryable): Promise<DeliveryCount[]> {
  return db.query<DeliveryCount>(/* sql */ `
    select state, count(*)::int as deliveries, sum(attempts)::int as attempts
    from walhook.deliveries
    group by state
    order by state`)
}
