/** What waits in the database, as metrics. Every process tells the same figures. */
import { Wake } from './lifecycle/wake.ts'
import type { SpaceWatchParts } from './space-watch.ts'
import { readBacklogTotals } from './store/backlog.ts'

const LOOK_EVERY_MS = 15_000
/** A backlog of millions takes a while to count: then it is looked at more seldom. */
const MOST_SHARE_OF_TIME = 0.02

/** Runs until `signal` aborts. Never rejects: a look that fails comes again. */
export async function watchBacklog(
  { database, logger, metrics }: SpaceWatchParts,
  signal: AbortSignal,
): Promise<void> {
  const pause = new Wake()
  while (!signal.aborted) {
    const startedAt = performance.now()
    try {
      const { oldestSeconds, jobs, ...waits } = await readBacklogTotals(database)
      metrics.deliveries.backlog(waits, oldestSeconds, jobs)
    } catch (err) {
      logger.debug({ err }, 'backlog.uncounted')
    }
    const tookMs = performance.now() - startedAt
    await pause.sleep(Math.max(LOOK_EVERY_MS, tookMs / MOST_SHARE_OF_TIME), signal)
  }
}
