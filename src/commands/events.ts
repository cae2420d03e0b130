/** `walhook events`: what was published, who gets it, and publishing. */
import type { Command } from 'commander'
import { rfc3339 } from '../core/outbox-event.ts'
import { visibleJsonWith, visibleRawJson } from '../core/raw-json.ts'
import { visibleJson } from '../core/untrusted-text.ts'
import { WalhookError } from '../lifecycle/errors.ts'
import { type EventRow, findEvent, matchesOf, pageOfEvents } from '../store/events.ts'
import { eventId, wholeNumber } from './arguments.ts'
import type { CommandContext } from './command.ts'
import { addTimes, type TimeOptions } from './delivery-filter.ts'
import { withDatabase } from './operator-database.ts'
import { psqlRecord, psqlTable } from './psql-table.ts'
import { addPublishCommand } from './publish.ts'
import { refusingInput } from './refusal.ts'

interface ListOptions extends TimeOptions {
  readonly type?: string
  readonly key?: string
  readonly tenant?: string
  readonly limit: number
  readonly json?: true
}

const LONGEST_LIST = 10_000

export function addEvents(walhook: Command, context: CommandContext): void {
  const events = walhook.command('events').description('Look at events, and publish them.')
  addTimes(
    events
      .command('list')
      .description('List events, the newest first.')
      .option('--type <pattern>', 'only those of this type: order.created or order.*')
      .option('--key <key>', 'only those of this key')
      .option('--tenant <tenant>', 'only those of this tenant'),
  )
    .option('--limit <count>', 'at most so many', wholeNumber(1, LONGEST_LIST), 20)
    .option('--json', 'print JSON: {"events", "until"}; go on with --until where that is not null')
    .action((options: ListOptions) => list(context, options))
  events
    .command('show')
    .description('Show one event with its payload.')
    .argument('<id>', "the event's id", eventId)
    .option('--json', 'print JSON: {"event"}; the payload is written as it was')
    .action((id: string, options: { readonly json?: true }) => show(context, id, options))
  addPublishCommand(events, context)
  events
    .command('matches')
    .description('Show who gets an event, and why others do not.')
    .argument('<id>', "the event's id", eventId)
    .option('--limit <count>', 'at most so many', wholeNumber(1, LONGEST_LIST), 100)
    .option('--json', 'print JSON: {"matches"}')
    .action((id: string, options: { readonly limit: number; readonly json?: true }) =>
      matches(context, id, options),
    )
}

async function list(context: CommandContext, options: ListOptions): Promise<void> {
  const { terminal } = context
  const { limit, json, ...wish } = options
  const page = await withDatabase(context, (database) =>
    refusingInput('filter', () => pageOfEvents(database, wish, { limit })),
  )
  if (json) {
    terminal.print(
      visibleJson({ events: page.rows.map(asJson), until: shownTime(page.before?.createdAt ?? null) }),
    )
    return
  }
  terminal.print(psqlTable(['id', 'type', 'key', 'tenant', 'created_at'], page.rows))
  if (page.before !== undefined)
    terminal.note(`There may be more: --until '${page.before.createdAt}', or a higher --limit.`)
}

async function show(context: CommandContext, id: string, options: { readonly json?: true }): Promise<void> {
  const { terminal } = context
  const event = await withDatabase(context, (database) => findEvent(database, id))
  if (event === undefined) throw new WalhookError('not_found', `the outbox has no event ${id}`)
  const { payload, headers, ...row } = event
  if (options.json) {
    const shown = visibleJsonWith({ ...asJson(row), refused_for: row.refused_for }, { headers, payload })
    terminal.print(visibleJsonWith({}, { event: shown }))
    return
  }
  terminal.print(psqlRecord({ ...row, headers }))
  terminal.print('')
  terminal.print(visibleRawJson(payload))
}

async function matches(
  context: CommandContext,
  id: string,
  options: { readonly limit: number; readonly json?: true },
): Promise<void> {
  const { terminal } = context
  const rows = await withDatabase(context, (database) =>
    refusingInput('id', () => matchesOf(database, id, { limit: options.limit })),
  )
  if (options.json) {
    terminal.print(visibleJson({ matches: rows }))
    return
  }
  const columns = [
    'subscription_id',
    'matches',
    'reason',
    'url',
    'subscription_tenant',
    'state',
    'delivery_id',
    'delivery_state',
  ]
  terminal.print(psqlTable(columns, rows))
  if (rows.length === options.limit) terminal.note('There may be more: raise --limit.')
}

function asJson({ id, type, key, tenant, created_at, captured_from, expunged_at }: EventRow): EventRow {
  return {
    id,
    type,
    key,
    tenant,
    created_at: shownTime(created_at) ?? created_at,
    captured_from,
    expunged_at: shownTime(expunged_at),
  }
}

function shownTime(text: string | null): string | null {
  return text === null ? null : (rfc3339(text) ?? text)
}
