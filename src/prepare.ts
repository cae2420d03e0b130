/**
 * Everything that has to be there before events can flow, in the order in which it has to be made: schema, pg-boss's
 * schema, publication, slot, and the relay's row. `walhook migrate` is this and no more; `walhook run` begins with it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from './config.ts'
import { formatLsn } from './core/lsn.ts'
import { type Gap, planSlot, type SlotPlan, type SlotState, type Suspicion } from './core/slot-plan.ts'
import type { SourceTable } from './core/source-check.ts'
import { sourceName } from './core/source-table.ts'
import { WalhookError } from './lifecycle/errors.ts'
import { inspectServer, type ServerInspection } from './replication/server.ts'
import { createSlot, ensurePublication, type PluginName, pluginOfSlot } from './replication/slot.ts'
import { lookAtSources, type PreparedSources, prepareSources } from './prepare-sources.ts'
import { publishSources } from './replication/source-publication.ts'
import type { Database } from './store/database.ts'
import { assertSchemaIsCurrent, migrateSchema } from './store/migrate.ts'
import {
  forgetForeignPositions,
  readRelayRow,
  recordGap,
  recordTimeline,
  type RelayRow,
  startRelayRow,
} from './store/relay-ledger.ts'
import type { Logger } from './telemetry/logger.ts'

export interface PreparedSlot {
  readonly server: ServerInspection
  readonly plugin: PluginName
  readonly position: RelayRow
  readonly sources: readonly SourceTable[]
}

const MADE_ELSEWHERE_AGAIN_MS = 500

/** The schema; also tries the database first, so that its errors come before anything is written. */
export async function prepareSchema(
  config: Config,
  database: Database,
  logger: Logger,
): Promise<readonly string[]> {
  await database.query('select 1')
  await inspectServer(config.replicationUrl, config.slotName)
  if (!config.autoMigrate) {
    await assertSchemaIsCurrent(database)
    return []
  }
  const { applied } = await migrateSchema(config.databaseUrl)
  if (applied.length > 0) logger.info({ applied }, 'schema.migrated')
  return applied
}

export interface SlotCircumstances {
  /** What the last connection or a look at the outbox found out. */
  readonly suspicion?: Suspicion | undefined
  /** As they were when we started, if we have. */
  readonly sources?: readonly SourceTable[] | undefined
  /** Making a slot can take as long as somebody's transaction. */
  readonly signal: AbortSignal
}

/**
 * The publication, the slot and the position to go on from. Safe at every start and on every reconnection: the server may be another
 * one by now. Where the slot cannot vouch for everything since the recorded position, it is made anew or taken as it is, and the relay's
 * row says from then on that the outbox has to be looked through. Errors: those of `inspectServer` and `createSlot`; an `AbortError`.
 */
export async function prepareSlot(
  config: Config,
  database: Database,
  logger: Logger,
  circumstances: SlotCircumstances,
): Promise<PreparedSlot> {
  const { signal } = circumstances
  let { suspicion } = circumstances
  const sources =
    circumstances.sources === undefined
      ? await prepareSources(config.sources, database)
      : await lookAtSources(circumstances.sources, database, logger)
  for (;;) {
    signal.throwIfAborted()
    const prepared = await prepareSlotUnlessBusy(config, database, logger, sources, {
      suspicion,
      signal,
    }).catch((error: unknown) => {
      // Being told to stop is what made it fail.
      signal.throwIfAborted()
      throw error
    })
    if (prepared !== undefined) return prepared
    // It was of a slot that another process has in hand by now.
    suspicion = undefined
    logger.debug({ slot: config.slotName }, 'slot.made_elsewhere')
    await sleep(MADE_ELSEWHERE_AGAIN_MS, undefined, { signal })
  }
}

/** Undefined while another process makes the slot, which can take as long as the longest running transaction. */
async function prepareSlotUnlessBusy(
  config: Config,
  database: Database,
  logger: Logger,
  sources: PreparedSources,
  { suspicion, signal }: SlotCircumstances,
): Promise<PreparedSlot | undefined> {
  const server = await inspectServer(config.replicationUrl, config.slotName)
  if (isBeingMade(server.slot)) return undefined
  const recorded = await readRelayRow(database, config.slotName)
  // Before the slot: it decodes with the publications that it can see. And at every start: a table that was dropped
  // and made again has left its publication without a word.
  const publication = await ensurePublication(database.query.bind(database), config.publicationName)
  const passedOver = recorded === undefined ? undefined : suspicionOf(publication, server.slot)
  const plan = planSlot(server, server.slot, recorded, graver(suspicion, passedOver))
  if (plan.kind === 'refuse') throw refusal(plan.reason, config, server, recorded)
  if (recorded !== undefined && plan.gap !== undefined) tellGap(config, server, recorded, plan.gap, logger)
  await publish(
    config,
    database,
    logger,
    sources,
    plan.kind === 'create' ? config.plugin : server.slot?.plugin,
  )

  switch (plan.kind) {
    case 'continue':
      if (plan.recordTimeline) await recordTimeline(database, config.slotName, server.timeline)
      if (plan.gap !== undefined) await recordGap(database, config.slotName, plan.gap)
      break
    case 'adopt':
      await startRelay(config, database, server, plan)
      logger.info({ slot: config.slotName, lsn: formatLsn(plan.lsn) }, 'slot.adopted')
      break
    case 'create':
      try {
        return await createAndStart(config, database, server, sources, plan, logger, signal)
      } catch (error) {
        if (error instanceof WalhookError && error.code === 'slot_in_use') return undefined
        throw error
      }
    default:
      return plan satisfies never
  }
  const plugin = pluginOfSlot(config, server, sources.all)
  return { server, plugin, position: await currentRow(config, database), sources: sources.all }
}

