/** `walhook replay`: many deliveries sent again, to their endpoint or another one, or made of older events. */
import type { Command } from 'commander'
import type { StatusRange } from '../core/status-range.ts'
import { visibleJson } from '../core/untrusted-text.ts'
import { askForReplay, type AskedReplay, type ReplayWish } from '../store/replays.ts'
import { statusRange, subscriptionId } from './arguments.ts'
import type { CommandContext } from './command.ts'
import { withDatabase } from './operator-database.ts'
import { refusingInput } from './refusal.ts'
import { addReplayCommands } from './replay/progress.ts'
import { watchReplays } from './replay/watch.ts'

interface ReplayOptions {
  readonly subscription?: string
  readonly eventTypes?: readonly string[]
  readonly from?: string
  readonly to?: string
  readonly states?: readonly string[]
  readonly key?: string
  readonly tenant?: string
  readonly toUrl?: string
  readonly status?: StatusRange
  readonly error?: string
  readonly backfill?: true
  readonly dryRun?: true
  readonly wait?: true
  readonly json?: true
}

export function addReplay(walhook: Command, context: CommandContext): void {
  const replay = walhook
    .command('replay')
    .description(
      'Send many deliveries again, to another URL if you like, or backfill a subscription. The sidecar does it; this asks for it.',
    )
    .option('--subscription <id>', 'whose; without it, the dead letters of all', subscriptionId)
    .option('--event-types <patterns>', 'only these: order.created, order.* or *, separated by commas', list)
    .option('--from <time>', "only events created then or later: '2026-11-22 15:00' (UTC)")
    .option('--to <time>', 'only events created before that')
    .option('--states <states>', 'dead, delivered, cancelled, separated by commas (default: dead)', list)
    .option('--key <key>', 'only events of this key')
    .option('--tenant <tenant>', 'only events of this tenant')
    .option('--to-url <url>', 'to this URL in place of its own, with the same ids and signatures')
    .option(
      '--status <status>',
      'only those whose last attempt got this HTTP status: 503 or 5xx',
      statusRange,
    )
    .option('--error <class>', 'only those whose last attempt had this error class: timeout')
    .option('--backfill', 'events of the outbox that match the subscription and that it was never sent')
    .option('--dry-run', 'only count')
    .option('--wait', 'show progress until it is over; a signal ends the watching, not the replay')
    .option('--json', 'print JSON: {"replays"}')
    .action((options: ReplayOptions) => run(context, options))
  addReplayCommands(replay, context)
}

async function run(context: CommandContext, options: ReplayOptions): Promise<void> {
  const { terminal } = context
  const wish: ReplayWish = {
    subscriptionId: options.subscription,
    eventTypes: options.eventTypes,
    createdFrom: options.from,
    createdTo: options.to,
    states: options.states,
    key: options.key,
    tenant: options.tenant,
    toUrl: options.toUrl,
    status: options.status,
    error: options.error,
    backfill: options.backfill === true,
    dryRun: options.dryRun === true,
  }
  const asked = await withDatabase(context, (database) =>
    refusingInput('replay', () => database.transaction((tx) => askForReplay(tx, wish))),
  )
  const ids = asked.flatMap(({ id }) => id ?? [])
  if (options.wait && ids.length > 0) return watchReplays(context, ids, options)
  if (options.json) {
    terminal.print(visibleJson({ replays: asked }))
    return
  }
  if (asked.length === 0) terminal.print('There is nothing to send.')
  for (const one of asked) terminal.print(replaySentence(one, wish.dryRun))
}

export function replaySentence(
  { id, kind, subscription_id: whose, total }: AskedReplay,
  isDryRun: boolean,
): string {
  const what = `${total} ${kind === 'backfill' ? 'events' : 'deliveries'} of subscription ${whose}`
  if (isDryRun) return `${what} would be sent; nothing was done`
  return id === null ? `${what}: there is nothing to send` : `replay ${id}: ${what} will be sent`
}

function list(text: string): string[] {
  return text.split(',').map((item) => item.trim())
}
