/** Events → deliveries, in one statement. Repeating it is harmless: a pair of event and subscription exists once. */
import { formatLsn, type Lsn } from '../core/lsn.ts'
import type { OutboxEvent } from '../core/outbox-event.ts'
import type { Queryable } from './database.ts'
import type { Delays } from './delays.ts'

export interface CommittedEvent {
  readonly event: OutboxEvent
  /** Where its transaction's commit record begins: at or after a subscription's `active_from_lsn`, it is owed. */
  readonly commitLsn: Lsn
}

/** How much the dispatcher takes; what is beyond is recorded as waiting, for whoever has room. */
export interface Room {
  readonly deliveries: number
  /** Subscriptions whose endpoints cannot take more now. */
  readonly fullSubscriptions: readonly string[]
  readonly leaseMs: number
}

export interface RecordedDelivery {
  /** A bigint as text. */
  readonly id: string
  readonly eventId: string
  readonly subscriptionId: string
  /** The lease under which this process holds it; null when it waits instead. */
  readonly heldUntil: string | null
  /** When its first attempt is due, where its event is delayed; it needs a job then. */
  readonly dueAt: Date | null
}

const FAN_OUT = {
  name: 'walhook_fan_out',
  text: /* sql */ `
    with event as (
      select
        e.id, e.type, e.tenant, e.payload, e.commit_lsn, e.key, e.position, e.deliver_at,
        coalesce(e.deliver_at > now(), false) as delayed
      from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::pg_lsn[], $9::text[], $10::timestamptz[])
        with ordinality as e (id, type, tenant, payload, commit_lsn, key, deliver_at, position)
    ),
    owed as (
      select
        e.position,
        e.id as event_id,
        m.subscription_id,
        e.delayed,
        e.deliver_at,
        -- Asked here too: the call itself costs, once a delivery.
        case when m.ordering = 'key' then walhook.order_key(m.ordering, e.key) end as order_key,
        m.state = 'active'
          and not e.delayed
          -- Whether it is the first of its key is the claim's to find out.
          and (m.ordering = 'none' or e.key is null)
          and m.subscription_id not in (select unnest($6::uuid[]))
          and row_number() over (order by e.position, m.subscription_id) <= $7::bigint as held
      from event as e
      cross join lateral walhook.matching_subscriptions(e.type, e.tenant, e.payload) as m
      where m.active_from_lsn <= e.commit_lsn
    )
    insert into walhook.deliveries as d (event_id, subscription_id, order_key, next_attempt_at, scheduled)
    select
      event_id,
      subscription_id,
      order_key,
      case
        when delayed then deliver_at
        when held then now() + $8::double precision * interval '1 millisecond'
        else now()
      end,
      delayed
    from owed
    order by position, subscription_id
    on conflict (event_id, subscription_id) do nothing
    returning
      d.id::text as id,
      d.event_id as "eventId",
      d.subscription_id as "subscriptionId",
      case when d.next_attempt_at > now() and not d.scheduled then d.next_attempt_at::text end as "heldUntil",
      case when d.scheduled then d.next_attempt_at end as "dueAt"`,
}

/** In commit order of the events. What is recorded already is left alone and not returned. */
export async function fanOut(
  tx: Queryable,
  events: readonly CommittedEvent[],
  room: Room,
  delays: Delays,
): Promise<readonly RecordedDelivery[]> {
  if (events.length === 0) return []
  return tx.query<RecordedDelivery>(FAN_OUT, [
    events.map(({ event }) => event.id),
    events.map(({ event }) => event.type),
    events.map(({ event }) => event.tenant),
    events.map(({ event }) => event.payload),
    events.map(({ commitLsn }) => formatLsn(commitLsn)),
    room.fullSubscriptions,
    room.deliveries,
    room.leaseMs,
    events.map(({ event }) => event.key),
    events.map(({ event }) => delays.dueAt.get(event.id) ?? null),
  ])
}
