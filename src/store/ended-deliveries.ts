/** Deliveries that end without an attempt: their event is gone, or came too late. Fenced by the lease under which they were taken. */
import type { Database, Queryable } from './database.ts'
import { tellDead } from './operator-events.ts'

const ABANDON = /* sql */ `
  update walhook.deliveries as d
  set state = 'dead', last_error = $3, next_attempt_at = null, scheduled = false, finished_at = now()
  from unnest($1::bigint[], $2::timestamptz[]) as held (id, until)
  where d.id = held.id and d.state = 'pending' and d.next_attempt_at = held.until
  returning d.id::text as id, d.subscription_id as "subscriptionId"`

/** Dead letters without an attempt, for what cannot be sent at all. Returns those that were still the caller's to end. */
export async function abandonDeliveries(
  database: Database,
  held: readonly { readonly id: string; readonly heldUntil: string }[],
  reason: 'event_missing',
): Promise<readonly { readonly id: string; readonly subscriptionId: string }[]> {
  if (held.length === 0) return []
  return database.transaction(async (tx) => {
    const ids = held.map((h) => h.id)
    const dead = await tx.query<{ id: string; subscriptionId: string }>(ABANDON, [
      ids,
      held.map((h) => h.heldUntil),
      reason,
    ])
    await tellDead(
      tx,
      dead.map(({ id }) => id),
    )
    return dead
  })
}

const EXPIRE = /* sql */ `
  update walhook.deliveries as d
  set state = 'cancelled', last_error = 'expired', next_attempt_at = null, scheduled = false, finished_at = now()
  from unnest($1::bigint[], $2::timestamptz[]) as held (id, until)
  where d.id = held.id and d.state = 'pending' and not d.scheduled and d.next_attempt_at = held.until
  returning d.id::text as id`

/** Cancels what is older than its subscription wants it. Returns the ids of those that were still the caller's to cancel. */
export async function expireDeliveries(
  db: Queryable,
  held: readonly { readonly id: string; readonly heldUntil: string }[],
): Promise<readonly string[]> {
  if (held.length === 0) return []
  const rows = await db.query<{ id: string }>(EXPIRE, [held.map((h) => h.id), held.map((h) => h.heldUntil)])
  return rows.map(({ id }) => id)
}
