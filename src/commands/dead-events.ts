/** `walhook dead-events`: what the catalog refused, and putting it on its way once the catalog, or the mind, has changed. */
import type { Command } from 'commander'
import { type EventCatalog, misfitOf } from '../core/event-type.ts'
import { rfc3339 } from '../core/outbox-event.ts'
import { parsePayloadSchema } from '../core/payload-schema.ts'
import { visible, visibleJson } from '../core/untrusted-text.ts'
import type { Database, Queryable } from '../store/database.ts'
import {
  type DeadEventRow,
  listDeadEvents,
  lockDeadEvents,
  readEvents,
  releaseEvent,
} from '../store/dead-events.ts'
import { readCatalog } from '../store/event-types.ts'
import { eventId, wholeNumber } from './arguments.ts'
import type { CommandContext } from './command.ts'
import { withDatabase } from './operator-database.ts'
import { psqlTable } from './psql-table.ts'
import { invalidInput, refusingInput } from './refusal.ts'

interface ListOptions {
  readonly type?: string
  readonly limit: number
  readonly json?: true
}

interface ReleaseOptions {
  readonly all?: true
  readonly type?: string
  readonly unchecked?: true
  readonly json?: true
}

const LONGEST_LIST = 10_000
/** Events of one transaction: their payloads are read at once, and each may have 1 MiB. */
const RELEASED_AT_ONCE = 32

export function addDeadEvents(walhook: Command, context: CommandContext): void {
  const events = walhook.command('dead-events').description('Events that the catalog of event types refused.')
  events
    .command('list')
    .description('List dead events with their reasons, the oldest first.')
    .option('--type <pattern>', 'only those of this type: order.created or order.*')
    .option('--limit <count>', 'at most so many', wholeNumber(1, LONGEST_LIST), 20)
    .option('--json', 'print JSON: {"dead_events"}')
    .action((options: ListOptions) => list(context, options))
  events
    .command('release')
    .description('Send dead events on their way to those who were subscribed when they were committed.')
    .argument(
      '[ids...]',
      "the events' ids: all of those named, or none",
      (text, before: readonly string[] | undefined) => [...(before ?? []), eventId(text)],
    )
    .option('--all', 'all of them that fit the catalog by now')
    .option('--type <pattern>', 'with --all: only those of this type, order.created or order.*')
    .option('--unchecked', 'whether or not they fit')
    .option('--json', 'print JSON: {"released", "kept"}')
    .action((ids: readonly string[], options: ReleaseOptions) => release(context, ids, options))
}

async function list(context: CommandContext, options: ListOptions): Promise<void> {
  const { terminal } = context
  const { type, limit } = options
  const rows = await withDatabase(context, (database) => listDeadEvents(database, { type, limit }))
  if (options.json) {
    terminal.print(visibleJson({ dead_events: rows.map(asJson) }))
    return
  }
  terminal.print(psqlTable(['event_id', 'type', 'reason', 'created_at'], rows))
  if (rows.length === limit) terminal.note('There may be more: raise --limit.')
}

function asJson(row: DeadEventRow): DeadEventRow {
  return { ...row, created_at: rfc3339(row.created_at) ?? row.created_at }
}

interface Released {
  readonly event_id: string
  readonly deliveries: number
}

interface Kept {
  readonly event_id: string
  readonly reason: string
}

interface Result {
  readonly released: readonly Released[]
  readonly kept: readonly Kept[]
}

async function release(
  context: CommandContext,
  ids: readonly string[],
  options: ReleaseOptions,
): Promise<void> {
  const isAll = options.all === true
  if (isAll === ids.length > 0) throw invalidInput('ids or --all have to be given, and not both')
  if (options.type !== undefined && !isAll) throw invalidInput('--type goes with --all')
  const checked = options.unchecked !== true
  const { released, kept } = await withDatabase(context, (database) =>
    refusingInput('id', () =>
      isAll
        ? releaseAll(database, options.type, checked)
        : database.transaction((tx) => releaseNamed(tx, ids, checked)),
    ),
  )
  const { terminal } = context
  if (options.json) {
    terminal.print(visibleJson({ released, kept }))
    return
  }
  for (const { event_id: id, deliveries } of released)
    terminal.print(`event ${id} is on its way: ${deliveries} ${deliveries === 1 ? 'delivery' : 'deliveries'}`)
  for (const { event_id: id, reason } of kept) terminal.print(`event ${id} stays dead: ${visible(reason)}`)
}

/** What is not dead, or has left the outbox, Postgres tells. */
async function releaseNamed(tx: Queryable, ids: readonly string[], checked: boolean): Promise<Result> {
  const catalog = checked ? await loadCatalog(tx) : undefined
  const released: Released[] = []
  // Each once, and in one order for everybody: two that name the same ones then wait and do not deadlock.
  for (const id of [...new Set(ids)].sort()) {
    const [event] = await readEvents(tx, [id])
    const misfit = event === undefined || catalog === undefined ? undefined : misfitOf(event, catalog)
    if (misfit !== undefined)
      throw invalidInput(
        `event ${id} stays dead: ${misfit.reason}`,
        'Mend the catalog, or send the event as it is: --unchecked.',
      )
    released.push({ event_id: id, deliveries: await releaseEvent(tx, id) })
  }
  return { released, kept: [] }
}

/** A transaction for every few: what has been done stays done. */
async function releaseAll(database: Database, type: string | undefined, checked: boolean): Promise<Result> {
  const catalog = checked ? await loadCatalog(database) : undefined
  const released: Released[] = []
  const kept: Kept[] = []
  let after: string | undefined
  do {
    const ids = await database.transaction(async (tx) => {
      const locked = await lockDeadEvents(tx, { type, limit: RELEASED_AT_ONCE }, after)
      const result = await releaseFitting(tx, locked, catalog)
      released.push(...result.released)
      kept.push(...result.kept)
      return locked
    })
    after = ids.at(-1)
  } while (after !== undefined)
  return { released, kept }
}

/** Without a catalog every event fits. */
async function releaseFitting(
  tx: Queryable,
  ids: readonly string[],
  catalog: EventCatalog | undefined,
): Promise<Result> {
  const events = new Map((await readEvents(tx, ids)).map((event) => [event.id, event]))
  const released: Released[] = []
  const kept: Kept[] = []
  for (const id of ids) {
    const event = events.get(id)
    const misfit = event === undefined || catalog === undefined ? undefined : misfitOf(event, catalog)
    if (event === undefined) kept.push({ event_id: id, reason: 'the outbox does not have it any more' })
    else if (misfit !== undefined) kept.push({ event_id: id, reason: misfit.reason })
    else released.push({ event_id: id, deliveries: await releaseEvent(tx, id) })
  }
  return { released, kept }
}

async function loadCatalog(db: Queryable): Promise<EventCatalog> {
  const rows = await readCatalog(db, [])
  return new Map(
    rows.map(({ name, deprecated, schema }) => [
      name,
      { name, deprecated, schema: schema === null ? undefined : parsePayloadSchema(schema) },
    ]),
  )
}
