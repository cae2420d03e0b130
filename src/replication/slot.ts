/** The publication and the slot: made in this order, since a slot decodes with the publications that it can see. */
import type pg from 'pg'
import { type Lsn, parseLsn } from '../core/lsn.ts'
import { MESSAGE_PREFIX } from '../core/logged-message.ts'
import type { SlotState } from '../core/slot-plan.ts'
import type { SourceTable } from '../core/source-check.ts'
import { WAKE_PREFIX } from '../core/wake-message.ts'
import { errorCode, WalhookError } from '../lifecycle/errors.ts'
import type { Decoder } from './decoder.ts'
import { pgoutputDecoder } from './pgoutput.ts'
import { replicationError } from './replication-error.ts'
import { readSlot, type ServerInspection, withReplicationClient } from './server.ts'
import { wal2jsonDecoder } from './wal2json.ts'

export type PluginName = 'wal2json' | 'pgoutput'
export type PluginChoice = PluginName | 'auto'

const OUTBOX = { schema: 'walhook', table: 'outbox' }

export interface SlotWish {
  readonly connectionString: string
  readonly slotName: string
  readonly publicationName: string
  readonly plugin: PluginChoice
  readonly sources: readonly SourceTable[]
  /** A slot of this name that cannot be read any more, as it was seen: dropped first, unless it has changed since. */
  readonly replaces: SlotState | undefined
  readonly signal: AbortSignal
  /** Called now and then while Postgres waits for running transactions before it makes the slot. */
  readonly onWaiting: (pids: readonly number[]) => void
}

export interface CreatedSlot {
  readonly plugin: PluginName
  /** What commits from here on comes through the slot. */
  readonly lsn: Lsn
}

/**
 * Idempotent; the login has to own the outbox. A table that was dropped and made again has silently left its publication:
 * it is put back, and what it was given meanwhile does not come through the slot.
 */
export async function ensurePublication(
  query: (statement: string, values?: readonly unknown[]) => Promise<readonly unknown[]>,
  publicationName: string,
): Promise<'was_there' | 'made' | 'put_back'> {
  const found = await query('select from pg_publication where pubname = $1', [publicationName])
  const published = await query(
    `select from pg_publication_tables where pubname = $1 and schemaname = 'walhook' and tablename = 'outbox'`,
    [publicationName],
  )
  if (published.length > 0) return 'was_there'
  try {
    await query(
      found.length > 0
        ? `alter publication "${publicationName}" add table walhook.outbox`
        : `create publication "${publicationName}" for table walhook.outbox ` +
            `with (publish = 'insert', publish_via_partition_root = true)`,
    )
  } catch (error) {
    throwUnlessMade(error, publicationName)
  }
  return found.length > 0 ? 'put_back' : 'made'
}

function throwUnlessMade(error: unknown, publicationName: string): void {
  switch (errorCode(error)) {
    case '42710': // another replica was faster
      return
    case '42P01':
    case '3F000':
      throw new WalhookError('schema_missing', 'there is no table walhook.outbox', {
        remedy: 'Run `walhook migrate`; where the table was renamed, give it its name back.',
        cause: error,
      })
    case '42501':
      throw new WalhookError('database_refused', `the login may not make publication ${publicationName}`, {
        remedy:
          'Let it own walhook.outbox and create in the database (sql/roles.sql), or make the publication for it.',
        cause: error,
      })
    default:
      throw error
  }
}

/**
 * `auto` takes wal2json where the server lets it and can decode with it faithfully, else pgoutput.
 * Errors: `plugin_refused` for a plugin that was asked for by name, and those of `replicationError`.
 */
