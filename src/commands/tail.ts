/** `walhook tail`: a line for each attempt as it ends, until a signal. */
import type { Command } from 'commander'
import { rfc3339 } from '../core/outbox-event.ts'
import { visible, visibleJson } from '../core/untrusted-text.ts'
import { isTransient } from '../store/database.ts'
import { databaseTime, tailDeliveries, type TailRow } from '../store/delivery-tail.ts'
import { Wake } from '../lifecycle/wake.ts'
import type { CommandContext } from './command.ts'
import { addDeliveryFilter, type DeliveryFilterOptions, deliveryWish } from './delivery-filter.ts'
import { withDatabase } from './operator-database.ts'
import type { Style, Terminal } from './terminal.ts'

const LOOK_EVERY_MS = 500
/** An attempt is dated by its start and recorded once it is over: after 30 s at most, and what settling it takes. */
const LOOK_BACK_MS = 40_000
/** Of each look: what is faster than anybody reads is cut. */
const MOST_LINES = 2_000

type TailOptions = DeliveryFilterOptions & { readonly json?: true }

export function addTail(walhook: Command, context: CommandContext): void {
  addDeliveryFilter(
    walhook
      .command('tail')
      .description('Follow deliveries: a line for each attempt as it ends, until Ctrl-C.'),
  )
    .option('--json', 'print JSON, one object a line')
    .action((options: TailOptions) => tail(context, options))
}

async function tail(context: CommandContext, options: TailOptions): Promise<void> {
  const { terminal } = context
  const stopped = context.stopped()
  const wish = deliveryWish(options)
  await withDatabase(context, async (database) => {
    const look = async (fromMs: number): Promise<readonly TailRow[]> =>
      tailDeliveries(database, wish, new Date(fromMs).toISOString(), MOST_LINES)
    const beganAt = await databaseTime(database)
    // What was there before is not what happens now.
    const told = new Map((await look(beganAt - LOOK_BACK_MS)).map((row) => [identity(row), beganAt]))
    terminal.note('Following deliveries. Ctrl-C ends it.')
    while (!stopped.aborted) {
      await new Wake().sleep(LOOK_EVERY_MS, stopped)
      if (stopped.aborted) return
      try {
        const now = await databaseTime(database)
        const rows = await look(now - LOOK_BACK_MS)
        for (const row of rows) {
          if (!told.has(identity(row))) terminal.print(options.json ? jsonLine(row) : line(row, terminal))
          told.set(identity(row), now)
        }
        forgetOlder(told, now - 2 * LOOK_BACK_MS)
        if (rows.length === MOST_LINES) terminal.note('More happens than is shown: narrow it by a filter.')
      } catch (error) {
        // A restart of the database ends nobody's watching.
        if (!isTransient(error)) throw error
        terminal.note('The database cannot be reached; trying again.')
        await new Wake().sleep(4 * LOOK_EVERY_MS, stopped)
      }
    }
  })
}

/** What is no longer looked at needs not be remembered. */
function forgetOlder(told: Map<string, number>, than: number): void {
  for (const [name, at] of told) if (at < than) told.delete(name)
}

function identity({ delivery_id: id, attempt, at }: TailRow): string {
  return attempt === null ? `${id} ${at}` : `${id} ${attempt}`
}

function jsonLine(row: TailRow): string {
  const { at, next_attempt_at: next } = row
  return visibleJson({
    ...row,
    at: rfc3339(at) ?? at,
    next_attempt_at: next === null ? null : (rfc3339(next) ?? next),
  })
}

const STYLES: Readonly<Record<string, Style>> = { delivered: 'green', dead: 'red', pending: 'yellow' }

function line(row: TailRow, { paint }: Pick<Terminal, 'paint'>): string {
  const { at, attempt, duration_ms: took, status, error, state, next_attempt_at: next } = row
  const outcome = [status, error].filter((part) => part !== null).join(' ')
  const what = attempt === null ? outcome : `attempt ${attempt}: ${outcome} in ${took} ms`
  const becomes = state === 'pending' && next !== null ? `pending, again at ${next.slice(11, 19)}` : state
  const parts = [
    at.slice(11, 23).padEnd(12),
    paint(STYLES[state] ?? 'dim', visible(becomes)),
    `delivery ${row.delivery_id}`,
    visible(row.event_type ?? '(no event)'),
    visible(what),
    visible(row.url ?? '(no subscription)'),
  ]
  return parts.join('  ')
}
