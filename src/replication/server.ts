/** Asks the server what decides whether and how we can stream: over a replication connection, so that its rights are tried too. */
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { parseLsn } from '../core/lsn.ts'
import type { ServerState, SlotState } from '../core/slot-plan.ts'
import { WalhookError } from '../lifecycle/errors.ts'
import { type LivenessTimings, livenessTimings } from './liveness.ts'
import { replicationError } from './replication-error.ts'

export interface ServerInspection extends ServerState {
  /** 170004 for 17.4. */
  readonly version: number
  readonly isUtf8: boolean
  readonly outboxIsPartitioned: boolean
  readonly liveness: LivenessTimings
  readonly slot: SlotState | undefined
}

/** For an answer, unless the caller knows better: a network that has gone silent must not hold us for ever. */
const ANSWER_WITHIN_MS = 30_000
const CONNECT_WITHIN_MS = 10_000
const CLOSE_WITHIN_MS = 2_000

/**
 * A short connection in replication mode. It speaks the simple protocol only: no parameters, so what goes into a
 * statement has been checked to be a plain name.
 */
export async function withReplicationClient<Result>(
  connectionString: string,
  slotName: string,
  work: (client: pg.Client) => Promise<Result>,
  answerWithinMs = ANSWER_WITHIN_MS,
): Promise<Result> {
  // `replication` is known to pg and missing from its types.
  const config: pg.ClientConfig & { readonly replication: 'database' } = {
    connectionString,
    application_name: 'walhook',
    connectionTimeoutMillis: Math.min(CONNECT_WITHIN_MS, answerWithinMs),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    ...(Number.isFinite(answerWithinMs) && { query_timeout: answerWithinMs }),
    // What it calls is Postgres's own, whatever search path the database gives its logins; and making a slot waits for as
    // long as it must, whatever limits they have.
    options: '-c search_path=pg_catalog,pg_temp -c lock_timeout=0 -c statement_timeout=0',
    replication: 'database',
  }
  const client = new pg.Client(config)
  // The error that ends the connection also rejects the query that waits for it.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await work(client)
  } catch (error) {
    throw unreachableOr(replicationError(error, slotName, 'pgoutput'))
  } finally {
    await closed(client)
  }
}

/** A server that does not answer a goodbye either is left without one. */
async function closed(client: pg.Client): Promise<void> {
  const { connection } = client as pg.Client & { readonly connection: { readonly stream: Duplex } }
  const ended = client.end().catch(() => undefined)
  await Promise.race([ended, sleep(CLOSE_WITHIN_MS, undefined, { ref: false })])
  connection.stream.destroy()
}

function unreachableOr(error: WalhookError): WalhookError {
  if (error.code !== 'stream_ended') return error
  return new WalhookError('database_unreachable', error.message, {
    remedy:
      'Check WALHOOK_REPLICATION_URL (or DATABASE_URL), and that the server is up and accepts connections.',
    cause: error.cause,
  })
}

interface SettingsRow {
  version: string
  wal_level: string
  in_recovery: boolean
  is_utf8: boolean
  database: string
  wal_sender_timeout: string
  outbox_kind: string | null
  outbox_persistence: string | null
}

const SETTINGS = /* sql */ `
  select
    current_setting('server_version_num') as version,
    current_setting('wal_level') as wal_level,
    pg_is_in_recovery() as in_recovery,
    (select encoding = 6 from pg_database where datname = current_database()) as is_utf8,
    current_database() as database,
    (select setting from pg_settings where name = 'wal_sender_timeout') as wal_sender_timeout,
    outbox.relkind::text as outbox_kind,
    outbox.relpersistence::text as outbox_persistence
  -- Not by to_regclass: it wants a right on the schema, and a login that only streams needs none.
  from (select) as always
  left join pg_class as outbox
    on outbox.relname = 'outbox'
    and outbox.relnamespace = (select oid from pg_namespace where nspname = 'walhook')`

/** Errors: `database_unreachable`, `database_refused`, each with what to change on the server. */
export async function inspectServer(connectionString: string, slotName: string): Promise<ServerInspection> {
  return withReplicationClient(connectionString, slotName, async (client) => {
    const [settings] = (await client.query<SettingsRow>(SETTINGS)).rows
    if (settings === undefined) throw new Error('the server answered a single-row query with none')
    refuseUnfit(settings)
    const [system] = (await client.query<{ systemid: string; timeline: number }>('IDENTIFY_SYSTEM')).rows
    if (system === undefined) throw new Error('IDENTIFY_SYSTEM answered nothing')
    return {
      version: Number(settings.version),
      isUtf8: settings.is_utf8,
      outboxIsPartitioned: settings.outbox_kind === 'p',
      database: settings.database,
      systemIdentifier: system.systemid,
      timeline: Number(system.timeline),
      liveness: livenessTimings(Number(settings.wal_sender_timeout)),
      slot: await readSlot(client, slotName),
    }
  })
}

function refuseUnfit(settings: SettingsRow): void {
  const refuse = (message: string, remedy: string): never => {
    throw new WalhookError('database_refused', message, { remedy })
  }
  if (Number(settings.version) < 140_000) {
    refuse(`Postgres ${settings.version} is too old`, 'Walhook needs Postgres 14 or newer.')
  }
  if (settings.in_recovery) {
    throw new WalhookError('database_is_standby', 'the server is a standby', {
      remedy: 'Point DATABASE_URL and WALHOOK_REPLICATION_URL at the primary, or promote this one.',
    })
  }
  if (settings.wal_level !== 'logical') {
    refuse(
      `wal_level is ${settings.wal_level}, and has to be logical`,
      'Run: ALTER SYSTEM SET wal_level = logical; and restart Postgres (managed services have a parameter for it).',
    )
  }
  if (settings.outbox_persistence === 'u') {
    refuse(
      'walhook.outbox is UNLOGGED: its rows never reach the log',
      'Run: ALTER TABLE walhook.outbox SET LOGGED;',
    )
  }
}

/** Reads whole rows, because `invalidation_reason` is there only from Postgres 17 on. */
export async function readSlot(client: pg.Client, slotName: string): Promise<SlotState | undefined> {
  const { rows } = await client.query<{ slot: Record<string, string | boolean | null> }>(
    `select to_json(s) as slot from pg_replication_slots as s where slot_name = '${slotName}'`,
  )
  const slot = rows[0]?.slot
  if (slot === undefined) return undefined
  const text = (name: string): string | undefined => (typeof slot[name] === 'string' ? slot[name] : undefined)
  const confirmed = text('confirmed_flush_lsn')
  return {
    plugin: text('plugin') ?? '',
    database: text('database') ?? '',
    confirmedLsn: confirmed === undefined ? undefined : parseLsn(confirmed),
    isActive: slot['active'] === true,
    walStatus: text('wal_status'),
    invalidationReason: text('invalidation_reason'),
  }
}