export async function createSlot(wish: SlotWish, server: ServerInspection): Promise<CreatedSlot> {
  if (wish.plugin === 'wal2json') assertPluginIsFaithful('wal2json', server, wish.sources)
  const choices = wish.plugin === 'auto' ? automaticChoices(server, wish.sources) : [wish.plugin]
  for (const [i, plugin] of choices.entries()) {
    try {
      return { plugin, lsn: await createWith(plugin, wish, server) }
    } catch (error) {
      const refused = error instanceof WalhookError && error.code === 'plugin_refused'
      if (!refused || i === choices.length - 1) throw error
    }
  }
  throw new Error('no plugin to choose from')
}

/** What decides which plugins decode it faithfully. */
type DecodedDatabase = Pick<ServerInspection, 'isUtf8' | 'outboxIsPartitioned'>

function automaticChoices(server: ServerInspection, sources: readonly SourceTable[]): readonly PluginName[] {
  return unfitForWal2json(server, sources) === undefined ? ['wal2json', 'pgoutput'] : ['pgoutput']
}

/** wal2json prints bytes of other encodings as they are, and names a partition by itself and not by its parent. */
function unfitForWal2json(server: DecodedDatabase, sources: readonly SourceTable[]): string | undefined {
  if (!server.isUtf8) return 'the database is not UTF-8: wal2json would garble its texts'
  const partitioned = server.outboxIsPartitioned
    ? 'walhook.outbox'
    : sources.find(({ isPartitioned }) => isPartitioned)?.name
  if (partitioned !== undefined) return `${partitioned} is partitioned: wal2json would leave its events out`
  return undefined
}

/** Errors: `plugin_refused` where the plugin would lose or garble events without a word. */
export function assertPluginIsFaithful(
  plugin: PluginName,
  server: DecodedDatabase,
  sources: readonly SourceTable[],
): void {
  const reason = plugin === 'wal2json' ? unfitForWal2json(server, sources) : undefined
  if (reason === undefined) return
  throw new WalhookError('plugin_refused', reason, {
    remedy: 'Set WALHOOK_PLUGIN=pgoutput, and WALHOOK_SLOT to another name: Walhook makes the slot.',
  })
}

async function createWith(plugin: PluginName, wish: SlotWish, server: ServerInspection): Promise<Lsn> {
  const make = async (client: pg.Client): Promise<Lsn> => {
    using _watch = watchCreation(client, wish)
    try {
      if (wish.replaces !== undefined) await dropUnlessChanged(client, wish.slotName, wish.replaces)
      // From 17 on the slot follows a failover, where a standby synchronises slots.
      const failover = server.version >= 170_000 ? ', false, failover => true' : ''
      const { rows } = await client.query<{ lsn: string }>(
        `select lsn from pg_create_logical_replication_slot('${wish.slotName}', '${plugin}', false${failover})`,
      )
      return parseLsn(rows[0]?.lsn ?? '')
    } catch (error) {
      throw replicationError(error, wish.slotName, plugin)
    }
  }
  // For as long as somebody's transaction is open.
  return withReplicationClient(wish.connectionString, wish.slotName, make, Infinity)
}

/** Two replicas may replace it at once: the second one must not drop what the first one made. */
async function dropUnlessChanged(client: pg.Client, slotName: string, seen: SlotState): Promise<void> {
  // Until the connection ends. Whoever waits for it holds no transaction that making a slot would wait for.
  await client.query(`select pg_advisory_lock(hashtextextended('walhook.slot.${slotName}', 0))`)
  const now = await readSlot(client, slotName)
  if (now === undefined) return
  if (now.confirmedLsn !== seen.confirmedLsn || now.walStatus !== seen.walStatus)
    throw new WalhookError('slot_in_use', `slot ${slotName} was just replaced by another process`)
  await client.query(`select pg_drop_replication_slot('${slotName}')`)
}

const WATCH_EVERY_MS = 5_000

