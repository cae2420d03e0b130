/**
 * Brings the schema to this version. Many replicas may do it at once, and twice: an advisory lock lets one work and
 * the others find nothing left to do. Released migrations never change; their checksums are compared.
 */
import type { SchemaFacts } from '../core/doctor-schema.ts'
import { WalhookError } from '../lifecycle/errors.ts'
import { Database, type Queryable } from './database.ts'
import { installJobs } from './jobs.ts'
import { type Migration, readMigrations, readSqlFile, type SqlFile } from './sql-files.ts'

export interface MigrationReport {
  /** The files that ran, in order; empty when nothing was left to do. */
  readonly applied: readonly string[]
}

/** Functions, views and grants: applied again, together, whenever one of them has changed. */
const REPEATABLE = [
  'signatures.sql',
  'subscription_checks.sql',
  'wake.sql',
  'functions.sql',
  'event_types.sql',
  'emit.sql',
  'key_order.sql',
  'replay.sql',
  'expunge.sql',
  'matches.sql',
  'delivery_pages.sql',
  'access.sql',
  'operator_events.sql',
  'endpoint_health.sql',
  'api_keys.sql',
  'stats.sql',
  'views.sql',
  'stats_views.sql',
  'subscriptions.sql',
  'test_events.sql',
  'filters.sql',
  'space.sql',
  'view_comments.sql',
  'grants.sql',
]
const REPEATABLE_VERSION = 0

/** Errors: `schema_newer`, and Postgres's own where a right is missing. */
export async function migrateSchema(databaseUrl: string): Promise<MigrationReport> {
  await using database = new Database({ url: databaseUrl, maxConnections: 4 })
  await database.transaction(createHistory)

  const applied: string[] = []
  for (const migration of readMigrations()) {
    if (await database.transaction((tx) => applyMigration(tx, migration))) applied.push(migration.name)
  }
  if (await database.transaction(applyRepeatables)) applied.push(...REPEATABLE)
  await database.transaction((tx) => tx.query('select walhook.ensure_attempt_partitions()'))
  if (await database.transaction((tx) => installJobsLocked(tx, database))) applied.push('pg-boss')
  return { applied }
}

/** For `run` without auto-migration. Errors: `schema_missing` (or too old) and `schema_newer`. */
export async function assertSchemaIsCurrent(database: Queryable): Promise<void> {
  const [found] = await database.query<{ exists: boolean }>(
    `select to_regclass('walhook.migrations') is not null as exists`,
  )
  const done = found?.exists === true ? await readHistory(database) : new Map<number, string>()
  const missing = readMigrations().filter((migration) => !done.has(migration.version))
  if (missing.length === 0) return
  throw new WalhookError('schema_missing', `the schema lacks ${missing.map((m) => m.name).join(', ')}`, {
    remedy: 'Run `walhook migrate`, or let `walhook run` do it with WALHOOK_AUTO_MIGRATE=true.',
  })
}

/** What has run here, compared with what this version brings. Writes nothing. Errors: 42501 for a login without rights. */
export async function readSchemaState(db: Queryable): Promise<Omit<SchemaFacts, 'autoMigrate'>> {
  const known = readMigrations()
  const [found] = await db.query<{ exists: boolean }>(/* sql */ `
    select exists (
      select from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
      where n.nspname = 'walhook' and c.relname = 'migrations'
    ) as exists`)
  const exists = found?.exists === true
  const rows = exists
    ? await db.query<{ version: number; checksum: string }>(
        'select version, checksum from walhook.migrations',
      )
    : []
  const history = new Map(rows.map((row) => [row.version, row.checksum]))
  const ran = known.filter(({ version }) => history.has(version))
  return {
    exists,
    newest: Math.max(0, ...history.keys()),
    known: Math.max(...known.map(({ version }) => version)),
    missing: known.filter((migration) => !ran.includes(migration)).map(({ name }) => name),
    changed: ran.filter(({ version, checksum }) => history.get(version) !== checksum).map(({ name }) => name),
    functionsDiffer: history.get(REPEATABLE_VERSION) !== repeatables().together.checksum,
  }
}

/** Held until the transaction ends: one replica migrates, the others wait here. */
async function lockMigrations(tx: Queryable): Promise<void> {
  // An index on a large table takes as long as it takes.
  await tx.query('set local statement_timeout = 0')
  await tx.query(`select pg_advisory_xact_lock(hashtextextended('walhook.migrate', 0))`)
}

/** pg-boss uses connections of its own and makes its schema before it locks anything: replicas take turns here. */
async function installJobsLocked(tx: Queryable, database: Database): Promise<boolean> {
  await lockMigrations(tx)
  return installJobs(database)
}

async function createHistory(tx: Queryable): Promise<void> {
  await lockMigrations(tx)
  const [found] = await tx.query<{ exists: boolean }>(
    `select to_regclass('walhook.migrations') is not null as exists`,
  )
  if (found?.exists === true) return
  const [schema] = await tx.query<{ exists: boolean }>(
    `select to_regnamespace('walhook') is not null as exists`,
  )
  // A DBA may have made the schema for a login that may not create one.
  if (schema?.exists !== true) await tx.query('create schema walhook')
  await tx.query(/* sql */ `
    create table walhook.migrations (
      version integer primary key,
      name text not null,
      checksum text not null,
      applied_at timestamptz not null default now()
    )`)
}

async function readHistory(tx: Queryable): Promise<Map<number, string>> {
  const rows = await tx.query<{ version: number; checksum: string }>(
    'select version, checksum from walhook.migrations',
  )
  const history = new Map(rows.map((row) => [row.version, row.checksum]))
  const newest = Math.max(0, ...history.keys())
  const known = Math.max(...readMigrations().map((migration) => migration.version))
  if (newest > known) {
    throw new WalhookError(
      'schema_newer',
      `the schema is at migration ${newest}, and this Walhook knows only ${known}`,
      {
        remedy: 'Run a Walhook that is at least as new as the one that migrated this database.',
      },
    )
  }
  return history
}

async function applyMigration(tx: Queryable, migration: Migration): Promise<boolean> {
  await lockMigrations(tx)
  const checksum = (await readHistory(tx)).get(migration.version)
  if (checksum === migration.checksum) return false
  if (checksum !== undefined) {
    throw new WalhookError('schema_newer', `migration ${migration.name} has run here with another content`, {
      remedy: 'Run the Walhook release that migrated this database; a released migration never changes.',
    })
  }
  await tx.query(migration.text)
  await record(tx, migration.version, migration)
  return true
}

async function applyRepeatables(tx: Queryable): Promise<boolean> {
  await lockMigrations(tx)
  const { files, together } = repeatables()
  if ((await readHistory(tx)).get(REPEATABLE_VERSION) === together.checksum) return false
  for (const file of files) await tx.query(file.text)
  await record(tx, REPEATABLE_VERSION, together)
  return true
}

function repeatables(): {
  readonly files: readonly SqlFile[]
  readonly together: Pick<SqlFile, 'name' | 'checksum'>
} {
  const files = REPEATABLE.map(readSqlFile)
  const together = { name: REPEATABLE.join(', '), checksum: files.map((file) => file.checksum).join(' ') }
  return { files, together }
}

async function record(
  tx: Queryable,
  version: number,
  file: Pick<SqlFile, 'name' | 'checksum'>,
): Promise<void> {
  await tx.query(
    /* sql */ `
    insert into walhook.migrations (version, name, checksum) values ($1, $2, $3)
    on conflict (version) do update set name = excluded.name, checksum = excluded.checksum, applied_at = now()`,
    [version, file.name, file.checksum],
  )
}
