/** What the catalogue says of the server and of the login, to whoever may ask. */
import type { ServerFacts } from '../core/doctor-server.ts'
import type { Queryable } from './database.ts'

const READ = /* sql */ `
  select
    current_setting('server_version_num')::integer as version,
    pg_is_in_recovery() as "isInRecovery",
    current_database()::text as database,
    current_user::text as login,
    (select rolsuper from pg_roles where rolname = current_user) as "isSuperuser",
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') as "seesOthers",
    (select encoding = 6 from pg_database where datname = current_database()) as "isUtf8",
    (
      select json_object_agg(name, json_build_object('setting', setting, 'unit', unit))
      from pg_settings
      where name in (
        'wal_level', 'max_wal_senders', 'max_replication_slots', 'max_slot_wal_keep_size', 'wal_sender_timeout',
        'idle_replication_slot_timeout', 'fsync', 'full_page_writes', 'synchronous_standby_names',
        'synchronized_standby_slots', 'output_plugin_libraries'
      )
    ) as settings,
    (select count(*)::integer from pg_stat_replication) as senders,
    (select count(*)::integer from pg_replication_slots) as slots,
    coalesce((select true from pg_replication_slots where slot_name = $1), false) as "slotExists",
    coalesce((select active from pg_replication_slots where slot_name = $1), false) as "slotIsActive",
    coalesce(
      (select json_agg(slot_name order by slot_name) from pg_replication_slots where slot_type = 'physical'), '[]'
    ) as "physicalSlots",
    extract(epoch from pg_postmaster_start_time())::text as "startedAt"`

/** `startedAt` tells one running server from every other. */
export async function readServerFacts(
  db: Queryable,
  slotName: string,
): Promise<ServerFacts & { readonly startedAt: string }> {
  const [facts] = await db.query<ServerFacts & { startedAt: string }>(READ, [slotName])
  if (facts === undefined) throw new Error('a row was asked for that is always there')
  return facts
}

const READ_DURABILITY = /* sql */ `
  select
    case when pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
      then (select count(*)::integer from pg_stat_replication where sync_state in ('sync', 'quorum'))
    end as "synchronousStandbys",
    coalesce((
      select json_agg(concat_ws(' in ', 'role ' || r.rolname, 'database ' || d.datname) order by r.rolname, d.datname)
      from pg_db_role_setting as s
      left join pg_roles as r on r.oid = s.setrole
      left join pg_database as d on d.oid = s.setdatabase
      where 'synchronous_commit=off' = any (s.setconfig) and (s.setdatabase = 0 or d.datname = current_database())
    ), '[]') as "offFor"`

export async function readDurability(
  db: Queryable,
): Promise<{ readonly synchronousStandbys: number | undefined; readonly offFor: readonly string[] }> {
  const [row] = await db.query<{ synchronousStandbys: number | null; offFor: string[] }>(READ_DURABILITY)
  return { synchronousStandbys: row?.synchronousStandbys ?? undefined, offFor: row?.offFor ?? [] }
}

/** Where libraries are; only superusers and their like may look. */
const LOOK_FOR_LIBRARY = /* sql */ `
  select exists (
    select
    from pg_config as c
    cross join lateral pg_ls_dir(c.setting) as file
    where c.name = 'PKGLIBDIR' and file like $1 || '.%'
  ) as found`

/** Errors: 42501 for a login that may not look. */
export async function hasLibrary(db: Queryable, name: string): Promise<boolean> {
  const [row] = await db.query<{ found: boolean }>(LOOK_FOR_LIBRARY, [name])
  return row?.found === true
}

/** The server's clock, in unix milliseconds. */
export async function readClock(db: Queryable): Promise<number> {
  const [row] = await db.query<{ now: number }>(
    /* sql */ `select (extract(epoch from clock_timestamp()) * 1000)::double precision as now`,
  )
  if (row === undefined) throw new Error('a row was asked for that is always there')
  return row.now
}
