/** Finding a subscription by what it asks for, so that making it twice makes one. */
import type { SubscriptionOptions } from '../core/subscription-options.ts'
import type { Queryable } from './database.ts'

export interface SubscriptionWish {
  readonly url: string
  readonly options: SubscriptionOptions
}

export interface FoundSubscription {
  readonly id: string
  readonly state: string
  /** As it stands there: plain or sealed. */
  readonly storedSecret: string
}

/** Held until the transaction ends: of two that look for the same URL, the second finds what the first made. */
export async function lockUrl(tx: Queryable, url: string): Promise<void> {
  await tx.query(`select pg_advisory_xact_lock(hashtextextended('walhook.subscribe ' || $1, 0))`, [url])
}

/** The oldest with this URL, this tenant or none, and these event types in any order. */
export async function findSubscription(
  tx: Queryable,
  { url, options }: SubscriptionWish,
): Promise<FoundSubscription | undefined> {
  const [found] = await tx.query<FoundSubscription>(
    /* sql */ `
    select id, state, secret as "storedSecret"
    from walhook.subscriptions
    where url = $1
      and event_types @> $2::text[]
      and event_types <@ $2::text[]
      and tenant is not distinct from $3
    order by created_at, id
    limit 1`,
    [url, options.event_types ?? ['*'], options.tenant ?? null],
  )
  return found
}

/** Whether it is there, and is this tenant's; with null, whether it is there. */
export async function isSubscriptionOf(db: Queryable, id: string, tenant: string | null): Promise<boolean> {
  const found = await db.query(
    /* sql */ `
    select from walhook.subscriptions where id = $1::uuid and ($2::text is null or tenant = $2)`,
    [id, tenant],
  )
  return found.length > 0
}
