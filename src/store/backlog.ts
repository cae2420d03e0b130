/** walhook.backlog, summed up: what waits, over all subscriptions. */
import type { Queryable } from './database.ts'

export interface BacklogTotals {
  readonly waiting: number
  readonly retry: number
  readonly delayed: number
  readonly behind_key: number
  /** Of subscriptions that are not active, whatever else it would wait for. */
  readonly parked: number
  readonly oldestSeconds: number
  /** Those that a job makes due, parked or not. */
  readonly jobs: number
}

/** What it costs grows with what is pending, and with nothing else. */
export async function readBacklogTotals(db: Queryable): Promise<BacklogTotals> {
  const [totals] = await db.query<BacklogTotals>(/* sql */ `
    select
      coalesce(sum(waiting) filter (where parked = 0), 0)::double precision as waiting,
      coalesce(sum(retries_scheduled) filter (where parked = 0), 0)::double precision as retry,
      coalesce(sum(delayed) filter (where parked = 0), 0)::double precision as delayed,
      coalesce(sum(behind_their_key) filter (where parked = 0), 0)::double precision as behind_key,
      coalesce(sum(parked), 0)::double precision as parked,
      coalesce(extract(epoch from max(oldest_age) filter (where parked = 0)), 0)::double precision as "oldestSeconds",
      coalesce(sum(retries_scheduled + delayed), 0)::double precision as jobs
    from walhook.backlog`)
  if (totals === undefined) throw new RangeError('sums over no rows are a row')
  return totals
}
