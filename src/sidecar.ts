/**
 * The composition root: where the stages meet. What is opened here is closed in reverse; the order in which the parts
 * stop is the order in which an event passes them.
 */
import { apiStage } from './api-stage.ts'
import { watchBacklog } from './backlog-watch.ts'
import { type Config, describeConfig } from './config.ts'
import { proxyAddress } from './core/egress-proxy.ts'
import { Counting } from './counting.ts'
import { deliveryStage } from './delivery-stage.ts'
import { keepBeating } from './heartbeat.ts'
import { keepRunning } from './lifecycle/keep-running.ts'
import { Wake } from './lifecycle/wake.ts'
import { LiveHints } from './live-hints.ts'
import { prepareSchema, prepareSlot } from './prepare.ts'
import { keepPublicKeysShown } from './public-keys.ts'
import { relayStage } from './relay-stage.ts'
import { assertSecretsCanBeRead, keepSecretsSealed } from './secrets-at-rest.ts'
import { SlotWatch } from './slot-watch.ts'
import { keepReplaying } from './replays.ts'
import { watchSpace } from './space-watch.ts'
import { Database } from './store/database.ts'
import { RetryJobs } from './store/jobs.ts'
import { applyRetention } from './store/retention.ts'
import type { Logger } from './telemetry/logger.ts'
import { Metrics } from './telemetry/metrics.ts'
import { startTracing } from './telemetry/tracing.ts'
import { VERSION } from './version.ts'
import { WakeCalls } from './wake-calls.ts'

export interface Sidecar extends AsyncDisposable {
  /** Where the API listens: `http://127.0.0.1:8788`. */
  readonly address: string
  /** Resolves after `stop`; rejects with what only a person can mend. */
  readonly ended: Promise<void>
  /** Stops reading and claiming at once and lets attempts end, for as long as the grace lasts. Safe to call twice. */
  stop(): Promise<void>
}

const RETENTION_EVERY_MS = 3_600_000
/** For counters and the heartbeat, once attempts have ended: a database that is away has had its time. */
const LAST_COUNTS_WITHIN_MS = 2_000
/** For statements of the relay, the settler, the claim, the retry clock and what is asked now and then. */
const MAX_CONNECTIONS = 10
/** Past the server's own limit on statements: then it is the connection that is dead. */
const ANSWER_WITHIN_MS = 65_000

/**
 * `signal` gives the start up: making the slot can take as long as somebody's transaction. Errors: `configuration`, `database_*`,
 * `schema_*`, `plugin_refused`, `port_taken`; an `AbortError`.
 */
