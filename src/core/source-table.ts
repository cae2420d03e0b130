/**
 * What `WALHOOK_SOURCES` says: tables of others that are outboxes already, and which of their columns is what. Names are
 * read as SQL reads them: folded to lower case, unless they stand in double quotes.
 */

/** A source's columns by what they are to us. */
export interface SourceColumns {
  readonly id: string
  /** Several are joined by dots. */
  readonly type: readonly string[]
  readonly payload: string
  readonly key?: string
  readonly tenant?: string
  readonly headers?: string
  readonly timestamp?: string
}

/** A table as it was asked for; whether it is fit is for `source-check.ts` to say. */
export interface SourceWish {
  readonly schema: string
  readonly table: string
  readonly columns: SourceColumns
}

export type ParsedSources =
  | { readonly kind: 'sources'; readonly sources: readonly SourceWish[] }
  | { readonly kind: 'refused'; readonly rule: string }

/** Read off the tables that the tools of these names make; docs/other-outboxes.md has them. */
export const SOURCE_PRESETS: Readonly<Record<string, SourceColumns>> = {
  debezium: { id: 'id', type: ['aggregatetype', 'type'], key: 'aggregateid', payload: 'payload' },
  'pg-transactional-outbox': {
    id: 'id',
    type: ['aggregate_type', 'message_type'],
    key: 'aggregate_id',
    payload: 'payload',
    headers: 'metadata',
    timestamp: 'created_at',
  },
  eventferry: {
    id: 'message_id',
    type: ['topic'],
    key: 'aggregate_id',
    payload: 'payload',
    headers: 'headers',
    timestamp: 'created_at',
  },
  outboxy: {
    id: 'id',
    type: ['event_type'],
    key: 'aggregate_id',
    payload: 'payload',
    headers: 'headers',
    timestamp: 'created_at',
  },
  openoutbox: {
    id: 'event_id',
    type: ['event_type'],
    key: 'partition_key',
    payload: 'payload',
    headers: 'headers',
    timestamp: 'created_at',
  },
  nestarc: {
    id: 'id',
    type: ['event_type'],
    key: 'aggregate_id',
    tenant: 'tenant_id',
    payload: 'payload',
    headers: 'headers',
    timestamp: 'occurred_at',
  },
}

export const SOURCE_FIELDS = ['id', 'type', 'key', 'tenant', 'payload', 'headers', 'timestamp'] as const
export type SourceField = (typeof SOURCE_FIELDS)[number]

/** `schema.table=preset`, `schema.table=preset,type:type`, or `schema.table=id:…,type:…,payload:…`; several apart by `;` or blanks. */
export function parseSources(text: string): ParsedSources {
  const sources: SourceWish[] = []
  for (const entry of entriesOf(text)) {
    const refused = (why: string): ParsedSources => ({
      kind: 'refused',
      rule: `has a wrong entry, ${entry}: ${why}`,
    })
    const parsed = parseEntry(entry)
    if (typeof parsed === 'string') return refused(parsed)
    const name = sourceName(parsed)
    if (sources.some((other) => sourceName(other) === name)) return refused(`${name} has an entry already`)
    sources.push(parsed)
  }
  return { kind: 'sources', sources }
}

/** As one would write it in SQL: `public.outbox`, `"Sales"."Outbox"`. */
export function sourceName({ schema, table }: { readonly schema: string; readonly table: string }): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`
}

/** Quoted where it has to be. A word that SQL reserves need not be told: this is for people, and for setting it again. */
export function quoteIdentifier(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

const IDENTIFIER = String.raw`(?:[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"]|"")+")`
const TABLE = new RegExp(`^(${IDENTIFIER})\\.(${IDENTIFIER})=(.+)$`, 's')
const COLUMN = new RegExp(`^([a-z]+):(${IDENTIFIER}(?:\\.${IDENTIFIER})*)$`, 's')

/** What stands in double quotes separates nothing. */
function split(text: string, separators: RegExp): string[] {
  const parts = ['']
  let isQuoted = false
  for (const char of text) {
    if (char === '"') isQuoted = !isQuoted
    if (!isQuoted && separators.test(char)) parts.push('')
    else parts.push(`${parts.pop() ?? ''}${char}`)
  }
  return parts
}

function entriesOf(text: string): string[] {
  return split(text, /[;\s]/).filter((entry) => entry !== '')
}

/** A text says what is wrong. */
function parseEntry(entry: string): SourceWish | string {
  const match = TABLE.exec(entry)
  if (match === null) return 'it has to be like schema.table=preset or schema.table=id:…,type:…,payload:…'
  const [, schema = '', table = '', mapping = ''] = match
  const columns = parseMapping(mapping)
  return typeof columns === 'string'
    ? columns
    : { schema: identifier(schema), table: identifier(table), columns }
}

function parseMapping(mapping: string): SourceColumns | string {
  const [first = '', ...rest] = split(mapping, /,/)
  const preset = Object.hasOwn(SOURCE_PRESETS, first) ? SOURCE_PRESETS[first] : undefined
  if (preset === undefined && !first.includes(':'))
    return `there is no preset ${first}: there are ${Object.keys(SOURCE_PRESETS).join(', ')}`
  const columns: Partial<Record<SourceField, string | readonly string[]>> = { ...preset }
  const own = new Set<string>()
  for (const item of preset === undefined ? [first, ...rest] : rest) {
    const match = COLUMN.exec(item)
    const field = SOURCE_FIELDS.find((name) => name === match?.[1])
    if (match === null || field === undefined)
      return `${item} is not field:column, with one of the fields ${SOURCE_FIELDS.join(', ')}`
    if (own.has(field)) return `${field} is mapped twice`
    own.add(field)
    const names = split(match[2] ?? '', /\./).map(identifier)
    if (field === 'type') columns.type = names
    else if (names.length === 1) columns[field] = names[0] ?? ''
    else return `${field} is one column; only type can be joined of several`
  }
  for (const field of ['id', 'type', 'payload'] as const)
    if (columns[field] === undefined) return `${field} has to be mapped to a column`
  return columns as SourceColumns
}

function identifier(written: string): string {
  return written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written.toLowerCase()
}
