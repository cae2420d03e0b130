/** The HTTP surface, wired: its own few connections, so that what it is asked starves neither the relay nor deliveries. */
import { type ApiServer, serveApi } from './api/server.ts'
import type { Config } from './config.ts'
import type { LiveHints } from './live-hints.ts'
import type { SlotWatch } from './slot-watch.ts'
import { hasApiKeys } from './store/api-keys.ts'
import { Database } from './store/database.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'

const MAX_CONNECTIONS = 4
/** Whoever asks waits for no longer; a page that asks again would only add to what is too much already. */
const STATEMENT_TIMEOUT_MS = 10_000
/** Past that it is the connection that is dead. */
const ANSWER_WITHIN_MS = 12_000
const CONNECT_WITHIN_MS = 5_000

export interface ApiStageParts {
  readonly config: Config
  /** The one that everything else uses: whether it can be reached is what readiness is about. */
  readonly database: Database
  readonly relay: { readonly role: () => string; readonly problems: () => readonly string[] }
  readonly slot: SlotWatch
  readonly metrics: Metrics
  readonly hints: LiveHints
  readonly logger: Logger
}

/** Errors: `port_taken`. */
export async function apiStage(parts: ApiStageParts): Promise<ApiServer> {
  const { config, database, relay, slot, metrics, hints, logger } = parts
  await using opened = new AsyncDisposableStack()
  // Connects when it is first asked something.
  const own = opened.use(
    new Database({
      url: config.databaseUrl,
      maxConnections: MAX_CONNECTIONS,
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      answerWithinMs: ANSWER_WITHIN_MS,
      connectWithinMs: CONNECT_WITHIN_MS,
      onIdleError: (err) => logger.warn({ err }, 'database.connection_lost'),
      onConnected: (ms) => metrics.process.waitedForConnection(ms),
    }),
  )
  const server = opened.use(
    await serveApi(
      config.listen,
      {
        database: own,
        hints,
        adminToken: config.adminToken,
        encryptionKeys: config.encryptionKeys,
        role: relay.role,
        slot: () => slot.report(),
        slotName: config.slotName,
        secondsUntilLost: () => slot.report()?.seconds_until_lost,
        metrics: () => metrics.text(),
        problems: async () => {
          const unreachable = await database.query('select 1').then(
            () => [],
            () => ['the database cannot be reached'],
          )
          return [...unreachable, ...relay.problems()]
        },
      },
      logger,
    ),
  )
  await sayWhoMayAsk(config, own, logger)
  const stack = opened.move()
  return { address: server.address, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

/** Told at the start; from the first key on it is another matter, without a start. */
async function sayWhoMayAsk({ adminToken }: Config, database: Database, logger: Logger): Promise<void> {
  if (adminToken !== undefined || (await hasApiKeys(database).catch(() => true))) return
  logger.info('api.open_to_this_machine')
}