export async function startSidecar(
  config: Config,
  logger: Logger,
  signal: AbortSignal = new AbortController().signal,
): Promise<Sidecar> {
  await using opened = new AsyncDisposableStack()
  const metrics = new Metrics(VERSION)
  const hints = new LiveHints(() => performance.now())
  const database = opened.use(
    new Database({
      url: config.databaseUrl,
      maxConnections: MAX_CONNECTIONS,
      answerWithinMs: ANSWER_WITHIN_MS,
      plansOnce: true,
      onIdleError: (err) => logger.warn({ err }, 'database.connection_lost'),
      onConnected: (ms) => metrics.process.waitedForConnection(ms),
    }),
  )
  metrics.process.observePool(() => database.load)
  logger.info({ version: VERSION, ...describeConfig(config) }, 'sidecar.starting')
  if (config.proxy !== undefined) logger.warn({ proxy: proxyAddress(config.proxy) }, 'proxy.resolves_names')
  await prepareSchema(config, database, logger)
  await assertSecretsCanBeRead(config, database)
  // Made before it is streamed, so that what only a person can mend is told before we say that we have started.
  const { sources } = await prepareSlot(config, database, logger, { signal })

  const jobs = opened.use(await RetryJobs.open(database, (err) => logger.warn({ err }, 'jobs.error')))
  const counting = new Counting(database, logger)
  const tracing = config.traces && opened.use(await startTracing(config.traces, VERSION, metrics.process))
  const delivery = opened.use(
    deliveryStage({ config, database, jobs, counting, tracing, logger, metrics, hints }),
  )
  const replayAsked = new Wake()
  const calls = new WakeCalls((subscriptionIds) => {
    delivery.wake(subscriptionIds)
    replayAsked.set()
  })
  const onWake = calls.call.bind(calls)
  const relay = relayStage({ config, database, jobs, logger, metrics, delivery, tracing, sources, onWake })
  const slot = new SlotWatch({ config, database, logger, metrics, hints })
  const api = opened.use(await apiStage({ config, database, relay, slot, metrics, hints, logger }))

  const stopping = new AbortController()
  const watching = slot.run(stopping.signal)
  const relaying = keepRunning((progressed) => relay.run(progressed, stopping.signal), {
    signal: stopping.signal,
    onEnded: relay.onEnded,
    longestPauseMs: relay.longestPauseMs,
    random: Math.random,
  })
  const retention = keepRunning(() => retain(config, database, logger, stopping.signal), {
    signal: stopping.signal,
    onEnded: (err, pauseMs) => logger.warn({ err, again_in_ms: Math.round(pauseMs) }, 'retention.failed'),
    random: Math.random,
  })
  const replaying = keepRunning(
    () =>
      keepReplaying(
        { database, logger, expect: (ids) => delivery.expect(ids), asked: replayAsked },
        stopping.signal,
      ),
    {
      signal: stopping.signal,
      onEnded: (err, pauseMs) =>
        logger.warn({ err, again_in_ms: Math.round(pauseMs) }, 'replays.interrupted'),
      random: Math.random,
    },
  )
  metrics.process.watchEventLoop(stopping.signal)
  const space = watchSpace({ database, logger, metrics }, stopping.signal)
  const backlog = watchBacklog({ database, logger, metrics }, stopping.signal)
  const beating = keepBeating({ databaseUrl: config.databaseUrl, logger, role: relay.role }, stopping.signal)
  const counted = counting.run(stopping.signal)
  const sealing = keepSealed(config, database, logger, stopping.signal)
  const showing = keepRunning(() => keepPublicKeysShown(config.encryptionKeys, database, stopping.signal), {
    signal: stopping.signal,
    onEnded: (err, pauseMs) =>
      logger.warn({ err, again_in_ms: Math.round(pauseMs) }, 'public_keys.not_shown'),
    random: Math.random,
  })
  const stack = opened.move()
  logger.info({ address: api.address }, 'sidecar.started')

  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> =>
    (stopped ??= (async () => {
      logger.info('sidecar.stopping')
      stopping.abort()
      await Promise.allSettled([relaying, retention, watching, sealing, showing, replaying, space])
      await delivery.stop(config.shutdownGraceMs)
      await withinMs(
        LAST_COUNTS_WITHIN_MS,
        Promise.allSettled([backlog, beating, counted]).then(() => counting.flush()),
      )
      await stack.disposeAsync()
      logger.info('sidecar.stopped')
    })())

  const ended = Promise.all([relaying, retention, sealing, showing, replaying]).then(stop)
  // Whoever does not wait for it hears of it when stopping.
  ended.catch(() => undefined)
  return { address: api.address, ended, stop, [Symbol.asyncDispose]: stop }
}

/** What is not worth waiting for longer. */
async function withinMs(ms: number, work: Promise<void>): Promise<void> {
  const done = new AbortController()
  await Promise.race([work.finally(() => done.abort()), new Wake().sleep(ms, done.signal)])
}

/** Where there is no key there is nothing to do. */
async function keepSealed(
  { encryptionKeys }: Config,
  database: Database,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const [key] = encryptionKeys
  if (key === undefined) return
  await keepRunning(() => keepSecretsSealed(key, encryptionKeys, database, logger, signal), {
    signal,
    onEnded: (err, pauseMs) => logger.warn({ err, again_in_ms: Math.round(pauseMs) }, 'secrets.not_sealed'),
    random: Math.random,
  })
}

async function retain(
  config: Config,
  database: Database,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const removed = await applyRetention(database, config.retention, signal)
  logger.debug(removed, 'retention.applied')
  await new Wake().sleep(RETENTION_EVERY_MS, signal)
}