/** What is in a source by then does not come through the slot, and is not looked for. */
async function publish(
  config: Config,
  database: Database,
  logger: Logger,
  sources: PreparedSources,
  plugin: string | undefined,
): Promise<void> {
  if (plugin === 'wal2json') return
  const added = await publishSources(database.query.bind(database), config.publicationName, sources.fit)
  if (added.length > 0)
    logger.info({ publication: config.publicationName, sources: added }, 'sources.published')
}

/** A slot has no position until it is made; one that Postgres has given up is nobody's. */
function isBeingMade(slot: SlotState | undefined): boolean {
  return slot !== undefined && slot.confirmedLsn === undefined && slot.isActive && slot.walStatus !== 'lost'
}

/**
 * wal2json goes by the table's name and by no publication. pgoutput passed a table over that was not in it; log that was
 * written while there was no publication at all, most servers cannot decode.
 */
function suspicionOf(
  publication: Awaited<ReturnType<typeof ensurePublication>>,
  slot: SlotState | undefined,
): Suspicion | undefined {
  if (slot?.plugin !== 'pgoutput' || publication === 'was_there') return undefined
  return publication === 'made' ? 'unreadable' : 'outbox_unpublished'
}

function graver(one: Suspicion | undefined, other: Suspicion | undefined): Suspicion | undefined {
  return one === 'unreadable' ? one : (other ?? one)
}

function tellGap(
  config: Config,
  server: ServerInspection,
  recorded: RelayRow,
  gap: Gap,
  logger: Logger,
): void {
  logger.error(
    {
      slot: config.slotName,
      reason: gap,
      recorded_lsn: formatLsn(recorded.lsn),
      wal_status: server.slot?.walStatus,
      invalidation_reason: server.slot?.invalidationReason,
      sources_not_searched: config.sources.map(sourceName),
    },
    'slot.gap_found',
  )
}

async function createAndStart(
  config: Config,
  database: Database,
  server: ServerInspection,
  sources: PreparedSources,
  plan: Extract<SlotPlan, { kind: 'create' }>,
  logger: Logger,
  signal: AbortSignal,
): Promise<PreparedSlot> {
  const slot = await createSlot(
    {
      connectionString: config.replicationUrl,
      slotName: config.slotName,
      publicationName: config.publicationName,
      plugin: config.plugin,
      sources: sources.all,
      replaces: plan.replaces ? server.slot : undefined,
      onWaiting: (pids) =>
        logger.warn({ slot: config.slotName, waits_for_pids: pids }, 'slot.creation_waits'),
      signal,
    },
    server,
  )
  await startRelay(config, database, server, { lsn: slot.lsn, gap: plan.gap })
  logger.info({ slot: config.slotName, plugin: slot.plugin, lsn: formatLsn(slot.lsn) }, 'slot.created')
  return { server, plugin: slot.plugin, position: await currentRow(config, database), sources: sources.all }
}

async function startRelay(
  config: Config,
  database: Database,
  server: ServerInspection,
  start: { readonly lsn: RelayRow['lsn']; readonly gap: Gap },
): Promise<void> {
  await database.transaction(async (tx) => {
    if (start.gap === 'another_cluster') await forgetForeignPositions(tx)
    await startRelayRow(tx, config.slotName, start.lsn, server, start.gap)
  })
}

async function currentRow(config: Config, database: Database): Promise<RelayRow> {
  const row = await readRelayRow(database, config.slotName)
  if (row !== undefined) return row
  throw new WalhookError(
    'stream_ended',
    `somebody removed the row of slot ${config.slotName} from walhook.relay`,
  )
}

function refusal(
  reason: Extract<SlotPlan, { kind: 'refuse' }>['reason'],
  config: Config,
  server: ServerInspection,
  recorded: RelayRow | undefined,
): WalhookError {
  switch (reason) {
    case 'old_primary':
      return new WalhookError(
        'database_refused',
        `the server is on timeline ${server.timeline}, and ${recorded?.timeline} was recorded: it is a former primary`,
        { remedy: 'Point DATABASE_URL and WALHOOK_REPLICATION_URL at the current primary.' },
      )
    case 'another_database':
      return new WalhookError(
        'configuration',
        `slot ${config.slotName} belongs to database ${server.slot?.database}, not to ${server.database}`,
        { remedy: 'Set WALHOOK_SLOT to a name of its own for each database.' },
      )
    default:
      return reason satisfies never
  }
}