/** Making a slot waits for every transaction that is running: say which, or it looks like a hang; and stop when told to. */
function watchCreation(creating: pg.Client, wish: SlotWish): Disposable {
  const { processID } = creating as pg.Client & { readonly processID: number }
  const beside = (statement: string, then: (pids: readonly number[]) => void): void => {
    withReplicationClient(wish.connectionString, wish.slotName, async (client) => {
      const { rows } = await client.query<{ pid: number }>(statement)
      then(rows.map(({ pid }) => pid))
      // A courtesy: where it fails, making the slot tells its own error.
    }).catch(() => undefined)
  }
  const look = (): void =>
    beside(
      `select pid from pg_stat_activity where backend_xid is not null and pid <> ${processID} order by xact_start limit 10`,
      (pids) => {
        if (pids.length > 0) wish.onWaiting(pids)
      },
    )
  // Closing the connection would not: the server notices that only when it has something to say.
  const cancel = (): void =>
    beside(`select pg_cancel_backend(${processID}), ${processID} as pid`, () => undefined)
  const timer = setInterval(look, WATCH_EVERY_MS)
  wish.signal.addEventListener('abort', cancel)
  if (wish.signal.aborted) cancel()
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer)
      wish.signal.removeEventListener('abort', cancel)
    },
  }
}

/** An existing slot keeps its plugin: another one needs another slot. Errors: `configuration`, `plugin_refused`. */
export function pluginOfSlot(
  { slotName, plugin: choice }: { readonly slotName: string; readonly plugin: PluginChoice },
  server: DecodedDatabase & { readonly slot: Pick<SlotState, 'plugin'> | undefined },
  sources: readonly SourceTable[],
): PluginName {
  const plugin = server.slot?.plugin
  const refuse = (message: string, remedy: string): never => {
    throw new WalhookError('configuration', message, { remedy })
  }
  if (plugin !== 'wal2json' && plugin !== 'pgoutput') {
    return refuse(
      `slot ${slotName} decodes with ${plugin}, which Walhook cannot read`,
      'Set WALHOOK_SLOT to another name: Walhook makes the slot.',
    )
  }
  if (choice !== 'auto' && choice !== plugin) {
    return refuse(
      `WALHOOK_PLUGIN is ${choice}, and slot ${slotName} decodes with ${plugin}`,
      'Set WALHOOK_PLUGIN=auto, or WALHOOK_SLOT to another name: Walhook makes the slot.',
    )
  }
  assertPluginIsFaithful(plugin, server, sources)
  return plugin
}

export interface StreamPlugin {
  readonly name: PluginName
  /** START_REPLICATION's options, quoted. */
  readonly options: readonly string[]
  readonly decoder: Decoder
}

/** A fresh decoder a connection: it learns the relations from the stream. */
export function streamPlugin(
  name: PluginName,
  publicationName: string,
  sources: readonly SourceTable[] = [],
): StreamPlugin {
  const tables = { outbox: OUTBOX, sources }
  switch (name) {
    case 'pgoutput':
      return {
        name,
        options: [`"proto_version" '1'`, `"publication_names" '"${publicationName}"'`, `"messages" 'true'`],
        decoder: pgoutputDecoder(tables),
      }
    case 'wal2json':
      return {
        name,
        options: [
          `"format-version" '2'`, // version 1 builds a whole transaction as one string
          `"include-lsn" 'on'`,
          `"include-timestamp" 'on'`,
          `"include-types" 'off'`,
          `"actions" 'insert'`,
          `"add-tables" '${[OUTBOX, ...sources].map(tableOption).join(',')}'`,
          `"add-msg-prefixes" '${MESSAGE_PREFIX},${WAKE_PREFIX}'`,
        ],
        decoder: wal2jsonDecoder(tables),
      }
    default:
      return name satisfies never
  }
}

/** Within quotes, with a backslash before whatever means something in wal2json's list of tables. */
function tableOption({ schema, table }: { readonly schema: string; readonly table: string }): string {
  const name = (text: string): string => text.replaceAll(/[\\,.*\s]/g, '\\$&').replaceAll("'", "''")
  return `${name(schema)}.${name(table)}`
}
