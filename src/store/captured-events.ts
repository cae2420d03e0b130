/**
 * Copies of events that were not written to our outbox: with them everything behind finds those events where it finds all
 * others. A copy is marked, and passed over when it comes back over the log: its deliveries are made in its own transaction.
 */
import type { Captured, OutboxEvent } from '../core/outbox-event.ts'
import type { Queryable } from './database.ts'

export interface CapturedEvent {
  readonly event: OutboxEvent
  readonly captured: Captured
}

const CAPTURE = {
  name: 'walhook_capture_events',
  text: /* sql */ `
    insert into walhook.outbox (id, type, key, tenant, payload, headers, created_at, captured_from)
    select c.id, c.type, c.key, c.tenant, c.payload::json, c.headers::json, c.created_at, c.captured_from
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[])
      as c (id, type, key, tenant, payload, headers, created_at, captured_from)
    on conflict (id) do nothing
    returning id`,
}

/** Its id is another event's: whoever loaded it by that id would send the other one's payload. */
class IdTaken extends Error {
  /** unique_violation: the fault is the row's, as of one that the outbox's own key refuses. */
  readonly code = '23505'
}

const FIND_TAKEN = /* sql */ `
  select c.id
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) as c (id, type, tenant, key, captured_from)
  join walhook.outbox as o on o.id = c.id
  where (o.captured_from, o.type, o.tenant, o.key) is distinct from (c.captured_from, c.type, c.tenant, c.key)
  limit 1`

/** What was captured already is left alone. Errors: 23505 where an id is taken by an event from elsewhere. */
export async function captureEvents(tx: Queryable, events: readonly CapturedEvent[]): Promise<void> {
  if (events.length === 0) return
  const made = await tx.query<{ id: string }>(CAPTURE, [
    events.map(({ event }) => event.id),
    events.map(({ event }) => event.type),
    events.map(({ event }) => event.key),
    events.map(({ event }) => event.tenant),
    events.map(({ event }) => event.payload),
    events.map(({ captured }) => captured.headers),
    events.map(({ event }) => event.timestamp),
    events.map(({ captured }) => captured.from),
  ])
  if (made.length === events.length) return
  const taken = await tx.query<{ id: string }>(FIND_TAKEN, [
    events.map(({ event }) => event.id),
    events.map(({ event }) => event.type),
    events.map(({ event }) => event.tenant),
    events.map(({ event }) => event.key),
    events.map(({ captured }) => captured.from),
  ])
  if (taken.length > 0) throw new IdTaken('the id is taken by another event')
}
