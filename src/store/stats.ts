/** How deliveries went, as walhook.stats and walhook.stats_series say it. Times are Postgres's text, in UTC. */
import type { Queryable } from './database.ts'

export const STATS_WINDOWS = ['1h', '24h', '7d'] as const
export type StatsWindow = (typeof STATS_WINDOWS)[number]

const PERIODS: Readonly<Record<StatsWindow, string>> = { '1h': '1 hour', '24h': '24 hours', '7d': '7 days' }

/** Whose: null for all of them. A tenant's are those of its subscriptions. */
export interface StatsScope {
  readonly subscriptionId: string | null
  readonly tenant: string | null
}

/** The row of walhook.stats. Latencies in milliseconds, null where nothing was counted. */
export type Stats = Readonly<{
  from_at: string
  attempts: number
  failed_attempts: number
  /** Of attempts; null where there were none. */
  failure_rate: number | null
  delivered: number
  dead: number
  cancelled: number
  attempt_p50_ms: number | null
  attempt_p95_ms: number | null
  attempt_p99_ms: number | null
  delivered_p50_ms: number | null
  delivered_p95_ms: number | null
  delivered_p99_ms: number | null
  pending: number
  oldest_pending_at: string | null
  /** In seconds; null while nothing moves, or nobody knows. */
  drained_in: number | null
}>

export async function readStats(
  db: Queryable,
  window: StatsWindow,
  { subscriptionId, tenant }: StatsScope,
): Promise<Stats> {
  const [stats] = await db.query<Stats>(
    /* sql */ `
    select
      from_at::text as from_at, attempts::double precision as attempts, failed_attempts::double precision as failed_attempts,
      failure_rate, delivered::double precision as delivered, dead::double precision as dead,
      cancelled::double precision as cancelled, attempt_p50_ms, attempt_p95_ms, attempt_p99_ms, delivered_p50_ms, delivered_p95_ms,
      delivered_p99_ms, pending::double precision as pending, oldest_pending_at::text as oldest_pending_at,
      extract(epoch from drained_in)::double precision as drained_in
    from walhook.stats($1::interval, $2, $3)`,
    [PERIODS[window], subscriptionId, tenant],
  )
  if (stats === undefined) throw new RangeError('walhook.stats returns one row')
  return stats
}

/** A row of walhook.stats_series. */
export type StatsPoint = Readonly<{
  at: string
  attempts: number
  failed_attempts: number
  delivered: number
  dead: number
  cancelled: number
  attempt_p50_ms: number | null
  attempt_p95_ms: number | null
  delivered_p50_ms: number | null
  delivered_p95_ms: number | null
}>

/** The oldest point first; the last is under way. */
export function readStatsSeries(
  db: Queryable,
  window: StatsWindow,
  { subscriptionId, tenant }: StatsScope,
): Promise<StatsPoint[]> {
  return db.query<StatsPoint>(
    /* sql */ `
    select
      at::text as at, attempts::double precision as attempts, failed_attempts::double precision as failed_attempts,
      delivered::double precision as delivered, dead::double precision as dead, cancelled::double precision as cancelled,
      attempt_p50_ms, attempt_p95_ms, delivered_p50_ms, delivered_p95_ms
    from walhook.stats_series($1::interval, $2, $3)
    order by at`,
    [PERIODS[window], subscriptionId, tenant],
  )
}

/** Whether there is one that the tenant may know of. */
export async function isSubscription(
  db: Queryable,
  { subscriptionId, tenant }: StatsScope,
): Promise<boolean> {
  const found = await db.query(
    /* sql */ `select from walhook.subscriptions where id = $1 and ($2::text is null or tenant = $2)`,
    [subscriptionId, tenant],
  )
  return found.length > 0
}
