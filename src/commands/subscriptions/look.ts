/** `walhook subscriptions list` and `show`: from the view that psql shows. */
import { visibleJson } from '../../core/untrusted-text.ts'
import {
  listSubscriptions,
  type RecentAttempt,
  type SubscriptionOverview,
  type SubscriptionState,
} from '../../store/subscription-overviews.ts'
import type { CommandContext } from '../command.ts'
import { withDatabase } from '../operator-database.ts'
import { type Cell, type PaintCell, psqlRecord, psqlTable, type Row } from '../psql-table.ts'
import type { Style, Terminal } from '../terminal.ts'
import { meantBy } from './find.ts'

export interface ListFlags {
  readonly state?: SubscriptionState
  readonly tenant?: string
  readonly url?: string
  readonly name?: string
  readonly eventType?: string
  readonly failing?: true
  readonly limit: number
  readonly json?: true
}

export interface PrintFlags {
  readonly json?: true
}

const LISTED = ['id', 'name', 'state', 'url', 'tenant', 'event_types', 'pending', 'dead', 'recent']

export async function list(context: CommandContext, flags: ListFlags): Promise<void> {
  const { terminal } = context
  const { tenant = null, failing: isFailing, ...filter } = flags
  const rows = await withDatabase(context, (database) =>
    listSubscriptions(database, tenant, { ...filter, isFailing }),
  )
  if (flags.json) {
    terminal.print(visibleJson({ subscriptions: rows }))
    return
  }
  const cells = rows.map((row) => ({
    id: row.id,
    name: row.name,
    state: row.state,
    url: row.url,
    tenant: row.tenant,
    event_types: row.event_types.join(','),
    pending: row.health.pending,
    dead: row.health.dead,
    recent: strip(row.recent),
  }))
  terminal.print(psqlTable(LISTED, cells, paintSubscriptions(terminal)))
  if (rows.length === flags.limit) terminal.note('There may be more: raise --limit.')
}

export async function show(context: CommandContext, which: string, flags: PrintFlags): Promise<void> {
  const overview = await withDatabase(context, (database) => meantBy(database, which))
  printSubscription(context.terminal, overview, flags)
}

/** Whole, as `show` and whatever changes one print it. */
export function printSubscription(
  terminal: Terminal,
  overview: SubscriptionOverview,
  flags: PrintFlags,
): void {
  if (flags.json) {
    terminal.print(visibleJson({ subscription: overview }))
    return
  }
  const { health, recent, version: _, ...options } = overview
  const row: Row = Object.fromEntries(
    Object.entries({ ...options, ...health, recent: strip(recent) }).map(([name, value]) => [
      name,
      cellOf(value),
    ]),
  )
  terminal.print(psqlRecord(row, paintSubscriptions(terminal)))
}

function cellOf(value: unknown): Cell {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value
  return Array.isArray(value) ? value.join(',') : visibleJson(value)
}

/** The oldest on the left, as one reads. */
function strip(recent: readonly RecentAttempt[]): string {
  return recent
    .toReversed()
    .map(({ outcome }) => (outcome === 'delivered' ? '✓' : '✗'))
    .join('')
}

const STATE_STYLES: Readonly<Record<SubscriptionState, Style>> = {
  active: 'green',
  paused: 'yellow',
  disabled: 'red',
}

function paintSubscriptions(terminal: Pick<Terminal, 'paint'>): PaintCell {
  return (text, column) => {
    if (column === 'state' && text in STATE_STYLES)
      return terminal.paint(STATE_STYLES[text as SubscriptionState], text)
    if (column !== 'recent') return text
    return text.replaceAll(/✓+|✗+/g, (run) => terminal.paint(run.startsWith('✓') ? 'green' : 'red', run))
  }
}
