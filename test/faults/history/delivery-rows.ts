/** What the tables say at the end, asked as an operator asks: of walhook.delivery_status. */
import type { TestDatabase } from '../../support/test-database.ts'
import type { RecordedDelivery } from './history.ts'

const PAGE = 20_000

const READ_PAGE = `
  select d.id::text as id, event_id, subscription_id, state, waits_as, last_error, finished_at
  from walhook.delivery_status as d where d.id > $1 order by d.id limit $2`

interface Row {
  readonly id: string
  readonly event_id: string
  readonly subscription_id: string
  readonly state: RecordedDelivery['state']
  readonly waits_as: string | null
  readonly last_error: string | null
  readonly finished_at: Date | null
}

export async function readDeliveries(db: TestDatabase): Promise<RecordedDelivery[]> {
  const deliveries: RecordedDelivery[] = []
  for (let after = '0'; ;) {
    const rows = await db.query<Row>(READ_PAGE, [after, PAGE])
    for (const row of rows)
      deliveries.push({
        eventId: row.event_id,
        subscriptionId: row.subscription_id,
        state: row.state,
        waitsAs: row.waits_as,
        lastError: row.last_error,
        finishedAt: row.finished_at?.getTime(),
      })
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE) return deliveries
    after = last.id
  }
}

/**
 * Whether everything that is owed has a row, and no row is owed any longer. In this order: once all have a row none comes
 * that could be pending, where one that was not there yet is neither counted nor seen to be.
 */
export async function isQuiet(db: TestDatabase, owed: number): Promise<boolean> {
  const [row] = await db.query<{ count: number }>('select count(*)::int as count from walhook.deliveries')
  if ((row?.count ?? 0) < owed) return false
  const [busy] = await db.query(`select from walhook.deliveries where state = 'pending' limit 1`)
  return busy === undefined
}

/** Each attempt of these events' deliveries, in the order in which they began. */
export function readAttempts(db: TestDatabase, eventIds: readonly string[]): Promise<unknown[]> {
  return db.query(
    `select d.event_id, d.subscription_id, a.number, a.started_at, a.duration_ms, a.response_status, a.error
     from walhook.attempts as a join walhook.deliveries as d on d.id = a.delivery_id
     where d.event_id::text = any ($1) order by a.started_at limit 200`,
    [eventIds],
  )
}
