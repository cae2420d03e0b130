/** The commands below `walhook subscriptions`: each with its options, and what does it. */
import { type Command, Option } from 'commander'
import { SUBSCRIPTION_STATES } from '../../store/subscription-overviews.ts'
import { wholeNumber } from '../arguments.ts'
import type { CommandContext } from '../command.ts'
import { addCreateOptions } from '../subscribe.ts'
import {
  type DeleteFlags,
  pause,
  type PauseFlags,
  remove,
  resume,
  rotate,
  type RotateFlags,
  update,
  type UpdateFlags,
} from './change.ts'
import { create, type CreateFlags } from './create.ts'
import { WHICH } from './find.ts'
import { list, type ListFlags, type PrintFlags, show } from './look.ts'
import { addSubscriptionOptions, list as listed } from './options.ts'
import { test, type TestFlags, tryOut, type TryFilterFlags } from './try.ts'

const LONGEST_LIST = 10_000
const AS_JSON = ['--json', 'print JSON: {"subscription"}'] as const

export function addSubscriptionCommands(subscriptions: Command, context: CommandContext): void {
  addLooking(subscriptions, context)
  addChanging(subscriptions, context)
  addTrying(subscriptions, context)
}

function addLooking(subscriptions: Command, context: CommandContext): void {
  subscriptions
    .command('list')
    .description('List subscriptions with how they fare, the newest first.')
    .addOption(new Option('--state <state>', 'only those in this state').choices(SUBSCRIPTION_STATES))
    .option('--tenant <tenant>', "only this tenant's")
    .option('--url <text>', 'only those whose URL has this in it')
    .option('--name <name>', 'only those of this name')
    .option('--failing', 'only active ones whose last attempt failed')
    .option('--event-type <type>', 'only those that a pattern makes receive it, whatever their filter')
    .option('--limit <count>', 'at most so many', wholeNumber(1, LONGEST_LIST), 50)
    .option('--json', 'print JSON: {"subscriptions"}')
    .action((flags: ListFlags) => list(context, flags))
  subscriptions
    .command('show')
    .description('Show one with all its options. Its secrets are not shown.')
    .argument('<subscription>', WHICH)
    .option(...AS_JSON)
    .action((which: string, flags: PrintFlags) => show(context, which, flags))
}

function addChanging(subscriptions: Command, context: CommandContext): void {
  addCreateOptions(
    subscriptions.command('create').description('Make one. Prints its signing secret, this once.'),
  ).action((url: string, flags: CreateFlags) => create(context, url, flags))
  addSubscriptionOptions(
    subscriptions
      .command('update')
      .description('Change the options that are named, and no others. Takes effect within a second.')
      .argument('<subscription>', WHICH)
      .option('--url <url>', 'where to POST'),
  )
    .option('--reset <options>', 'make these what they are by default: ttl,filter', listed)
    .option(...AS_JSON)
    .action((which: string, flags: UpdateFlags) => update(context, which, flags))
  subscriptions
    .command('delete')
    .description('Delete one. What it is still owed is cancelled, and stays visible.')
    .argument('<subscription>', WHICH)
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON: {"deleted"}')
    .action((which: string, flags: DeleteFlags) => remove(context, which, flags))
  subscriptions
    .command('pause')
    .description('Park one: its deliveries are recorded and wait.')
    .argument('<subscription>', WHICH)
    .option('--reason <text>', 'for people')
    .option(...AS_JSON)
    .action((which: string, flags: PauseFlags) => pause(context, which, flags))
  subscriptions
    .command('resume')
    .description('Make one that is paused or disabled active again; what waited is delivered.')
    .argument('<subscription>', WHICH)
    .option(...AS_JSON)
    .action((which: string, flags: PrintFlags) => resume(context, which, flags))
  subscriptions
    .command('rotate-secret')
    .description('Give one a new signing secret, and print it, this once.')
    .argument('<subscription>', WHICH)
    .option('--secret <secret>', 'the new one (default: a fresh one)')
    .option('--overlap <duration>', 'how long the old one signs beside it; 0s for not at all (default: 24h)')
    .option('--json', 'print JSON: {"id", "secret", "previous_secret_until"}')
    .action((which: string, flags: RotateFlags) => rotate(context, which, flags))
}

function addTrying(subscriptions: Command, context: CommandContext): void {
  subscriptions
    .command('test')
    .description('Send an event walhook.test to one, and to no other, and show what came of it.')
    .argument('<subscription>', WHICH)
    .option('--wait <duration>', 'how long to wait for the outcome', '5s')
    .option('--json', 'print JSON: {"test"}')
    .action((which: string, flags: TestFlags) => test(context, which, flags))
  subscriptions
    .command('try-filter')
    .description('Show which of the most recent events a filter would let pass. Changes nothing.')
    .argument('<filter>', "SQL/JSON path predicate over the payload: '$.amount > 100'")
    .option('--event-types <patterns>', 'only events of these types: order.created, order.* or *', listed)
    .option('--tenant <tenant>', "only this tenant's events")
    .option('--limit <count>', 'at most so many events', wholeNumber(1, 1_000), 20)
    .option('--json', 'print JSON: {"events"}')
    .action((filter: string, flags: TryFilterFlags) => tryOut(context, filter, flags))
}
