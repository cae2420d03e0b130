/** `walhook deliveries`: what became of events, from the same view that psql shows, and changing it. */
import type { Command } from 'commander'
import { rfc3339 } from '../core/outbox-event.ts'
import { visible, visibleJson } from '../core/untrusted-text.ts'
import { deliveryAsCurl } from '../delivery-curl.ts'
import { WalhookError } from '../lifecycle/errors.ts'
import { pageOfDeliveries } from '../store/delivery-pages.ts'
import {
  type AttemptReport,
  type DeliveryStatus,
  findDelivery,
  listAttempts,
} from '../store/delivery-reports.ts'
import { findDeliveryRequest } from '../store/delivery-request.ts'
import { deliveryId, wholeNumber } from './arguments.ts'
import type { CommandContext } from './command.ts'
import { addDeliveryChanges } from './deliveries/changes.ts'
import {
  addDeliveryFilter,
  addTimes,
  type DeliveryFilterOptions,
  deliveryWish,
  type TimeOptions,
} from './delivery-filter.ts'
import { withDatabase } from './operator-database.ts'
import { type PaintCell, psqlRecord, psqlTable } from './psql-table.ts'
import { refusingInput } from './refusal.ts'
import type { Style, Terminal } from './terminal.ts'

interface ListOptions extends DeliveryFilterOptions, TimeOptions {
  readonly before?: string
  readonly limit: number
  readonly json?: true
}

const LONGEST_LIST = 10_000

export function addDeliveries(walhook: Command, context: CommandContext): void {
  const deliveries = walhook
    .command('deliveries')
    .description('Look at deliveries, send them again, and cancel them.')
  const listed = deliveries.command('list').description('List deliveries, the newest first.')
  addTimes(addDeliveryFilter(listed))
    .option('--before <id>', 'go on behind this one', deliveryId)
    .option('--limit <count>', 'at most so many', wholeNumber(1, LONGEST_LIST), 20)
    .option('--json', 'print JSON: {"deliveries", "before"}; go on with --before where that is not null')
    .action((options: ListOptions) => list(context, options))
  deliveries
    .command('show')
    .description('Show one delivery with every attempt.')
    .argument('<id>', "the delivery's id", deliveryId)
    .option('--json', 'print JSON: {"delivery", "attempts"}')
    .action((id: string, options: { readonly json?: true }) => show(context, id, options))
  deliveries
    .command('curl')
    .description(
      'Print a delivery as a curl line, without signature and credentials: to see what its endpoint makes of it.',
    )
    .argument('<id>', "the delivery's id", deliveryId)
    .option('--json', 'print JSON: {"curl"}')
    .action((id: string, options: { readonly json?: true }) => curl(context, id, options))
  addDeliveryChanges(deliveries, context)
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
  const { before, limit } = options
  const page = await withDatabase(context, (database) =>
    refusingInput('filter', () =>
      pageOfDeliveries(database, deliveryWish(options), { beforeId: before, limit }),
    ),
  )
  if (options.json) {
    terminal.print(visibleJson({ deliveries: page.rows.map(deliveryAsJson), before: page.beforeId ?? null }))
    return
  }
  const cells = page.rows.map((row) => ({ ...row, id: BigInt(row.id) }))
  terminal.print(psqlTable(LISTED, cells, paintStates(terminal)))
  if (page.beforeId !== undefined)
    terminal.note(`There may be more: --before ${page.beforeId}, or a higher --limit.`)
}

async function show(context: CommandContext, id: string, options: { readonly json?: true }): Promise<void> {
  const { terminal } = context
  const { delivery, attempts } = await withDatabase(context, async (database) => ({
    delivery: await findDelivery(database, id),
    attempts: await listAttempts(database, id),
  }))
  if (delivery === undefined) throw new WalhookError('not_found', `there is no delivery ${id}`)
  if (options.json) {
    terminal.print(visibleJson({ delivery: deliveryAsJson(delivery), attempts: attempts.map(attemptAsJson) }))
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

async function curl(context: CommandContext, id: string, options: { readonly json?: true }): Promise<void> {
  const request = await withDatabase(context, (database) => findDeliveryRequest(database, id))
  if (request === undefined)
    throw new WalhookError('not_found', `there is no delivery ${id}, or its subscription was deleted`)
  const line = deliveryAsCurl(request, Date.now())
  if (line === undefined)
    throw new WalhookError('not_found', `the event of delivery ${id} is not there any more, or was expunged`)
  context.terminal.print(options.json ? visibleJson({ curl: line }) : line)
}

const STATE_STYLES: Readonly<Record<string, Style>> = { pending: 'yellow', delivered: 'green', dead: 'red' }

/** For the tables of deliveries: the state says at a glance how things stand. */
export function paintStates(terminal: Pick<Terminal, 'paint'>): PaintCell {
  return (text, column) => {
    const style = column === 'state' ? STATE_STYLES[text] : undefined
    return style === undefined ? text : terminal.paint(style, text)
  }
}

export function deliveryAsJson(row: DeliveryStatus): DeliveryStatus {
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
