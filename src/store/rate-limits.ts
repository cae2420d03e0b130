/** How much of a subscription's rate is used, counted where all replicas see it. */
import type { RateLimit } from '../core/subscription.ts'
import type { Queryable } from './database.ts'

const RESERVE = {
  name: 'walhook_reserve_permits',
  // The generic cell rate algorithm: free_at is when all that was granted will have been earned. It may lie ahead by a burst.
  text: /* sql */ `
    insert into walhook.rate_limits as r (subscription_id, granted, free_at)
    select w.id, least(w.want, w.burst), clock_timestamp() + least(w.want, w.burst) * w.every
    from (
      select id, want, burst, interval '1 second' / per_second as every
      from unnest($1::uuid[], $2::int[], $3::double precision[], $4::int[]) as w (id, want, per_second, burst)
    ) as w
    join walhook.subscriptions as s on s.id = w.id
    order by w.id
    on conflict (subscription_id) do update
    set (granted, free_at) = (
      select g.granted, greatest(r.free_at, g.at) + g.granted * g.every
      from (
        select
          t.at, t.every,
          greatest(0, least(
            t.want,
            floor(t.burst - extract(epoch from greatest(r.free_at - t.at, interval '0')) / extract(epoch from t.every))
          ))::integer as granted
        from (
          select clock_timestamp() as at, w.want, w.burst, interval '1 second' / w.per_second as every
          from unnest($1::uuid[], $2::int[], $3::double precision[], $4::int[]) as w (id, want, per_second, burst)
          where w.id = r.subscription_id
        ) as t
      ) as g
    )
    returning
      r.subscription_id as "subscriptionId",
      r.granted,
      extract(epoch from r.free_at - clock_timestamp())::double precision * 1000 as "freeInMs"`,
}

interface GrantRow {
  subscriptionId: string
  granted: number
  freeInMs: number
}

/** Grants as many requests as there may be now, of each up to what is wanted. One statement and its own transaction. */
export async function reservePermits(
  db: Queryable,
  wishes: readonly { readonly subscriptionId: string; readonly rate: RateLimit; readonly want: number }[],
): Promise<readonly { subscriptionId: string; granted: number; againInMs: number }[]> {
  const rows = await db.query<GrantRow>(RESERVE, [
    wishes.map(({ subscriptionId }) => subscriptionId),
    wishes.map(({ want }) => want),
    wishes.map(({ rate }) => rate.perSecond),
    wishes.map(({ rate }) => rate.burst),
  ])
  const rates = new Map(wishes.map(({ subscriptionId, rate }) => [subscriptionId, rate]))
  return rows.map(({ subscriptionId, granted, freeInMs }) => {
    const rate = rates.get(subscriptionId)
    const earnedInMs = rate === undefined ? 0 : freeInMs - ((rate.burst - 1) / rate.perSecond) * 1000
    return { subscriptionId, granted, againInMs: Math.max(1, Math.ceil(earnedInMs)) }
  })
}
