/** What Walhook's tables take on disk, as a metric. Every process tells the same figures. */
import { Wake } from './lifecycle/wake.ts'
import type { Database } from './store/database.ts'
import { readSpace } from './store/space.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'

const LOOK_EVERY_MS = 60_000

export interface SpaceWatchParts {
  readonly database: Database
  readonly logger: Logger
  readonly metrics: Metrics
}

/** Runs until `signal` aborts. Never rejects: a look that fails comes again. */
export async function watchSpace(
  { database, logger, metrics }: SpaceWatchParts,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for (const { table, bytes } of await readSpace(database)) metrics.tableBytes(table, bytes)
    } catch (err) {
      logger.debug({ err }, 'space.unread')
    }
    await new Wake().sleep(LOOK_EVERY_MS, signal)
  }
}
