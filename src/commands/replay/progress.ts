/** `walhook replay list`, `show`, `stop` and `continue`: how far replays have come, from the view that psql shows. */
import type { Command } from 'commander'
import { visibleJson } from '../../core/untrusted-text.ts'
import { WalhookError } from '../../lifecycle/errors.ts'
import type { Database } from '../../store/database.ts'
import { continueReplay, listReplays, type ReplayStatus, stopReplay } from '../../store/replays.ts'
import { replayId, wholeNumber } from '../arguments.ts'
import type { CommandContext } from '../command.ts'
import { withDatabase } from '../operator-database.ts'
import { psqlRecord, psqlTable } from '../psql-table.ts'
import { refusingInput } from '../refusal.ts'

interface Printed {
  readonly json?: true
}

const LISTED = [
  'id',
  'kind',
  'state',
  'waits_for',
  'replayed',
  'total',
  'percent',
  'per_second',
  'remaining',
  'url',
]

export function addReplayCommands(replay: Command, context: CommandContext): void {
  replay
    .command('list')
    .description('List replays, the newest first.')
    .option('--limit <count>', 'at most so many', wholeNumber(1, 10_000), 20)
    .option('--json', 'print JSON: {"replays"}')
    .action((_: unknown, command: Command) => list(context, command.optsWithGlobals()))
  replay
    .command('show')
    .description('Show one replay.')
    .argument('<id>', "the replay's id", replayId)
    .option('--json', 'print JSON: {"replay"}')
    .action((id: string, _: unknown, command: Command) =>
      act(context, id, command.optsWithGlobals(), () => Promise.resolve()),
    )
  replay
    .command('stop')
    .description('Stop a replay: nothing more is made due. It can be continued.')
    .argument('<id>', "the replay's id", replayId)
    .option('--json', 'print JSON: {"replay"}')
    .action((id: string, _: unknown, command: Command) =>
      act(context, id, command.optsWithGlobals(), (database) => stopReplay(database, id)),
    )
  replay
    .command('continue')
    .description('Go on with a replay that was stopped or failed, where it was.')
    .argument('<id>', "the replay's id", replayId)
    .option('--json', 'print JSON: {"replay"}')
    .action((id: string, _: unknown, command: Command) =>
      act(context, id, command.optsWithGlobals(), (database) => continueReplay(database, id)),
    )
}

async function list(context: CommandContext, options: Printed & { readonly limit: number }): Promise<void> {
  const { terminal } = context
  const replays = await withDatabase(context, (database) =>
    listReplays(database, { tenant: null, limit: options.limit }),
  )
  terminal.print(options.json ? visibleJson({ replays }) : psqlTable(LISTED, replays))
}

async function act(
  context: CommandContext,
  id: string,
  options: Printed,
  work: (database: Database) => Promise<void>,
): Promise<void> {
  const { terminal } = context
  const replay = await withDatabase(context, async (database) => {
    await refusingInput('id', () => work(database))
    return statusOf(await listReplays(database, { ids: [id], tenant: null, limit: 1 }), id)
  })
  terminal.print(options.json ? visibleJson({ replay }) : psqlRecord(replay))
}

function statusOf([status]: readonly ReplayStatus[], id: string): ReplayStatus {
  if (status === undefined) throw new WalhookError('not_found', `there is no replay ${id}`)
  return status
}
