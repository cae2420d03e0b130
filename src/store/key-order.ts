/**
 * Order by key, as far as claims keep it: what is not the first of its key is put behind, and two claims that could not
 * see each other let go again. Where the rest happens, and why nothing is forgotten: sql/key_order.sql.
 */
import type { Queryable } from './database.ts'
import { type ClaimedDelivery, type ClaimRequest, claimWaiting, releaseLeases } from './held-deliveries.ts'

/**
 * A statement of its own, and a short one with a short answer: what it locks are deliveries that other processes hold and
 * are about to settle. It waits for nobody: what is locked is left for the next time.
 */
const QUEUE_UP = {
  name: 'walhook_queue_up',
  text: /* sql */ `
    with candidate as (
      select c.id, c.subscription_id, c.order_key
      from walhook.subscriptions as s
      cross join lateral (
        select d.id, d.subscription_id, d.order_key
        from walhook.deliveries as d
        where d.subscription_id = s.id and d.state = 'pending' and not d.scheduled and d.next_attempt_at <= now()
        order by d.next_attempt_at, d.id
        limit $2
      ) as c
      where s.id = any ($1::uuid[]) and s.ordering = 'key'
    ),
    front as (
      select c.id, f.holds_until
      from candidate as c
      cross join lateral (
        select f.holds_until
        from walhook.key_fronts as f
        where f.subscription_id = c.subscription_id
          and f.order_key = c.order_key
          and f.id <> c.id
          and (f.id < c.id or f.is_held)
        order by f.id
        limit 1
        -- It does not end before this is committed; one that is ending already is not to be waited for.
        for share skip locked
      ) as f
    ),
    behind as (
      select d.id, front.holds_until
      from front
      join walhook.deliveries as d on d.id = front.id
      -- Pending, said in a way that finds each by its id: the index of what is pending was read whole for each of 2,000.
      where d.finished_at is null and not d.scheduled and d.next_attempt_at <= now()
      for no key update of d skip locked
    ),
    queued as (
      update walhook.deliveries as d
      set next_attempt_at = behind.holds_until
      from behind
      where d.id = behind.id
      returning d.id, d.subscription_id
    )
    select c.subscription_id as "subscriptionId"
    from candidate as c
    left join queued as q on q.id = c.id
    group by c.subscription_id
    having count(*) = $2 and count(q.id) > 0`,
}

/** Deliveries looked through at a time, of each subscription. */
const LOOK_THROUGH = 2_000

/**
 * Puts behind what is not the first of its key. Returns the subscriptions of which there is more to look through: they had
 * better not be claimed from yet.
 */
export async function queueUp(
  db: Queryable,
  subscriptionIds: readonly string[],
): Promise<ReadonlySet<string>> {
  if (subscriptionIds.length === 0) return new Set()
  const rows = await db.query<{ subscriptionId: string }>(QUEUE_UP, [subscriptionIds, LOOK_THROUGH])
  return new Set(rows.map((row) => row.subscriptionId))
}

const FIND_CONTESTED = {
  name: 'walhook_find_contested',
  text: /* sql */ `
    select distinct d.id::text as id
    from unnest($1::bigint[]) as claimed (id)
    join walhook.deliveries as d on d.id = claimed.id
    join walhook.key_fronts as f
      on f.subscription_id = d.subscription_id and f.order_key = d.order_key and f.id <> d.id and f.is_held`,
}

/**
 * Which of these, claimed just now, have another of their key in somebody's hands. That happens where a delivery was put
 * back on its way between the snapshots of two claims. Each claim looks once it is committed, so that the later one
 * sees the earlier; whoever sees another lets go.
 */
async function findContested(
  db: Queryable,
  claimed: readonly { readonly id: string; readonly isOrdered: boolean }[],
): Promise<ReadonlySet<string>> {
  const ordered = claimed.filter(({ isOrdered }) => isOrdered).map(({ id }) => id)
  if (ordered.length === 0) return new Set()
  const rows = await db.query<{ id: string }>(FIND_CONTESTED, [ordered])
  return new Set(rows.map(({ id }) => id))
}

/** A claim that lets go of what is contested. */
export async function claimUncontested(
  db: Queryable,
  request: ClaimRequest,
): Promise<readonly ClaimedDelivery[]> {
  const claimed = await claimWaiting(db, request)
  const contested = await findContested(db, claimed)
  if (contested.size === 0) return claimed
  await releaseLeases(
    db,
    claimed.filter(({ id }) => contested.has(id)),
    0,
  )
  return claimed.filter(({ id }) => !contested.has(id))
}
