/** Wires replication/ and relay/ to the rest: one run is one connection, from preparing the slot to its end. */
import type { Config } from './config.ts'
import { originName } from './core/logged-row.ts'
import type { Suspicion } from './core/slot-plan.ts'
import type { SourceTable } from './core/source-check.ts'
import type { DeliveryStage } from './delivery-stage.ts'
import { eventTypeCheck } from './event-type-check.ts'
import type { RelaySpans } from './fresh-deliveries.ts'
import { WalhookError } from './lifecycle/errors.ts'
import { LONGEST_PAUSE_MS } from './lifecycle/keep-running.ts'
import { OutboxWatch } from './outbox-watch.ts'
import { prepareSlot } from './prepare.ts'
import type { Recorded } from './relay/record-batch.ts'
import { relay } from './relay/relay.ts'
import { streamPlugin } from './replication/slot.ts'
import { ReplicationStream } from './replication/stream.ts'
import { watchSources } from './source-watch.ts'
import type { Database } from './store/database.ts'
import type { RetryJobs } from './store/jobs.ts'
import { recordSources } from './store/relay-ledger.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'
import type { Tracing } from './telemetry/tracing.ts'

export interface RelayStage {
  run(progressed: () => void, signal: AbortSignal): Promise<void>
  readonly onEnded: (error: unknown, pauseMs: number) => void
  readonly longestPauseMs: (error: unknown) => number
  readonly role: () => 'starting' | 'streaming' | 'standby' | 'interrupted'
  problems(): readonly string[]
}

/** Starting again finds out what there is now, and mends it. */
const OUTBOX_CHANGED = new WalhookError(
  'stream_ended',
  'walhook.outbox was renamed, replaced or taken out of its publication',
)
const SOURCE_CHANGED = new WalhookError('stream_ended', 'a table of WALHOOK_SOURCES was made anew or altered')
/** How often a standby tries for the slot: what commits meanwhile waits for it to take over. */
const STANDBY_TRIES_EVERY_MS = 1_000

const UNTRACED: RelaySpans = new Map()

interface RelayStageParts {
  readonly config: Config
  readonly database: Database
  readonly jobs: RetryJobs
  readonly logger: Logger
  readonly metrics: Metrics
  readonly delivery: DeliveryStage
  /** The log says that something of this subscription was changed. */
  readonly onWake: (subscriptionId: string) => void
  /** Undefined where traces are off. */
  readonly tracing: Tracing | undefined
  /** As they are at start. */
  readonly sources: readonly SourceTable[]
}

export function relayStage(parts: RelayStageParts): RelayStage {
  const { config, database, jobs, logger, metrics, delivery, tracing } = parts
  const eventTypes = eventTypeCheck(parts)
  const { judge } = eventTypes
  const outbox = new OutboxWatch({ ...parts, judge })
  let role: ReturnType<RelayStage['role']> = 'starting'
  /** What the last run found out about the slot, for the next one to mend. */
  let suspicion: Suspicion | undefined
  let { sources } = parts
  /** How often in a row the slot's log could not be decoded. */
  let unreadable = 0

  const run = async (progressed: () => void, signal: AbortSignal): Promise<void> => {
    const prepared = await prepareSlot(config, database, logger, { suspicion, sources, signal })
    suspicion = undefined
    sources = prepared.sources
    await eventTypes.read()
    const { server, plugin } = prepared
    // Before what comes now: these events are older.
    await outbox.closeGap()
    await using stream = await ReplicationStream.open({
      connectionString: config.replicationUrl,
      slotName: config.slotName,
      plugin: streamPlugin(plugin, config.publicationName, sources),
      liveness: server.liveness,
      onWake: parts.onWake,
    })
    // Ending the stream is what ends the loop below.
    const end = (): void => void stream[Symbol.asyncDispose]()
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    using _watch = await outbox.start(() => {
      suspicion = 'outbox_unpublished'
      stream.end(OUTBOX_CHANGED)
    })
    using _sourceWatch = watchSources(parts, sources, () => stream.end(SOURCE_CHANGED))
    const isCountedAnew = await recordSources(
      database,
      config.slotName,
      sources.map(({ name }) => name),
    )
    const position = isCountedAnew ? { ...prepared.position, row: 0 } : prepared.position
    role = 'streaming'
    metrics.streaming(true)
    logger.info({ slot: config.slotName, plugin }, 'relay.streaming')
    try {
      await relay(stream, position, {
        database,
        slotName: config.slotName,
        room: delivery.room,
        untilRoom: delivery.untilRoom,
        judge,
        schedule: jobs.schedule.bind(jobs),
        onMisreadDelay: (event) => {
          metrics.delayIgnored()
          logger.warn({ event_id: event.id, event_type: event.type }, 'relay.delay_ignored')
        },
        onMalformed: (row, reason) => {
          metrics.malformed()
          logger.error(
            {
              reason,
              source: originName(row.origin),
              row_in_transaction: row.row,
              event_id: row.raw.get('id') ?? null,
            },
            'relay.malformed_row',
          )
        },
        handOver: (recorded, committedAt) => {
          progressed()
          report(recorded, committedAt)
          delivery.accept(recorded, traced(recorded))
        },
        now: () => performance.now(),
      })
    } finally {
      role = 'interrupted'
      metrics.streaming(false)
      signal.removeEventListener('abort', end)
    }
  }

  const traced = ({ rows }: Recorded): RelaySpans => {
    if (tracing === undefined) return UNTRACED
    const spans = new Map<string, string>()
    const now = Date.now()
    for (const { parsed, committedAt } of rows) {
      if (parsed.kind !== 'event') continue
      const span = tracing.relayed(parsed.event, committedAt?.getTime() ?? now, now)
      if (span !== undefined) spans.set(parsed.event.id, span)
    }
    return spans
  }

  const report = (recorded: Recorded, committedAt: Date | undefined): void => {
    const lagSeconds =
      committedAt === undefined ? undefined : Math.max(0, (Date.now() - committedAt.getTime()) / 1000)
    metrics.recorded(recorded.events, lagSeconds)
    metrics.deliveries.recorded(recorded.deliveries, recorded.spilled)
    if (recorded.events > 0)
      logger.debug({ events: recorded.events, deliveries: recorded.deliveries }, 'relay.recorded')
  }

  const onEnded = (err: unknown, pauseMs: number): void => {
    const isStandby = isInUse(err)
    // Once may have been a slot that another replica is about to replace.
    unreadable = err instanceof WalhookError && err.code === 'slot_unreadable' ? unreadable + 1 : 0
    if (unreadable > 1) suspicion = 'unreadable'
    // Another replica streams: worth one line, not one a second.
    if (isStandby && role !== 'standby') logger.info({ err }, 'relay.standby')
    if (!isStandby) logger.warn({ err, again_in_ms: Math.round(pauseMs) }, 'relay.interrupted')
    if (!isStandby) metrics.interrupted()
    role = isStandby ? 'standby' : 'interrupted'
  }

  const longestPauseMs = (err: unknown): number => (isInUse(err) ? STANDBY_TRIES_EVERY_MS : LONGEST_PAUSE_MS)

  const problems = (): readonly string[] =>
    role === 'streaming' || role === 'standby'
      ? []
      : [`the relay is ${role}: events wait in the write-ahead log`]

  return { run, onEnded, longestPauseMs, role: () => role, problems }
}

/** Another replica streams. */
function isInUse(err: unknown): boolean {
  return err instanceof WalhookError && err.code === 'slot_in_use'
}
