/**
 * Events of the tenant `walhook`, which Walhook writes into the outbox itself, in the transaction that changed what they
 * tell of. None is written where nobody asks for it, nor about a subscription of the tenant `walhook`.
 */
import type { Queryable } from './database.ts'

const TELL_DEAD = {
  name: 'walhook_tell_dead',
  text: /* sql */ `
    insert into walhook.outbox (type, key, tenant, payload)
    select
      'walhook.delivery.dead', d.subscription_id::text, 'walhook',
      (
        walhook.subscription_facts(s)
        || jsonb_build_object(
          'delivery_id', d.id::text, 'event_id', d.event_id, 'event_type', o.type, 'event_key', o.key,
          'event_tenant', o.tenant, 'attempts', d.attempts, 'last_status', d.last_status, 'last_error', d.last_error,
          'recorded_at', d.created_at
        )
      )::json
    from walhook.deliveries as d
    join walhook.subscriptions as s on s.id = d.subscription_id
    -- Under synchronous replication it may not be visible yet.
    left join walhook.outbox as o on o.id = d.event_id
    where d.id = any ($1::bigint[])
      and s.tenant is distinct from 'walhook'
      and (select walhook.is_operator_event_wanted('walhook.delivery.dead'))
    order by d.id`,
}

/** The caller leaves out deliveries of operator events. */
export async function tellDead(tx: Queryable, deliveryIds: readonly string[]): Promise<void> {
  if (deliveryIds.length === 0) return
  await tx.query(TELL_DEAD, [deliveryIds])
}

/** Once an episode, whichever replica notices first. */
export async function tellSlotAtRisk(
  db: Queryable,
  slotName: string,
  facts: Readonly<Record<string, unknown>>,
): Promise<void> {
  await db.query(
    /* sql */ `
    with begun as (
      update walhook.relay
      set at_risk_since = now()
      where slot_name = $1 and at_risk_since is null
      returning slot_name
    )
    select walhook.tell_operators('walhook.slot.at_risk', slot_name, $2::jsonb) from begun`,
    [slotName, JSON.stringify(facts)],
  )
}

export async function endSlotRisk(db: Queryable, slotName: string): Promise<void> {
  await db.query(
    'update walhook.relay set at_risk_since = null where slot_name = $1 and at_risk_since is not null',
    [slotName],
  )
}
