/**
 * Looks now and then whether the sources are still the tables that are streamed. One that was renamed, dropped or altered loses its
 * events without an error of Postgres's, so it is told; one that was made anew is published by starting the stream again.
 */
import { isDeepStrictEqual } from 'node:util'
import { judgeSource, type SourceTable } from './core/source-check.ts'
import { repeat } from './outbox-watch.ts'
import { tellUnfit } from './prepare-sources.ts'
import type { Database } from './store/database.ts'
import { readSourceTables } from './store/source-tables.ts'
import type { Logger } from './telemetry/logger.ts'

const LOOK_EVERY_MS = 30_000

/** From now on, until disposed. */
export function watchSources(
  { database, logger }: { readonly database: Database; readonly logger: Logger },
  sources: readonly SourceTable[],
  onChanged: () => void,
): Disposable {
  if (sources.length === 0) return { [Symbol.dispose]: () => undefined }
  /** Told once each time, and not every half a minute. */
  const unfit = new Set<string>()

  const look = async (): Promise<void> => {
    const found = await readSourceTables(database, sources)
    for (const [i, source] of sources.entries()) {
      const verdict = judgeSource(source, found[i])
      if (verdict.kind === 'fit') {
        unfit.delete(source.name)
        if (!isDeepStrictEqual(verdict.source, source)) onChanged()
      } else if (!unfit.has(source.name)) {
        unfit.add(source.name)
        tellUnfit(source, verdict.reason, logger)
      }
    }
  }
  const timer = repeat(LOOK_EVERY_MS, () =>
    look().catch((err: unknown) => logger.debug({ err }, 'relay.outbox_unchecked')),
  )
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
