/**
 * A row of a committed transaction with where it was written: in our outbox, in a source, or in the log alone. What was
 * written elsewhere is *captured*: it becomes an event like any other, and is copied into our outbox where it is recorded.
 */
import { mapMessage } from './logged-message.ts'
import { type OutboxEvent, type ParsedRow, parseOutboxRow, type RawRow } from './outbox-event.ts'
import type { SourceTable } from './source-check.ts'
import { mapSourceRow } from './source-mapping.ts'

export type RowOrigin = 'outbox' | 'message' | SourceTable

export interface LoggedRow {
  readonly origin: RowOrigin
  readonly raw: RawRow
}

/** What stands in `captured_from` of the copy. */
export function originName(origin: RowOrigin): string {
  return typeof origin === 'string' ? origin : origin.name
}

/** Our own copy of what was captured, come back over the log: it has its deliveries already. */
export function isCopy({ origin, raw }: LoggedRow): boolean {
  return origin === 'outbox' && typeof raw.get('captured_from') === 'string'
}

/** `committedAt` is undefined for what no transaction holds. */
export function parseLoggedRow({ origin, raw }: LoggedRow, committedAt: Date | undefined): ParsedRow {
  if (origin === 'outbox') return parseOutboxRow(raw)
  const from = originName(origin)
  const malformed = (reason: string): ParsedRow => ({ kind: 'malformed', reason: `${from}: ${reason}` })
  const mapped =
    origin === 'message'
      ? mapMessage(raw, committedAt)
      : mapSourceRow(origin, raw, committedAt ?? new Date(0))
  if (mapped.kind === 'malformed') return malformed(mapped.reason)
  const parsed = parseOutboxRow(mapped.row)
  if (parsed.kind === 'malformed') return malformed(parsed.reason)
  const headers = mapped.row.get('headers') ?? '{}'
  const reason = brokenLimit(parsed.event, headers)
  return reason === undefined ? { ...parsed, captured: { from, headers } } : malformed(reason)
}

/** What the outbox's constraints would refuse: asked here, so that one row is not found by halving a batch. */
function brokenLimit(event: OutboxEvent, headers: string): string | undefined {
  if (event.type.length > 255) return 'type is longer than 255 characters'
  if (isLonger(event.key, 1_000)) return 'key is longer than 1000 characters'
  if (isLonger(event.tenant, 255)) return 'tenant is longer than 255 characters'
  if (Buffer.byteLength(event.payload) > 1_048_576) return 'payload is larger than 1 MiB'
  if (Buffer.byteLength(headers) > 16_384) return 'headers is larger than 16 KiB'
  return undefined
}

/** Characters as Postgres counts them. */
function isLonger(text: string | null, most: number): boolean {
  return text !== null && text.length > most && Array.from(text).length > most
}
