/**
 * The tables of `WALHOOK_SOURCES`, found and judged. At start one that cannot be mapped is refused. Later it is not: what
 * the others bring, and our own outbox, must not wait for somebody to mend a table.
 */
import { judgeSource, type SourceTable } from './core/source-check.ts'
import type { SourceWish } from './core/source-table.ts'
import { WalhookError } from './lifecycle/errors.ts'
import type { Database } from './store/database.ts'
import { readSourceTables } from './store/source-tables.ts'
import type { Logger } from './telemetry/logger.ts'

export interface PreparedSources {
  readonly all: readonly SourceTable[]
  /** Those that can be published. */
  readonly fit: readonly SourceTable[]
}

/** Errors: `configuration`, which names each table and column that is not fit, and what to do. */
export async function prepareSources(
  wishes: readonly SourceWish[],
  database: Database,
): Promise<PreparedSources> {
  const verdicts = await judgeAll(wishes, database)
  const unfit = verdicts.flatMap((verdict) => (verdict.kind === 'unfit' ? [verdict] : []))
  if (unfit.length > 0) {
    throw new WalhookError(
      'configuration',
      `WALHOOK_SOURCES: ${unfit.map(({ reason }) => reason).join('; ')}`,
      {
        remedy: unfit.map(({ remedy }) => remedy).join(' '),
      },
    )
  }
  const fit = verdicts.flatMap((verdict) => (verdict.kind === 'fit' ? [verdict.source] : []))
  return { all: fit, fit }
}

/** As they are now. One that is not fit any more stays what it was, so that nothing is passed over once it is back. */
export async function lookAtSources(
  known: readonly SourceTable[],
  database: Database,
  logger: Logger,
): Promise<PreparedSources> {
  const verdicts = await judgeAll(known, database)
  const fit: SourceTable[] = []
  const all = known.map((source, i) => {
    const verdict = verdicts[i]
    if (verdict?.kind === 'unfit') tellUnfit(source, verdict.reason, logger)
    if (verdict?.kind !== 'fit') return source
    fit.push(verdict.source)
    return verdict.source
  })
  return { all, fit }
}

export function tellUnfit(source: SourceTable, reason: string, logger: Logger): void {
  logger.error({ source: source.name, reason }, 'source.unfit')
}

async function judgeAll(
  wishes: readonly SourceWish[],
  database: Database,
): Promise<ReturnType<typeof judgeSource>[]> {
  const found = await readSourceTables(database, wishes)
  return wishes.map((wish, i) => judgeSource(wish, found[i]))
}
