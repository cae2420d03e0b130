/** `walhook migrate`: everything that `run` needs, made and no more. */
import type { Command } from 'commander'
import { parseConfig } from '../config.ts'
import { formatLsn } from '../core/lsn.ts'
import { visibleJson } from '../core/untrusted-text.ts'
import { Database } from '../store/database.ts'
import type { CommandContext } from './command.ts'
import { loadPreparation } from './load-sidecar.ts'
import { readableLog } from './readable-log.ts'
import { withProgress } from './terminal.ts'

interface MigrateOptions {
  readonly json?: true
}

export function addMigrate(walhook: Command, context: CommandContext): void {
  walhook
    .command('migrate')
    .description(
      'Make or update the schema, the publication and the slot. Safe to run twice, and by many at once.',
    )
    .option('--json', 'print JSON')
    .action((options: MigrateOptions) => migrate(context, options))
}

async function migrate(context: CommandContext, options: MigrateOptions): Promise<void> {
  const { terminal } = context
  const config = { ...parseConfig(context.environment), autoMigrate: true }
  const { prepareSchema, prepareSlot, createLogger } = await loadPreparation()
  await using database = new Database({ url: config.databaseUrl, maxConnections: 4 })
  const logger = createLogger('warn', readableLog(terminal.note, terminal.paintNote))
  const applied = await withProgress(terminal, 'migrating', prepareSchema(config, database, logger))
  // Waits for every transaction that is running; the log says for which.
  const preparing = prepareSlot(config, database, logger, { signal: context.stopped() })
  const slot = await withProgress(terminal, 'preparing the slot', preparing)

  const report = {
    applied,
    slot: config.slotName,
    plugin: slot.plugin,
    publication: config.publicationName,
    lsn: formatLsn(slot.position.lsn),
  }
  if (options.json) {
    terminal.print(visibleJson(report))
    return
  }
  for (const name of applied) terminal.print(`${terminal.paint('green', 'applied')} ${name}`)
  if (applied.length === 0) terminal.print('The schema is up to date.')
  terminal.print(
    `Slot ${report.slot} decodes with ${report.plugin}; events committed from ${report.lsn} on are relayed.`,
  )
}
