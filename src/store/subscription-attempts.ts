/** The attempts of one subscription, page by page. */
import { rfc3339 } from '../core/outbox-event.ts'
import type { Queryable } from './database.ts'

export type SubscriptionAttempt = Readonly<{
  /** A bigint as text. */
  delivery_id: string
  event_id: string
  number: number
  started_at: string
  duration_ms: number
  response_status: number | null
  error: string | null
  response_body: string | null
  batch_id: string | null
}>

export interface AttemptPlace {
  readonly deliveryId: string
  readonly number: number
}

const LIST = /* sql */ `
  select
    d.id::text as delivery_id, d.event_id, a.number, a.started_at::text as started_at, a.duration_ms, a.response_status, a.error,
    a.response_body, a.batch_id
  from walhook.deliveries as d
  join walhook.attempts as a on a.delivery_id = d.id and a.started_at >= d.created_at - interval '1 minute'
  where d.subscription_id = $1 and d.attempts > 0
    and ($2::bigint is null or d.id <= $2 and (d.id, a.number) < ($2, $3::int))
  order by d.id desc, a.number desc
  limit $4`

/** By delivery, the newest first, and of each the last attempt first; those behind `after`. Whose it is, the caller knows. */
export async function listSubscriptionAttempts(
  db: Queryable,
  subscriptionId: string,
  after: AttemptPlace | undefined,
  limit: number,
): Promise<readonly SubscriptionAttempt[]> {
  const rows = await db.query<SubscriptionAttempt>(LIST, [
    subscriptionId,
    after?.deliveryId ?? null,
    after?.number ?? null,
    limit,
  ])
  return rows.map((row) => ({ ...row, started_at: rfc3339(row.started_at) ?? row.started_at }))
}
