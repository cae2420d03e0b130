/** Keys that wait behind a dead delivery, and letting them go on. */
import type { Queryable } from './database.ts'

/** A row of walhook.blocked_keys. */
export type BlockedKey = Readonly<{
  subscription_id: string
  url: string
  /** Null where the outbox no longer has the event. */
  key: string | null
  /** A bigint as text. */
  delivery_id: string
  since: string
  waiting: number
  last_status: number | null
  last_error: string | null
}>

/** The longest blocked first. */
export function listBlockedKeys(
  db: Queryable,
  { subscriptionId, limit }: { readonly subscriptionId?: string | undefined; readonly limit: number },
): Promise<BlockedKey[]> {
  return db.query<BlockedKey>(
    /* sql */ `
    select
      subscription_id, url, key, delivery_id::text as delivery_id, since::text as since, waiting::integer as waiting,
      last_status, last_error
    from walhook.blocked_keys as b
    where $1::uuid is null or subscription_id = $1
    order by b.since, b.delivery_id
    limit $2`,
    [subscriptionId ?? null, limit],
  )
}

/** Returns the ids of the dead deliveries that block it no longer. Errors: Postgres's P0002 where none does. */
export async function releaseKey(
  db: Queryable,
  subscriptionId: string,
  key: string,
): Promise<readonly string[]> {
  const rows = await db.query<{ id: string }>(
    'select released::text as id from walhook.release_key($1::uuid, $2::text) as released',
    [subscriptionId, key],
  )
  return rows.map(({ id }) => id)
}
