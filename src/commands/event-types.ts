/** `walhook event-types`: the catalog of event types, looked at, written and exported. What goes in is checked first. */
import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { catalogAsMarkdown, catalogAsOpenApi } from '../core/catalog-document.ts'
import { catalogEntryFault, schemaError } from '../core/catalog-entry.ts'
import { rfc3339 } from '../core/outbox-event.ts'
import { visibleJson, visibleLines } from '../core/untrusted-text.ts'
import { errorMessage, WalhookError } from '../lifecycle/errors.ts'
import {
  type EventTypeRow,
  listEventTypes,
  lockEventType,
  type NewEventType,
  removeEventType,
  writeEventType,
} from '../store/event-types.ts'
import type { CommandContext } from './command.ts'
import { withDatabase } from './operator-database.ts'
import { psqlRecord, psqlTable } from './psql-table.ts'
import { invalidInput, refusingInput } from './refusal.ts'

interface SetOptions {
  readonly description?: string | false
  /** A file; false takes what is there away. */
  readonly schema?: string | false
  readonly example?: string | false
  readonly deprecated?: boolean
  readonly json?: true
}

interface ExportOptions {
  readonly format: 'markdown' | 'openapi'
  readonly title: string
}

interface PrintOptions {
  readonly json?: true
}

export function addEventTypes(walhook: Command, context: CommandContext): void {
  const types = walhook.command('event-types').description('The catalog of event types: look, write, export.')
  types
    .command('list')
    .description('List the types, by name.')
    .option('--json', 'print JSON: {"event_types"}')
    .action((options: PrintOptions) => list(context, options))
  types
    .command('show')
    .description('Show one type with its schema and its example.')
    .argument('<name>', 'event type: order.created')
    .option('--json', 'print JSON: {"event_type"}')
    .action((name: string, options: PrintOptions) => show(context, name, options))
  types
    .command('set')
    .description('Make a type, or change what is named of one. A schema that is none is refused.')
    .argument('<name>', 'event type, a dotted name: order.created')
    .option('--description <text>', 'for people, as Markdown')
    .option('--no-description', 'take the description away')
    .option('--schema <file>', 'JSON Schema of the payload (draft 2020-12)')
    .option('--no-schema', 'take the schema away: every payload passes')
    .option('--example <file>', 'a payload; it has to fit the schema')
    .option('--no-example', 'take the example away')
    .option('--deprecated', 'it is on its way out; its events are still delivered')
    .option('--no-deprecated', 'it stays after all')
    .option('--json', 'print JSON: {"event_type"}')
    .action((name: string, options: SetOptions) => set(context, name, options))
  types
    .command('remove')
    .description(
      'Take a type out of the catalog. Where events have to fit it, they are of an unknown type then.',
    )
    .argument('<name>', 'event type: order.created')
    .option('--json', 'print JSON: {"removed"}')
    .action((name: string, options: PrintOptions) => remove(context, name, options))
  types
    .command('export')
    .description('Print the catalog for those who receive webhooks. The same catalog gives the same bytes.')
    .addOption(
      new Option('--format <format>', 'Markdown, or an OpenAPI 3.1 document with webhooks')
        .choices(['markdown', 'openapi'])
        .default('markdown'),
    )
    .option('--title <title>', "the OpenAPI document's title", 'Webhooks')
    .action((options: ExportOptions) => exportCatalog(context, options))
}

async function list(context: CommandContext, options: PrintOptions): Promise<void> {
  const { terminal } = context
  const rows = await withDatabase(context, listEventTypes)
  if (options.json) {
    terminal.print(visibleJson({ event_types: rows.map(asJson) }))
    return
  }
  const cells = rows.map((row) => ({
    ...row,
    schema: row.schema === null ? null : (schemaError(row.schema) ?? 'sound'),
    example: row.example !== null,
  }))
  terminal.print(psqlTable(['name', 'deprecated', 'schema', 'example', 'updated_at'], cells))
}

async function show(context: CommandContext, name: string, options: PrintOptions): Promise<void> {
  const row = await withDatabase(context, (database) => database.transaction((tx) => lockEventType(tx, name)))
  if (row === undefined) throw unknown(name)
  print(context, row, options)
}

async function set(context: CommandContext, name: string, options: SetOptions): Promise<void> {
  const schema = await fileOption('schema', options.schema)
  const example = await fileOption('example', options.example)
  const row = await withDatabase(context, (database) =>
    refusingInput('event type', () =>
      database.transaction(async (tx) => {
        const before = await lockEventType(tx, name)
        const wanted: NewEventType = {
          name,
          description: changed(before?.description, options.description),
          schema: changed(before?.schema, schema),
          example: changed(before?.example, example),
          deprecated: options.deprecated ?? before?.deprecated ?? false,
        }
        requireSound(wanted)
        await writeEventType(tx, wanted)
        return lockEventType(tx, name)
      }),
    ),
  )
  if (row === undefined) throw unknown(name)
  print(context, row, options)
}

/** What was said of it; else what was there. */
function changed(before: string | null | undefined, said: string | false | undefined): string | null {
  if (said === false) return null
  return said ?? before ?? null
}

/** The rest is Postgres's to refuse. */
function requireSound(wanted: NewEventType): void {
  const fault = catalogEntryFault(wanted)
  if (fault === undefined) return
  throw invalidInput(
    `${fault.field} ${fault.rule}`,
    fault.field === 'example' ? 'Change one of the two, or take the example away: --no-example.' : undefined,
  )
}

async function remove(context: CommandContext, name: string, options: PrintOptions): Promise<void> {
  if (!(await withDatabase(context, (database) => removeEventType(database, name)))) throw unknown(name)
  context.terminal.print(
    options.json ? visibleJson({ removed: name }) : `${name} is not in the catalog any more`,
  )
}

async function exportCatalog(context: CommandContext, { format, title }: ExportOptions): Promise<void> {
  const rows = await withDatabase(context, listEventTypes)
  context.terminal.print(format === 'markdown' ? catalogAsMarkdown(rows) : catalogAsOpenApi(rows, title))
}

function print({ terminal }: CommandContext, row: EventTypeRow, options: PrintOptions): void {
  if (options.json) {
    terminal.print(visibleJson({ event_type: asJson(row) }))
    return
  }
  const { schema, example, description, ...rest } = row
  terminal.print(psqlRecord(rest))
  for (const [head, text] of Object.entries({ description, schema, example })) {
    if (text === null) continue
    terminal.print('')
    terminal.print(terminal.paint('bold', `${head}:`))
    terminal.print(visibleLines(text.trim()))
  }
}

function asJson(row: EventTypeRow): unknown {
  const { schema, example, created_at, updated_at } = row
  return {
    ...row,
    schema: schema === null ? null : (JSON.parse(schema) as unknown),
    schema_error: schemaError(schema),
    example: example === null ? null : (JSON.parse(example) as unknown),
    created_at: rfc3339(created_at) ?? created_at,
    updated_at: rfc3339(updated_at) ?? updated_at,
  }
}

/** A file's JSON, as it stands there. */
async function fileOption(
  option: string,
  file: string | false | undefined,
): Promise<string | false | undefined> {
  if (file === undefined || file === false) return file
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw invalidInput(`${option} cannot be read: ${errorMessage(error)}`)
  })
  try {
    JSON.parse(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw invalidInput(`${option} has to be a file of JSON, and ${file} is none`)
  }
  return text
}

function unknown(name: string): WalhookError {
  return new WalhookError('not_found', `there is no event type ${name}`, {
    remedy: '`walhook event-types list` shows those that there are.',
  })
}
