/** What a delivery's request would look like now, as far as no secret is in it. */
import { rfc3339, type OutboxEvent } from '../core/outbox-event.ts'
import type { RequestOptions } from '../core/request-form.ts'
import type { Queryable } from './database.ts'

export interface DeliveryRequest {
  /** Made so far. */
  readonly attempts: number
  readonly url: string
  readonly options: RequestOptions
  /** Undefined where the outbox does not have it any more, or it was expunged. */
  readonly event: OutboxEvent | undefined
}

interface Row {
  attempts: number
  url: string
  method: RequestOptions['method']
  body: RequestOptions['body']
  headers: Record<string, string>
  forward_headers: string[]
  header_prefix: string | null
  event_id: string | null
  type: string
  key: string | null
  tenant: string | null
  payload: string
  event_headers: Record<string, unknown>
  created_at: string
}

/** Undefined where there is no such delivery, its subscription is gone, or it is not `ofTenant`'s. */
export async function findDeliveryRequest(
  db: Queryable,
  deliveryId: string,
  ofTenant?: string,
): Promise<DeliveryRequest | undefined> {
  const [row] = await db.query<Row>(
    /* sql */ `
    select
      d.attempts, s.url, s.method, s.body, walhook.masked_headers(s.headers) as headers, s.forward_headers, s.header_prefix,
      o.id as event_id, o.type, o.key, o.tenant, o.payload::text as payload, o.headers as event_headers,
      o.created_at::text as created_at
    from walhook.deliveries as d
    join walhook.subscriptions as s on s.id = d.subscription_id
    left join walhook.outbox as o on o.id = d.event_id and o.expunged_at is null
    where d.id = $1::bigint and ($2::text is null or s.tenant = $2)`,
    [deliveryId, ofTenant ?? null],
  )
  if (row === undefined) return undefined
  const { attempts, url, method, body, headers, forward_headers: forwardHeaders } = row
  const headerPrefix = row.header_prefix ?? undefined
  return {
    attempts,
    url,
    options: { method, body, headers, forwardHeaders, headerPrefix },
    event: row.event_id === null ? undefined : eventOf(row, row.event_id),
  }
}

function eventOf(row: Row, id: string): OutboxEvent {
  const { type, key, tenant, payload, event_headers: headers, created_at: createdAt } = row
  return { id, type, key, tenant, payload, headers, timestamp: rfc3339(createdAt) ?? createdAt }
}
