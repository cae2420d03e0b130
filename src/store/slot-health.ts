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

/** A row of walhook.slot_health, and the process that streams; times and positions as Postgres's text. */
export type SlotStatus = Readonly<{
  slot_name: string
  exists: boolean
  state: SlotStateName
  invalidation_reason: string | null
  plugin: string | null
  active: boolean
  active_pid: number | null
  retained_wal_bytes: number | null
  unconfirmed_wal_bytes: number | null
  safe_wal_bytes: number | null
  lag_seconds: number | null
  confirmed_flush_lsn: string | null
  recorded_lsn: string
  last_event_committed_at: string | null
  recorded_at: string
  rescan_owed_for: string | null
  audited_at: string | null
  streamed_by: string | null
  streamed_by_host: string | null
}>

/** Undefined before the relay has a row for the slot. */
export async function readSlotStatus(db: Queryable, slotName: string): Promise<SlotStatus | undefined> {
  const [row] = await db.query<SlotStatus>(
    /* sql */ `
    select
      h.slot_name, h.exists, h.state, h.invalidation_reason, h.plugin, coalesce(h.active, false) as active, h.active_pid,
      h.retained_wal_bytes::double precision as retained_wal_bytes,
      h.unconfirmed_wal_bytes::double precision as unconfirmed_wal_bytes, h.safe_wal_bytes::double precision as safe_wal_bytes,
      h.lag_seconds, h.confirmed_flush_lsn::text as confirmed_flush_lsn, h.recorded_lsn::text as recorded_lsn,
      h.last_event_committed_at::text as last_event_committed_at, h.recorded_at::text as recorded_at, h.rescan_owed_for,
      h.audited_at::text as audited_at, r.id as streamed_by, r.host as streamed_by_host
    from walhook.slot_health as h
    left join lateral (
      select id, host from walhook.replica_status where streams order by seen_at desc limit 1
    ) as r on h.active
    where h.slot_name = $1`,
    [slotName],
  )
  return row
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
