/** `walhook apply`: makes subscriptions and event types what a file says, all of it or nothing, after showing what that is. */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { parseConfig } from '../config.ts'
import { isNothingToDo, isSamePlan, type PlannedChange } from '../core/configuration-plan.ts'
import type { KeyRing } from '../core/key-ring.ts'
import { visible, visibleJson } from '../core/untrusted-text.ts'
import { errorMessage } from '../lifecycle/errors.ts'
import { lockConfiguration, type SubscriptionIdentity } from '../store/configured-subscriptions.ts'
import type { Database, Queryable } from '../store/database.ts'
import { removeEventType } from '../store/event-types.ts'
import { deleteSubscription } from '../store/subscription-changes.ts'
import { type Configuration, readConfiguration } from './apply/configuration-file.ts'
import { makeEventTypes } from './apply/make-event-types.ts'
import { type MadeSubscription, makeSubscriptions } from './apply/make-subscriptions.ts'
import { printPlan } from './apply/print-plan.ts'
import type { CommandContext } from './command.ts'
import { confirm } from './confirmation.ts'
import { withDatabase } from './operator-database.ts'
import { invalidInput } from './refusal.ts'

interface ApplyFlags {
  readonly file: string
  readonly prune?: true
  readonly dryRun?: true
  readonly yes?: true
  readonly json?: true
}

export function addApply(walhook: Command, context: CommandContext): void {
  walhook
    .command('apply')
    .description(
      'Make subscriptions and event types what a file says: shows what that changes, asks, and does all of it or nothing.',
    )
    .requiredOption('-f, --file <file>', 'the file, YAML: see docs/configuration-file.md')
    .option('--prune', 'delete what the file does not have')
    .option('--dry-run', 'only show what it changes')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON: {"plan", "applied", "created"}')
    .action((flags: ApplyFlags) => apply(context, flags))
}

async function apply(context: CommandContext, flags: ApplyFlags): Promise<void> {
  const { terminal, environment } = context
  const configuration = readConfiguration(flags.file, await textOf(flags.file), environment)
  const ring = parseConfig(environment).encryptionKeys
  const wish: Wish = { configuration, ring, prune: flags.prune === true }
  const planned = await withDatabase(context, (database) => plan(database, wish))
  if (!flags.json) printPlan(terminal, planned.plan)
  if (planned.left > 0)
    terminal.note(`${planned.left} that the file does not have are left as they are; --prune deletes them.`)
  if (flags.dryRun === true || isNothingToDo(planned.plan)) {
    if (flags.json) terminal.print(visibleJson({ plan: planned.plan, applied: false, created: [] }))
    return
  }
  if (!flags.yes) await confirm(context, 'Do that?')
  const { created } = await withDatabase(context, (database) => carryOut(database, wish, planned.plan))
  if (flags.json) {
    terminal.print(visibleJson({ plan: planned.plan, applied: true, created }))
    return
  }
  for (const { name, id, secret } of created) terminal.print(`${visible(name)}  ${id}  ${secret}`)
  if (created.length > 0)
    terminal.print(terminal.paint('dim', 'Secrets are shown this once: give them to the receivers now.'))
  terminal.print('Done.')
}

interface Wish {
  readonly configuration: Configuration
  readonly ring: KeyRing
  readonly prune: boolean
}

interface Carried {
  readonly plan: readonly PlannedChange[]
  /** What the file does not have, and stays. */
  readonly left: number
  readonly created: readonly { readonly name: string; readonly id: string; readonly secret: string }[]
}

/** Done and undone: so the database itself has said that it can be. Nothing is deleted for it. */
function plan(database: Database, wish: Wish): Promise<Carried> {
  return database.transaction(async (tx) => {
    await tx.query('savepoint plan')
    const planned = await make(tx, wish, async () => undefined)
    await tx.query('rollback to savepoint plan')
    return planned
  })
}

/** Errors: `invalid_input`, where it would be something else by now than what was shown. */
function carryOut(database: Database, wish: Wish, shown: readonly PlannedChange[]): Promise<Carried> {
  return database.transaction(async (tx) => {
    const done = await make(tx, wish, async (change, id) => {
      if (change.kind === 'event_type') await removeEventType(tx, change.name)
      else if (id !== undefined) await deleteSubscription(tx, id, null)
    })
    if (!isSamePlan(shown, done.plan))
      throw invalidInput('something was changed meanwhile, and nothing was done', 'Look at the plan again.')
    return done
  })
}

type Remove = (change: PlannedChange, subscriptionId?: string) => Promise<void>

async function make(tx: Queryable, { configuration, ring, prune }: Wish, remove: Remove): Promise<Carried> {
  await lockConfiguration(tx)
  const types = configuration.eventTypes && (await makeEventTypes(tx, configuration.eventTypes))
  const subscriptions =
    configuration.subscriptions && (await makeSubscriptions(tx, ring, configuration.subscriptions))
  const made = subscriptions?.made ?? []
  const others = [...(types?.others ?? []), ...(subscriptions?.others ?? [])]
  const changes = [...(types?.changes ?? []), ...made.map(({ change }) => change)]
  for (const other of prune ? others : []) {
    const change = deletionOf(other)
    await remove(change, typeof other === 'string' ? undefined : other.id)
    changes.push(change)
  }
  return { plan: changes, left: prune ? 0 : others.length, created: made.flatMap(freshOf) }
}

/** An event type is told by its name. */
function deletionOf(other: string | SubscriptionIdentity): PlannedChange {
  const rest = { action: 'delete', fields: [], notes: [] } as const
  return typeof other === 'string'
    ? { ...rest, kind: 'event_type', name: other, tenant: null }
    : {
        ...rest,
        kind: 'subscription',
        name: other.name ?? `${other.id} (${other.url})`,
        tenant: other.tenant,
      }
}

function freshOf({ change, fresh }: MadeSubscription): Carried['created'] {
  return fresh === undefined ? [] : [{ name: change.name, ...fresh }]
}

async function textOf(file: string): Promise<string> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw invalidInput(`${visible(file)} cannot be read: ${errorMessage(error)}`)
  })
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw invalidInput(`${visible(file)} has to be UTF-8`)
  }
}
