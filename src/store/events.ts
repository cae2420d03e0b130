/** Events as the outbox has them: in pages, the newest first, and one by one. */
import type { Queryable } from './database.ts'

/** Timestamps are Postgres's text, in UTC. */
export type EventRow = Readonly<{
  id: string
  type: string
  key: string | null
  tenant: string | null
  created_at: string
  /** Where it was written, if not to our outbox. */
  captured_from: string | null
  expunged_at: string | null
}>

export interface EventWish {
  /** Who asks may see no others' events. */
  readonly ofTenant?: string | undefined
  /** A type, or a pattern that ends in `*`. */
  readonly type?: string | undefined
  readonly key?: string | undefined
  readonly tenant?: string | undefined
  /** Created then or later; timestamps as Postgres reads them. */
  readonly since?: string | undefined
  /** Created before. */
  readonly until?: string | undefined
}

/** Of the last row of a page. */
export interface EventPosition {
  readonly createdAt: string
  readonly id: string
}

export interface EventPage {
  readonly rows: readonly EventRow[]
  /** Behind what the next page begins; undefined where this is the last one. */
  readonly before: EventPosition | undefined
}

/** Events that a page looks through, for what no index finds. */
const LOOK_THROUGH = 50_000

const PAGE = /* sql */ `
  with looked as materialized (
    select o.id, o.type, o.key, o.tenant, o.created_at, o.captured_from, o.expunged_at
    from walhook.outbox as o
    where ($1::timestamptz is null or (o.created_at, o.id) < ($1, $2::uuid))
      and ($3::timestamptz is null or o.created_at >= $3)
      and ($4::timestamptz is null or o.created_at < $4)
    order by o.created_at desc, o.id desc
    limit $5
  ),
  shown as (
    select l.*
    from looked as l
    where ($6::text is null or l.type = $6 or ($6 like '%*' and starts_with(l.type, left($6, -1))))
      and ($7::text is null or l.key = $7)
      and ($8::text is null or l.tenant = $8)
      and ($9::text is null or l.tenant = $9)
    order by l.created_at desc, l.id desc
    limit $10
  ),
  reached as (select l.created_at, l.id from looked as l order by l.created_at, l.id limit 1)
  select
    (select count(*) from looked)::integer as looked, (select r.created_at::text from reached as r) as reached_at,
    (select r.id from reached as r) as reached_id,
    id, type, key, tenant, created_at::text as created_at, captured_from, expunged_at::text as expunged_at
  from (select) as once
  left join shown on true
  order by shown.created_at desc, shown.id desc`

type PageRow = (EventRow | { readonly id: null }) & {
  readonly looked: number
  readonly reached_at: string | null
  readonly reached_id: string | null
}

/** Up to `limit`, behind `before` where it is given. A page may be short, and not the last one. */
export async function pageOfEvents(
  db: Queryable,
  wish: EventWish,
  { before, limit }: { readonly before?: EventPosition | undefined; readonly limit: number },
): Promise<EventPage> {
  const { ofTenant, type, key, tenant } = wish
  const isFiltered = [ofTenant, type, key, tenant].some((filter) => filter !== undefined)
  const lookThrough = isFiltered ? Math.max(LOOK_THROUGH, limit + 1) : limit + 1
  const found = await db.query<PageRow>(PAGE, [
    before?.createdAt ?? null,
    before?.id ?? null,
    wish.since ?? null,
    wish.until ?? null,
    lookThrough,
    type ?? null,
    key ?? null,
    tenant ?? null,
    ofTenant ?? null,
    limit + 1,
  ])
  const rows = found.flatMap(({ looked: _looked, reached_at: _at, reached_id: _id, ...row }) =>
    row.id === null ? [] : [row],
  )
  const last = rows[limit - 1]
  if (rows.length > limit && last !== undefined)
    return { rows: rows.slice(0, limit), before: { createdAt: last.created_at, id: last.id } }
  const [first] = found
  if (
    first === undefined ||
    first.looked < lookThrough ||
    first.reached_at === null ||
    first.reached_id === null
  )
    return { rows, before: undefined }
  return { rows, before: { createdAt: first.reached_at, id: first.reached_id } }
}

/** With what only one by one is shown. */
export type WholeEvent = EventRow &
  Readonly<{
    /** The JSON texts as they were written. */
    payload: string
    headers: string
    /** Why the catalog refused it; null where it did not. */
    refused_for: string | null
  }>

/** Undefined where there is none, or it is not `ofTenant`'s. */
export async function findEvent(
  db: Queryable,
  id: string,
  ofTenant?: string,
): Promise<WholeEvent | undefined> {
  const [found] = await db.query<WholeEvent>(
    /* sql */ `
    select
      o.id, o.type, o.key, o.tenant, o.created_at::text as created_at, o.captured_from, o.expunged_at::text as expunged_at,
      o.payload::text as payload, o.headers::text as headers, x.reason as refused_for
    from walhook.outbox as o
    left join walhook.dead_events as x on x.event_id = o.id
    where o.id = $1::uuid and ($2::text is null or o.tenant = $2)`,
    [id, ofTenant ?? null],
  )
  return found
}

/** A row of walhook.matches. */
export type MatchRow = Readonly<{
  subscription_id: string
  matches: boolean
  reason: string | null
  url: string | null
  subscription_tenant: string | null
  state: 'active' | 'paused' | 'disabled' | null
  /** A bigint as text. */
  delivery_id: string | null
  delivery_state: 'pending' | 'delivered' | 'dead' | 'cancelled' | null
}>

/** Who gets it, and why others do not. Errors: P0002 where the outbox has no such event. */
export function matchesOf(
  db: Queryable,
  eventId: string,
  { ofTenant, limit }: { readonly ofTenant?: string | undefined; readonly limit: number },
): Promise<readonly MatchRow[]> {
  return db.query<MatchRow>(
    /* sql */ `
    select
      subscription_id, matches, reason, url, subscription_tenant, state, delivery_id::text as delivery_id, delivery_state
    from walhook.matches($1::uuid, $2::text, $3::integer)`,
    [eventId, ofTenant ?? null, limit],
  )
}
