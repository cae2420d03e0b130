/** The slot as Postgres shows it to anybody, and the transactions that hold it back. None of it reads a table of Walhook's. */
import type { PreparedTransaction, Transaction } from '../core/doctor-processes.ts'
import type { SlotFacts } from '../core/doctor-slot.ts'
import { parseLsn } from '../core/lsn.ts'
import type { SlotStateName } from '../core/slot-health.ts'
import type { Queryable } from './database.ts'

/** By way of json: invalidation_reason and failover are there from Postgres 17 on. */
const READ = /* sql */ `
  select
    s.slot_name is not null as exists,
    coalesce(s.database::text, '') as database,
    current_database()::text as "ourDatabase",
    coalesce(s.plugin::text, '') as plugin,
    case when s.slot_name is null then 'missing' else coalesce(s.wal_status, 'reserved') end as state,
    to_jsonb(s) ->> 'invalidation_reason' as invalidation_reason,
    (to_jsonb(s) ->> 'failover')::boolean as failover,
    coalesce(s.active, false) as active,
    s.active_pid,
    s.confirmed_flush_lsn::text as confirmed,
    nullif(a.application_name, '') as active_as,
    pg_current_wal_lsn()::text as wal_end,
    pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::double precision as retained,
    pg_wal_lsn_diff(pg_current_wal_lsn(), s.confirmed_flush_lsn)::double precision as unconfirmed,
    s.safe_wal_size::double precision as safe
  from (select) as always
  left join pg_replication_slots as s on s.slot_name = $1
  left join pg_stat_activity as a on a.pid = s.active_pid`

interface SlotRow {
  exists: boolean
  database: string
  ourDatabase: string
  plugin: string
  state: SlotStateName
  invalidation_reason: string | null
  failover: boolean | null
  active: boolean
  active_pid: number | null
  confirmed: string | null
  active_as: string | null
  wal_end: string
  retained: number | null
  unconfirmed: number | null
  safe: number | null
}

/** `atMs` is the caller's clock. Errors: 55000 on a standby. */
export async function readSlotFacts(db: Queryable, slotName: string, atMs: number): Promise<SlotFacts> {
  const [row] = await db.query<SlotRow>(READ, [slotName])
  if (row === undefined) throw new Error('a row was asked for that is always there')
  return {
    name: slotName,
    exists: row.exists,
    database: row.database,
    ourDatabase: row.ourDatabase,
    plugin: row.plugin,
    confirmedLsn: row.confirmed === null ? undefined : parseLsn(row.confirmed),
    activePid: row.active_pid ?? undefined,
    activeAs: row.active_as ?? undefined,
    failover: row.failover ?? undefined,
    reading: {
      state: row.state,
      invalidationReason: row.invalidation_reason ?? undefined,
      isActive: row.active,
      retainedBytes: row.retained ?? undefined,
      unconfirmedBytes: row.unconfirmed ?? undefined,
      safeBytes: row.safe ?? undefined,
      walEnd: parseLsn(row.wal_end),
      atMs,
    },
  }
}

const READ_OPEN = /* sql */ `
  select
    pid,
    coalesce(usename::text, 'the server') as login,
    extract(epoch from now() - xact_start)::double precision * 1000 as "ageMs",
    state like 'idle in transaction%' as "isIdle"
  from pg_stat_activity
  where backend_xid is not null and pid <> pg_backend_pid()
    and xact_start < now() - case when state like 'idle in transaction%' then interval '2 minutes' else interval '10 minutes' end
  order by xact_start
  limit 5`

/** Those that have been open for long and hold a transaction number; of others' the login may see none. */
export function readOpenTransactions(db: Queryable): Promise<Transaction[]> {
  return db.query<Transaction>(READ_OPEN)
}

const READ_PREPARED = /* sql */ `
  select gid, database::text as database, extract(epoch from now() - prepared)::double precision * 1000 as "ageMs"
  from pg_prepared_xacts
  where prepared < now() - interval '2 minutes'
  order by prepared
  limit 5`

export function readPreparedTransactions(db: Queryable): Promise<PreparedTransaction[]> {
  return db.query<PreparedTransaction>(READ_PREPARED)
}
