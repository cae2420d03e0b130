/** `walhook keys list` and `release`: keys that wait behind a dead delivery, of subscriptions ordered by key. */
import type { Command } from 'commander'
import { rfc3339 } from '../core/outbox-event.ts'
import { visible, visibleJson } from '../core/untrusted-text.ts'
import { listBlockedKeys, releaseKey } from '../store/blocked-keys.ts'
import { subscriptionId, wholeNumber } from './arguments.ts'
import type { CommandContext } from './command.ts'
import { withDatabase } from './operator-database.ts'
import { psqlTable } from './psql-table.ts'
import { refusingInput } from './refusal.ts'

interface ListOptions {
  readonly subscription?: string
  readonly limit: number
  readonly json?: true
}

const LONGEST_LIST = 10_000

export function addKeys(walhook: Command, context: CommandContext): void {
  const keys = walhook
    .command('keys')
    .description('Look at keys that a dead delivery blocks, and release them.')
  keys
    .command('list')
    .description('List blocked keys, the longest blocked first.')
    .option('--subscription <id>', 'only those of this subscription', subscriptionId)
    .option('--limit <count>', 'at most so many', wholeNumber(1, LONGEST_LIST), 20)
    .option('--json', 'print JSON: {"blocked_keys"}')
    .action((options: ListOptions) => list(context, options))
  keys
    .command('release')
    .description('Let a key go on without its dead delivery; `walhook resend` would send that one first.')
    .argument('<subscription>', "the subscription's id", subscriptionId)
    .argument('<key>', 'the key, as the events bear it')
    .option('--json', 'print JSON: {"released"}, the ids of the dead deliveries')
    .action((subscription: string, key: string, options: { readonly json?: true }) =>
      release(context, subscription, key, options),
    )
}

const LISTED = [
  'subscription_id',
  'url',
  'key',
  'delivery_id',
  'since',
  'waiting',
  'last_status',
  'last_error',
]

async function list(context: CommandContext, options: ListOptions): Promise<void> {
  const { terminal } = context
  const filter = { subscriptionId: options.subscription, limit: options.limit }
  const rows = await withDatabase(context, (database) => listBlockedKeys(database, filter))
  if (options.json) {
    const keys = rows.map((row) => ({ ...row, since: rfc3339(row.since) ?? row.since }))
    terminal.print(visibleJson({ blocked_keys: keys }))
    return
  }
  terminal.print(
    psqlTable(
      LISTED,
      rows.map((row) => ({ ...row, delivery_id: BigInt(row.delivery_id) })),
    ),
  )
  if (rows.length === options.limit) terminal.note('There may be more: raise --limit.')
}

async function release(
  context: CommandContext,
  subscription: string,
  key: string,
  options: { readonly json?: true },
): Promise<void> {
  const released = await withDatabase(context, (database) =>
    refusingInput('key', () => releaseKey(database, subscription, key)),
  )
  const { terminal } = context
  if (options.json) {
    terminal.print(visibleJson({ released }))
    return
  }
  for (const id of released) terminal.print(`key ${visible(key)} goes on; delivery ${id} stays dead`)
}
