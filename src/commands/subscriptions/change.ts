/** `walhook subscriptions update`, `delete`, `pause`, `resume` and `rotate-secret`: the functions that psql calls. */
import { isSubscriptionOption, type SubscriptionOption } from '../../core/subscription-options.ts'
import { visible, visibleJson } from '../../core/untrusted-text.ts'
import { WalhookError } from '../../lifecycle/errors.ts'
import type { Database, Queryable } from '../../store/database.ts'
import {
  changeSubscription,
  deleteSubscription,
  pauseSubscription,
  resumeSubscription,
  rotateSecret,
} from '../../store/subscription-changes.ts'
import type { SubscriptionOverview } from '../../store/subscription-overviews.ts'
import type { CommandContext } from '../command.ts'
import { confirm } from '../confirmation.ts'
import { withDatabase } from '../operator-database.ts'
import { invalidInput, refusingInput } from '../refusal.ts'
import { calledBy, meantBy } from './find.ts'
import { printSubscription, type PrintFlags } from './look.ts'
import { columnOf, type OptionFlags, subscriptionOptions } from './options.ts'

export interface UpdateFlags extends OptionFlags, PrintFlags {
  /** Columns that are to be what they are by default. */
  readonly reset?: readonly string[]
}

export async function update(context: CommandContext, which: string, flags: UpdateFlags): Promise<void> {
  const changes = { ...subscriptionOptions(flags), ...Object.fromEntries(resetsOf(flags)) }
  if (Object.keys(changes).length === 0)
    throw invalidInput('nothing is to be changed', 'Name what is: --timeout 5s, or --reset ttl.')
  const after = await withDatabase(context, (database) =>
    changing(database, which, (tx, { id }) => changeSubscription(tx, id, null, changes)),
  )
  printSubscription(context.terminal, after, flags)
}

function resetsOf({ reset = [] }: UpdateFlags): readonly (readonly [SubscriptionOption, null])[] {
  return reset.map((typed) => {
    const name = columnOf(typed)
    if (!isSubscriptionOption(name)) throw invalidInput(`${visible(typed)} is no option of a subscription`)
    return [name, null] as const
  })
}

export interface PauseFlags extends PrintFlags {
  readonly reason?: string
}

export async function pause(context: CommandContext, which: string, flags: PauseFlags): Promise<void> {
  const after = await withDatabase(context, (database) =>
    changing(database, which, (tx, { id }) => pauseSubscription(tx, id, null, flags.reason)),
  )
  if (flags.json) return printSubscription(context.terminal, after, flags)
  context.terminal.print(`${calledBy(after)} is paused: its deliveries wait, and none is dropped`)
}

export async function resume(context: CommandContext, which: string, flags: PrintFlags): Promise<void> {
  const after = await withDatabase(context, (database) =>
    changing(database, which, (tx, { id }) => resumeSubscription(tx, id, null)),
  )
  if (flags.json) return printSubscription(context.terminal, after, flags)
  const { pending } = after.health
  context.terminal.print(
    `${calledBy(after)} is active${pending === 0 ? '' : `; ${pending} deliveries waited`}`,
  )
}

export interface DeleteFlags extends PrintFlags {
  readonly yes?: true
}

export async function remove(context: CommandContext, which: string, flags: DeleteFlags): Promise<void> {
  const { terminal } = context
  const meant = await withDatabase(context, (database) => meantBy(database, which))
  if (!flags.yes) await confirm(context, questionOf(meant))
  // What was asked for is what is deleted, and not what it became meanwhile.
  const isDone = await withDatabase(context, (database) =>
    refusingInput('subscription', () => deleteSubscription(database, meant.id, null, meant.version)),
  )
  if (!isDone) throw new WalhookError('not_found', `there is no ${calledBy(meant)}`)
  terminal.print(flags.json ? visibleJson({ deleted: meant.id }) : `${calledBy(meant)} is deleted`)
}

function questionOf(meant: SubscriptionOverview): string {
  const { pending } = meant.health
  const owed = pending === 0 ? '' : ` ${pending} pending deliveries will be cancelled.`
  return `Delete ${calledBy(meant)}, ${visible(meant.url)}?${owed}`
}

export interface RotateFlags extends PrintFlags {
  readonly secret?: string
  readonly overlap?: string
}

export async function rotate(context: CommandContext, which: string, flags: RotateFlags): Promise<void> {
  const { terminal } = context
  const { id, secret, until } = await withDatabase(context, (database) =>
    refusingInput('secret', () =>
      database.transaction(async (tx) => {
        const meant = await meantBy(tx, which)
        const rotated = await rotateSecret(tx, meant.id, null, flags)
        const { previous_secret_until } = await meantBy(tx, meant.id)
        return { id: meant.id, secret: rotated, until: previous_secret_until }
      }),
    ),
  )
  if (flags.json) {
    terminal.print(visibleJson({ id, secret, previous_secret_until: until }))
    return
  }
  terminal.print(`id      ${id}`)
  terminal.print(`secret  ${secret}`)
  const old = until === null ? 'The old one signs no more.' : `The old one signs beside it until ${until}.`
  terminal.print(terminal.paint('dim', `The secret is shown this once: give it to the receiver now. ${old}`))
}

/** Does it and returns what it is then. Errors: `not_found`, `invalid_input`. */
function changing(
  database: Database,
  which: string,
  change: (tx: Queryable, meant: SubscriptionOverview) => Promise<boolean>,
): Promise<SubscriptionOverview> {
  return refusingInput('subscription', () =>
    database.transaction(async (tx) => {
      const meant = await meantBy(tx, which)
      if (!(await change(tx, meant))) throw new WalhookError('not_found', `there is no ${calledBy(meant)}`)
      return meantBy(tx, meant.id)
    }),
  )
}
