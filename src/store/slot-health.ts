/** One look at walhook.slot_health, which is what an operator sees too. */
import { parseLsn } from '../core/lsn.ts'
import type { SlotReading, SlotStateName } from '../core/slot-health.ts'
import type { Queryable } from './database.ts'

const READ = /* sql */ `
  select
    state, invalidation_reason, coalesce(active, false) as active, pg_current_wal_lsn()::text as wal_end,
    retained_wal_bytes::double precision as retained, unconfirmed_wal_bytes::double precision as unconfirmed,
    safe_wal_bytes::double precision as safe
  from walhook.slot_health
  where slot_name = $1`

interface SlotHealthRow {
  state: SlotStateName
  invalidation_reason: string | null
  active: boolean
  wal_end: string
  retained: number | null
  unconfirmed: number | null
  safe: number | null
}

/** Undefined before the relay has a row for the slot. `atMs` is the caller's clock. */
export async function readSlotHealth(
  db: Queryable,
  slotName: string,
  atMs: number,
): Promise<SlotReading | undefined> {
  const [row] = await db.query<SlotHealthRow>(READ, [slotName])
  if (row === undefined) return undefined
  return {
    state: row.state,
    invalidationReason: row.invalidation_reason ?? undefined,
    isActive: row.active,
    retainedBytes: row.retained ?? undefined,
    unconfirmedBytes: row.unconfirmed ?? undefined,
    safeBytes: row.safe ?? undefined,
    walEnd: parseLsn(row.wal_end),
    atMs,
  }
}
