/**
 * Whether a table can be a source, judged by what the catalogue says of it, before anything is streamed: a row that can never
 * be mapped is better refused once, at start, than recorded as malformed a thousand times.
 */
import {
  quoteIdentifier,
  type SourceColumns,
  type SourceField,
  SOURCE_FIELDS,
  sourceName,
  type SourceWish,
} from './source-table.ts'

/** What the catalogue says; undefined where there is no such table. */
export interface FoundTable {
  readonly oid: string
  /** pg_class.relkind and relpersistence. */
  readonly kind: string
  readonly persistence: string
  readonly columns: readonly FoundColumn[]
}

export interface FoundColumn {
  readonly name: string
  /** The type's own name (`varchar`, `timestamptz`), of a domain its base's; for messages. */
  readonly type: string
  readonly isEnum: boolean
  readonly isGenerated: boolean
  /** Whether a unique index, valid and not partial, is on this column alone. */
  readonly isUnique: boolean
}

/** A source whose rows can be mapped. */
export interface SourceTable extends SourceWish {
  readonly name: string
  readonly oid: string
  readonly isPartitioned: boolean
  readonly idIsUuid: boolean
  readonly payloadIsBytes: boolean
  /** `timestamp`, which is taken for UTC, and not `timestamptz`. */
  readonly timestampLacksZone: boolean
}

export type SourceVerdict =
  | { readonly kind: 'fit'; readonly source: SourceTable }
  | { readonly kind: 'unfit'; readonly reason: string; readonly remedy: string }

const TEXTS = ['text', 'varchar', 'citext', 'name']
const WHOLE_NUMBERS = ['int2', 'int4', 'int8']
const JSONS = ['json', 'jsonb']

/** char(n) is in none: its values come padded with blanks. */
const FIT_TYPES: Readonly<Record<SourceField, readonly string[]>> = {
  id: ['uuid', ...TEXTS, ...WHOLE_NUMBERS],
  type: TEXTS,
  key: [...TEXTS, ...WHOLE_NUMBERS, 'uuid'],
  tenant: [...TEXTS, ...WHOLE_NUMBERS, 'uuid'],
  payload: [...JSONS, ...TEXTS, 'bytea'],
  headers: [...JSONS, ...TEXTS],
  timestamp: ['timestamptz', 'timestamp'],
}
const MAY_BE_ENUM: ReadonlySet<SourceField> = new Set(['type', 'key', 'tenant'])
const AS_SQL = 'Names are read as SQL reads them: put one with capitals in double quotes.'

export function judgeSource(wish: SourceWish, found: FoundTable | undefined): SourceVerdict {
  const name = sourceName(wish)
  const unfit = (reason: string, remedy: string): SourceVerdict => ({ kind: 'unfit', reason, remedy })

  if (wish.schema === 'walhook')
    return unfit(`${name} is Walhook's own`, 'Take it out: walhook.outbox is always read.')
  if (found === undefined)
    return unfit(`there is no table ${name}`, `Make it, or mend WALHOOK_SOURCES. ${AS_SQL}`)
  if (found.kind !== 'r' && found.kind !== 'p')
    return unfit(`${name} is not a table that Postgres logs`, 'Name the table that rows are inserted into.')
  if (found.persistence !== 'p')
    return unfit(`${name} is unlogged: its rows never reach the log`, `Run: ALTER TABLE ${name} SET LOGGED;`)

  for (const [field, columnName] of mappedColumns(wish.columns)) {
    const column = found.columns.find((each) => each.name === columnName)
    const told = `${quoteIdentifier(columnName)} of ${name}, mapped to ${field},`
    if (column === undefined)
      return unfit(
        `${name} has no column ${quoteIdentifier(columnName)}, mapped to ${field}`,
        `Map ${field} to another column in WALHOOK_SOURCES: ${field}:column. ${AS_SQL}`,
      )
    if (column.isGenerated)
      return unfit(`column ${told} is generated, and not in the log`, 'Map the columns that it is made of.')
    const fits = FIT_TYPES[field].includes(column.type) || (column.isEnum && MAY_BE_ENUM.has(field))
    if (!fits)
      return unfit(
        `column ${told} is of type ${column.type}`,
        `It has to be ${FIT_TYPES[field].join(', ')}${MAY_BE_ENUM.has(field) ? ' or an enum' : ''}.`,
      )
    if (field === 'id' && !column.isUnique)
      return unfit(
        `column ${told} is not unique, and one id stands for one event`,
        `Give it a primary key or a unique index of its own: CREATE UNIQUE INDEX CONCURRENTLY ON ${name} (${quoteIdentifier(columnName)});`,
      )
  }
  const typeOf = (column: string | undefined): string | undefined =>
    found.columns.find((each) => each.name === column)?.type
  return {
    kind: 'fit',
    source: {
      ...wish,
      name,
      oid: found.oid,
      isPartitioned: found.kind === 'p',
      idIsUuid: typeOf(wish.columns.id) === 'uuid',
      payloadIsBytes: typeOf(wish.columns.payload) === 'bytea',
      timestampLacksZone: typeOf(wish.columns.timestamp) === 'timestamp',
    },
  }
}

function mappedColumns(columns: SourceColumns): (readonly [SourceField, string])[] {
  return SOURCE_FIELDS.flatMap((field) => {
    const mapped = columns[field]
    const names = mapped === undefined ? [] : typeof mapped === 'string' ? [mapped] : mapped
    return names.map((name) => [field, name] as const)
  })
}
