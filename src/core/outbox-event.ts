/**
 * An outbox row as it arrives over the log, told apart from one that cannot be an event. Through our own table every
 * row is one; a table altered by hand can let anything through, and must not stop the stream.
 */

/** A row's columns as the text that Postgres printed; null is SQL's null. A column the row lacks is absent. */
export type RawRow = ReadonlyMap<string, string | null>

export interface OutboxEvent {
  readonly id: string
  readonly type: string
  readonly key: string | null
  readonly tenant: string | null
  /** The JSON text as the application wrote it. */
  readonly payload: string
  readonly headers: Readonly<Record<string, unknown>>
  /** RFC 3339, UTC, microseconds: `2026-11-22T15:30:09.123456Z`. */
  readonly timestamp: string
}

/** For an event that was not written to our outbox: what its copy there needs beside it. */
export interface Captured {
  readonly from: string
  /** The text of `headers`: parsed and printed again it would lose digits. */
  readonly headers: string
}

export type ParsedRow =
  | { readonly kind: 'event'; readonly event: OutboxEvent; readonly captured?: Captured }
  | { readonly kind: 'malformed'; readonly reason: string }

/** One that Walhook wrote itself: what becomes of its deliveries is told to nobody, or a failing endpoint would feed itself. */
export function isOperatorEvent({ type }: Pick<OutboxEvent, 'type'>): boolean {
  return type.startsWith('walhook.')
}

/** One that belongs to a single subscription, with which it was made: nobody else gets it, and it goes by itself. */
export function isTestEvent({ type }: Pick<OutboxEvent, 'type'>): boolean {
  return type === 'walhook.test'
}

/** `now` in unix milliseconds. */
export function isExpired(
  { timestamp }: Pick<OutboxEvent, 'timestamp'>,
  ttlMs: number,
  now: number,
): boolean {
  return now - Date.parse(timestamp) > ttlMs
}

/** The header that delays an event, as it was written; undefined where there is none, or null. What it means, Postgres says. */
export function deliverAfterOf({ headers }: Pick<OutboxEvent, 'headers'>): string | undefined {
  const value = headers['deliver_after']
  if (value === undefined || value === null) return undefined
  return typeof value === 'string' ? value : JSON.stringify(value)
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const EVENT_TYPE = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/

export function parseOutboxRow(row: RawRow): ParsedRow {
  const malformed = (reason: string): ParsedRow => ({ kind: 'malformed', reason })

  const id = row.get('id')
  if (typeof id !== 'string' || !UUID.test(id)) return malformed('id is not a uuid')
  const type = row.get('type')
  if (typeof type !== 'string' || !EVENT_TYPE.test(type))
    return malformed('type is not a dotted name like order.created')
  const payload = row.get('payload')
  if (typeof payload !== 'string') return malformed('payload is missing')
  if (!isJson(payload)) return malformed('payload is not JSON')
  const headers = parseObject(row.get('headers') ?? '{}')
  if (headers === undefined) return malformed('headers is not a JSON object')
  const createdAt = row.get('created_at')
  const timestamp = typeof createdAt === 'string' ? rfc3339(createdAt) : undefined
  if (timestamp === undefined) return malformed('created_at is not a point in time')

  const key = row.get('key') ?? null
  const tenant = row.get('tenant') ?? null
  return { kind: 'event', event: { id, type, key, tenant, payload, headers, timestamp } }
}

/**
 * Postgres's text of a timestamptz in a UTC session (`2026-11-22 15:30:09.1234+00`) as RFC 3339 with microseconds.
 * Undefined for what has no such spelling: infinity, years before Christ or past 9999.
 */
export function rfc3339(text: string): string | undefined {
  const match = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?\+00$/.exec(text)
  if (match === null) return undefined
  return `${match[1]}T${match[2]}.${(match[3] ?? '').padEnd(6, '0')}Z`
}

function isJson(text: string): boolean {
  return parseJson(text) !== undefined
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  const value = parseJson(text)?.value
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return value as Readonly<Record<string, unknown>>
}

/** JSON.parse says no by throwing; here that is an answer like any other. */
function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
