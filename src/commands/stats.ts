/** `walhook stats`: how deliveries went, of all or of one subscription, as walhook.stats says it. */
import { type Command, Option } from 'commander'
import { rfc3339 } from '../core/outbox-event.ts'
import { visibleJson } from '../core/untrusted-text.ts'
import { readStats, readStatsSeries, STATS_WINDOWS, type StatsWindow } from '../store/stats.ts'
import { subscriptionId } from './arguments.ts'
import type { CommandContext } from './command.ts'
import { withDatabase } from './operator-database.ts'
import { psqlRecord, psqlTable } from './psql-table.ts'

interface StatsOptions {
  readonly window: StatsWindow
  readonly subscription?: string
  readonly tenant?: string
  readonly series?: true
  readonly json?: true
}

export function addStats(walhook: Command, context: CommandContext): void {
  walhook
    .command('stats')
    .description('Show how deliveries went: counts, failure rate, latencies, and what is owed.')
    .addOption(new Option('--window <window>', 'how far back').choices(STATS_WINDOWS).default('24h'))
    .option('--subscription <id>', 'of this subscription only', subscriptionId)
    .option('--tenant <tenant>', "of this tenant's subscriptions only")
    .option('--series', 'point by point too')
    .option('--json', 'print JSON: {"stats", "series"}')
    .action((options: StatsOptions) => stats(context, options))
}

async function stats(context: CommandContext, options: StatsOptions): Promise<void> {
  const { terminal } = context
  const scope = { subscriptionId: options.subscription ?? null, tenant: options.tenant ?? null }
  const wantsSeries = options.series === true || options.json === true
  const { row, series } = await withDatabase(context, async (database) => ({
    row: await readStats(database, options.window, scope),
    series: wantsSeries ? await readStatsSeries(database, options.window, scope) : [],
  }))
  if (options.json) {
    const { from_at, oldest_pending_at } = row
    terminal.print(
      visibleJson({
        stats: { ...row, from_at: isoTime(from_at), oldest_pending_at: isoTime(oldest_pending_at) },
        series: series.map((point) => ({ ...point, at: isoTime(point.at) })),
      }),
    )
    return
  }
  terminal.print(psqlRecord(row))
  if (options.series !== true) return
  terminal.print('')
  terminal.print(psqlTable(Object.keys(series[0] ?? {}), series))
}

function isoTime(text: string | null): string | null {
  return text === null ? null : (rfc3339(text) ?? text)
}
