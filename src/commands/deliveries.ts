/** `walhook deliveries list` and `show`: what became of events, from the same view that psql shows. */
import { type Command, Option } from 'commander'
import { rfc3339 } from '../core/outbox-event.ts'
import { visible, visibleJson } from '../core/untrusted-text.ts'
import { WalhookError } from '../lifecycle/errors.ts'
import {
  type AttemptReport,
  DELIVERY_STATES,
  type DeliveryState,
  type DeliveryStatus,
  findDelivery,
  listAttempts,
  listDeliveries,
} from '../store/delivery-reports.ts'
import { deliveryId, subscriptionId, wholeNumber } from './arguments.ts'
import type { CommandContext } from './command.ts'
import { withDatabase } from './operator-database.ts'
import { type PaintCell, psqlRecord, psqlTable } from './psql-table.ts'
import type { Style, Terminal } from './terminal.ts'

interface ListOptions {
  readonly state?: DeliveryState
  readonly subscription?: string
  readonly type?: string
  readonly limit: number
  readonly json?: true
}

const LONGEST_LIST = 10_000

export function addDeliveries(walhook: Command, context: CommandContext): void {
  const deliveries = walhook.command('deliveries').description('Look at deliveries.')
  deliveries
    .command('list')
    .description('List deliveries, the newest first.')
    .addOption(new Option('--state <state>', 'only those in this state').choices(DELIVERY_STATES))
    .option('--subscription <id>', 'only those of this subscription', subscriptionId)
    .option('--type <pattern>', 'only those of events of this type: order.created or order.*')
    .option('--limit <count>', 'at most so many', wholeNumber(1, LONGEST_LIST), 20)
    .option('--json', 'print JSON: {"deliveries"}')
    .action((options: ListOptions) => list(context, options))
  deliveries
    .command('show')
    .description('Show one delivery with every attempt.')
    .argument('<id>', "the delivery's id", deliveryId)
    .option('--json', 'print JSON: {"delivery", "attempts"}')
    .action((id: string, options: { readonly json?: true }) => show(context, id, options))
}

const LISTED = [
  'id',
  'state',
  'event_type',
  'key',
  'url',
  'attempts',
  'last_status',
  'last_error',
  'waits_as',
  'created_at',
]

async function list(context: CommandContext, options: ListOptions): Promise<void> {
  const { terminal } = context
  const filter = {
    state: options.state,
    subscriptionId: options.subscription,
    eventType: options.type,
    limit: options.limit,
  }
  const rows = await withDatabase(context, (database) => listDeliveries(database, filter))
  if (options.json) {
    terminal.print(visibleJson({ deliveries: rows.map(asJson) }))
    return
  }
  const cells = rows.map((row) => ({ ...row, id: BigInt(row.id) }))
  terminal.print(psqlTable(LISTED, cells, paintStates(terminal)))
  if (rows.length === options.limit) terminal.note('There may be more: raise --limit.')
}

async function show(context: CommandContext, id: string, options: { readonly json?: true }): Promise<void> {
  const { terminal } = context
  const { delivery, attempts } = await withDatabase(context, async (database) => ({
    delivery: await findDelivery(database, id),
    attempts: await listAttempts(database, id),
  }))
  if (delivery === undefined) throw new WalhookError('not_found', `there is no delivery ${id}`)
  if (options.json) {
    terminal.print(visibleJson({ delivery: asJson(delivery), attempts: attempts.map(attemptAsJson) }))
    return
  }
  terminal.print(psqlRecord(delivery, paintStates(terminal)))
  terminal.print('')
  terminal.print(
    psqlTable(['number', 'started_at', 'duration_ms', 'response_status', 'error', 'batch_id'], attempts),
  )
  for (const { number, response_body: body } of attempts) {
    if (body === null || body === '') continue
    terminal.print('')
    terminal.print(terminal.paint('bold', `The endpoint's answer to attempt ${number}:`))
    for (const line of body.split(/\r?\n/)) terminal.print(`  ${visible(line)}`)
  }
}

const STATE_STYLES: Readonly<Record<string, Style>> = { pending: 'yellow', delivered: 'green', dead: 'red' }

/** For the tables of deliveries: the state says at a glance how things stand. */
export function paintStates(terminal: Pick<Terminal, 'paint'>): PaintCell {
  return (text, column) => {
    const style = column === 'state' ? STATE_STYLES[text] : undefined
    return style === undefined ? text : terminal.paint(style, text)
  }
}

function asJson(row: DeliveryStatus): DeliveryStatus {
  const { next_attempt_at, created_at, finished_at } = row
  return {
    ...row,
    next_attempt_at: isoTime(next_attempt_at),
    created_at: isoTime(created_at) ?? created_at,
    finished_at: isoTime(finished_at),
  }
}

function attemptAsJson(row: AttemptReport): AttemptReport {
  return { ...row, started_at: isoTime(row.started_at) ?? row.started_at }
}

function isoTime(text: string | null): string | null {
  return text === null ? null : (rfc3339(text) ?? text)
}
