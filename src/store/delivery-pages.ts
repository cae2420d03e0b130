/**
 * Deliveries in pages, the newest first. A page begins behind an id and not behind a count, so it does not shift. What no index
 * finds is looked for among so many deliveries a page: such a page may be short, and says where to go on even so.
 */
import type { StatusRange } from '../core/status-range.ts'
import type { Queryable } from './database.ts'
import type { DeliveryState, DeliveryStatus } from './delivery-reports.ts'

export interface DeliveryWish {
  /** Only of this tenant's own subscriptions: who asks may see no others. */
  readonly ofTenant?: string | undefined
  readonly state?: DeliveryState | undefined
  readonly subscriptionId?: string | undefined
  readonly eventId?: string | undefined
  /** A type, or a pattern that ends in `*`. */
  readonly eventType?: string | undefined
  readonly key?: string | undefined
  readonly tenant?: string | undefined
  /** Recorded then or later; timestamps as Postgres reads them. */
  readonly since?: string | undefined
  /** Recorded before. */
  readonly until?: string | undefined
  /** Of the last attempt. */
  readonly status?: StatusRange | undefined
  readonly error?: string | undefined
}

export interface DeliveryPage {
  readonly rows: readonly DeliveryStatus[]
  /** The id behind which the next page begins; undefined where this is the last one. */
  readonly beforeId: string | undefined
}

/** Deliveries that a page looks through, for what no index finds. */
const LOOK_THROUGH = 20_000

const PAGE = /* sql */ `
  with looked as materialized (
    select looked.id
    from (
      (
        select d.id
        from walhook.deliveries as d
        where $1::text is null
          and ($2::bigint is null or d.id < $2)
          and ($3::text is null or d.state = $3)
          and ($4::uuid is null or d.subscription_id = $4)
          and ($5::uuid is null or d.event_id = $5)
          and ($6::timestamptz is null or d.created_at >= $6 and d.id >= walhook.delivery_id_at($6 - interval '5 minutes'))
          and ($7::timestamptz is null or d.created_at < $7 and d.id < walhook.delivery_id_at($7 + interval '5 minutes'))
        order by d.id desc
        limit $8
      )
      union all
      -- Each subscription by itself: so many of each are all that can be among so many of all.
      (
        select own.id
        from walhook.subscriptions as s
        cross join lateral (
          select d.id
          from walhook.deliveries as d
          where d.subscription_id = s.id
            and ($2::bigint is null or d.id < $2)
            and ($3::text is null or d.state = $3)
            and ($5::uuid is null or d.event_id = $5)
            and ($6::timestamptz is null or d.created_at >= $6 and d.id >= walhook.delivery_id_at($6 - interval '5 minutes'))
            and ($7::timestamptz is null or d.created_at < $7 and d.id < walhook.delivery_id_at($7 + interval '5 minutes'))
          order by d.id desc
          limit $8
        ) as own
        where s.tenant = $1 and ($4::uuid is null or s.id = $4)
      )
    ) as looked
    order by looked.id desc
    limit $8
  ),
  shown as (
    select v.*
    from looked
    join walhook.delivery_status as v on v.id = looked.id
    where ($9::text is null or v.event_type = $9 or ($9 like '%*' and starts_with(v.event_type, left($9, -1))))
      and ($10::text is null or v.key = $10)
      and ($11::text is null or v.tenant = $11)
      and ($12::integer is null or v.last_status between $12 and $13)
      and ($14::text is null or v.last_error = $14)
    order by v.id desc
    limit $15
  )
  select
    (select count(*) from looked)::integer as looked, (select min(id) from looked)::text as looked_to,
    id::text as id, state, event_type, key, tenant, url, attempts, last_status, last_error, waits_as,
    next_attempt_at::text as next_attempt_at, created_at::text as created_at, finished_at::text as finished_at,
    event_id, subscription_id
  from (select) as once
  left join shown on true
  order by shown.id desc`

type PageRow = (DeliveryStatus | { readonly id: null }) & {
  readonly looked: number
  readonly looked_to: string | null
}

/** Up to `limit`, behind `beforeId` where one is given. */
export async function pageOfDeliveries(
  db: Queryable,
  wish: DeliveryWish,
  { beforeId, limit }: { readonly beforeId?: string | undefined; readonly limit: number },
): Promise<DeliveryPage> {
  const { eventType, key, tenant, status, error } = wish
  const isFiltered = [eventType, key, tenant, status, error].some((filter) => filter !== undefined)
  const lookThrough = isFiltered ? Math.max(LOOK_THROUGH, limit + 1) : limit + 1
  const found = await db.query<PageRow>(PAGE, [
    wish.ofTenant ?? null,
    beforeId ?? null,
    wish.state ?? null,
    wish.subscriptionId ?? null,
    wish.eventId ?? null,
    wish.since ?? null,
    wish.until ?? null,
    lookThrough,
    eventType ?? null,
    key ?? null,
    tenant ?? null,
    status?.from ?? null,
    status?.to ?? null,
    error ?? null,
    limit + 1,
  ])
  const rows = found.flatMap(({ looked: _looked, looked_to: _to, ...row }) => (row.id === null ? [] : [row]))
  if (rows.length > limit) return { rows: rows.slice(0, limit), beforeId: rows[limit - 1]?.id }
  const [first] = found
  const isAll = first === undefined || first.looked < lookThrough
  return { rows, beforeId: isAll ? undefined : (first.looked_to ?? undefined) }
}
