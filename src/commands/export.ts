/** `walhook export`: subscriptions and event types as a file that `walhook apply` takes; without secrets, and without what is as by default. */
import type { Command } from 'commander'
import { isSameJson } from '../core/configuration-plan.ts'
import { SHOWN_OPTIONS } from '../core/subscription-options.ts'
import {
  type ConfiguredSubscription,
  listIdentities,
  readConfigured,
  readDefaults,
  type SubscriptionIdentity,
} from '../store/configured-subscriptions.ts'
import type { Database } from '../store/database.ts'
import { type EventTypeRow, listEventTypes } from '../store/event-types.ts'
import { yamlOf } from './apply/yaml-file.ts'
import type { CommandContext } from './command.ts'
import { withDatabase } from './operator-database.ts'

const COMMENT = `For \`walhook apply\`. What is not said of a subscription is as by default, but for secret, auth, tls and ed25519_key:
those are not in here, and stay as they are where nothing is said. A header's … stands for the value that is there.`

interface ExportFlags {
  readonly tenant?: string
}

export function addExport(walhook: Command, context: CommandContext): void {
  walhook
    .command('export')
    .description('Print subscriptions and event types as a file for `walhook apply`, without their secrets.')
    .option('--tenant <tenant>', "only this tenant's subscriptions, and no event types")
    .action((flags: ExportFlags) => run(context, flags))
}

async function run(context: CommandContext, { tenant }: ExportFlags): Promise<void> {
  const sections = await withDatabase(context, async (database) => ({
    ...(tenant === undefined && { event_types: (await listEventTypes(database)).map(entryOfType) }),
    subscriptions: await subscriptionEntries(database, tenant ?? null),
  }))
  context.terminal.print(yamlOf(sections, COMMENT).trimEnd())
}

function subscriptionEntries(database: Database, tenant: string | null): Promise<readonly object[]> {
  return database.transaction(async (tx) => {
    const defaults = await readDefaults(tx)
    const entries: object[] = []
    for (const identity of await listIdentities(tx, tenant)) {
      const configured = await readConfigured(tx, identity.id)
      if (configured !== undefined) entries.push(entryOf(identity, configured, defaults))
    }
    return entries
  })
}

/** One without a name is known by its id. */
function entryOf(
  { id, name }: SubscriptionIdentity,
  { options, maskedHeaders }: ConfiguredSubscription,
  defaults: Readonly<Record<string, unknown>>,
): object {
  const said = SHOWN_OPTIONS.filter((option) => !isSameJson(options[option], defaults[option]))
  return {
    ...(name === null && { id }),
    ...Object.fromEntries(
      said.map((option) => [option, option === 'headers' ? maskedHeaders : options[option]]),
    ),
  }
}

function entryOfType({ name, description, schema, example, deprecated }: EventTypeRow): object {
  return {
    name,
    ...(description !== null && { description }),
    ...(schema !== null && { schema: JSON.parse(schema) as unknown }),
    ...(example !== null && { example: JSON.parse(example) as unknown }),
    ...(deprecated && { deprecated }),
  }
}
