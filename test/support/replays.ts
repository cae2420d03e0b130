/** Replays as psql asks for them and looks at them. */
import { eventually } from './eventually.ts'
import type { TestDatabase } from './test-database.ts'

export interface AskedReplay {
  /** Null where nothing was made. */
  readonly id: string | null
  readonly kind: string
  readonly subscription_id: string
  readonly to_subscription_id: string
  readonly total: string
}

/** `wish` is the arguments of walhook.replay, as SQL: `subscription_id => $1, dry_run => true`. */
export async function replay(
  db: TestDatabase,
  wish: string,
  params: readonly unknown[] = [],
): Promise<AskedReplay[]> {
  return db.query<AskedReplay & Record<string, unknown>>(`select * from walhook.replay(${wish})`, params)
}

export interface ReplayStatusRow {
  readonly id: string
  readonly state: string
  readonly reason: string | null
  readonly waits_for: string | null
  readonly replayed: string
  readonly total: string
  readonly percent: string
  readonly url: string
}

export async function replayStatus(
  db: TestDatabase,
  id: string | null | undefined,
): Promise<ReplayStatusRow> {
  const [row] = await db.query<ReplayStatusRow & Record<string, unknown>>(
    'select * from walhook.replay_status where id = $1',
    [id],
  )
  if (row === undefined) throw new Error(`there is no replay ${id}`)
  return row
}

export async function untilReplayed(
  db: TestDatabase,
  id: string | null | undefined,
): Promise<ReplayStatusRow> {
  return eventually(
    async () => {
      const row = await replayStatus(db, id)
      if (row.state !== 'done')
        throw new Error(`replay ${id} is ${row.state}, ${row.replayed} of ${row.total}`)
      return row
    },
    { withinMs: 30_000 },
  )
}

/** As it is within two minutes by itself: everything that is committed has been compared with its deliveries. */
export async function auditEverything(db: TestDatabase): Promise<void> {
  await db.query('update walhook.relay set audited_to = pg_snapshot_xmax(pg_current_snapshot())')
}
