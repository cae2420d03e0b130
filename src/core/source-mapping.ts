/**
 * A row of a source, as a row of our outbox would read, so that everything behind is the same for both. Texts stay what Postgres
 * printed; nothing here may depend on when or how often a row is read, or it would become another event.
 */
import { createHash } from 'node:crypto'
import type { RawRow } from './outbox-event.ts'
import type { SourceTable } from './source-check.ts'

export type MappedRow =
  | { readonly kind: 'row'; readonly row: RawRow }
  | { readonly kind: 'malformed'; readonly reason: string }

/** Of the ids that are made of ids which are no UUIDs: a UUID of version 5 in this namespace, of `schema.table/id`. */
export const SOURCE_ID_NAMESPACE = '5f1c3d7e-9a4b-5c2d-8e6f-0a1b2c3d4e5f'

/** `committedAt` stands in for a timestamp that a source does not have. */
export function mapSourceRow(source: SourceTable, raw: RawRow, committedAt: Date): MappedRow {
  const { columns } = source
  const malformed = (reason: string): MappedRow => ({ kind: 'malformed', reason })
  const at = (column: string | undefined): string | null =>
    column === undefined ? null : (raw.get(column) ?? null)

  const id = at(columns.id)
  if (id === null) return malformed('id is missing')
  const names = columns.type.map(at)
  if (names.includes(null)) return malformed('type is missing')
  const payload = at(columns.payload)
  const json = payload !== null && source.payloadIsBytes ? textOfBytes(payload) : payload
  if (json === undefined) return malformed('payload is not UTF-8')
  const headers = at(columns.headers) ?? '{}'

  const row = new Map<string, string | null>([
    ['id', source.idIsUuid ? id : uuidOf(`${source.name}/${id}`)],
    ['type', names.join('.')],
    // An empty one says as little as none.
    ['key', at(columns.key) || null],
    ['tenant', at(columns.tenant) || null],
    ['payload', json],
    ['headers', source.idIsUuid ? headers : withSourceId(headers, id)],
    [
      'created_at',
      columns.timestamp === undefined ? postgresText(committedAt) : timestamp(source, at(columns.timestamp)),
    ],
  ])
  return { kind: 'row', row }
}

/** `2026-11-22 15:30:09.123+00`, as Postgres prints it in a UTC session. */
export function postgresText(at: Date): string {
  return at.toISOString().replace('T', ' ').replace('Z', '+00')
}

function timestamp(source: SourceTable, text: string | null): string | null {
  return text !== null && source.timestampLacksZone ? `${text}+00` : text
}

/** Hexadecimal digits; pgoutput prints `\x` before them, and wal2json leaves it out. Undefined for what is not UTF-8. */
function textOfBytes(hex: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Buffer.from(hex.replace(/^\\x/, ''), 'hex'),
    )
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
}

/** In front, so that a `source_id` of the row's own wins. What is no object stays what it is: malformed. */
function withSourceId(headers: string, id: string): string {
  const match = /^\s*\{(\s*\})?/.exec(headers)
  if (match === null) return headers
  const member = `{"source_id": ${JSON.stringify(id)}`
  return match[1] === undefined ? `${member}, ${headers.slice(match[0].length)}` : `${member}}`
}

/** RFC 9562, version 5. */
function uuidOf(name: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(SOURCE_ID_NAMESPACE.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest()
    .subarray(0, 16)
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6)
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = hash.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
