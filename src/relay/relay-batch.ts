/** What of the stream's items is new, and how far recording them will bring the position. Pure. */
import type { StreamItem, TransactionPiece } from '../core/committed-transaction.ts'
import { isCopy, parseLoggedRow, type RowOrigin } from '../core/logged-row.ts'
import { laterLsn, type Lsn } from '../core/lsn.ts'
import type { Captured, OutboxEvent, ParsedRow, RawRow } from '../core/outbox-event.ts'
import { recordedRows, type RelayPosition } from '../core/relay-position.ts'

export interface RelayRow {
  readonly commitLsn: Lsn
  /** Undefined for a message that no transaction holds. */
  readonly committedAt: Date | undefined
  /** Position among its transaction's rows that can be events, from 0. */
  readonly row: number
  readonly origin: RowOrigin
  readonly raw: RawRow
  readonly parsed: JudgedRow
}

/** A dead event is one that the catalog of event types refused. */
export type JudgedRow =
  | ParsedRow
  | {
      readonly kind: 'dead'
      readonly event: OutboxEvent
      readonly captured?: Captured
      readonly reason: string
    }

export interface RelayBatch {
  readonly rows: readonly RelayRow[]
  /** Where the relay stands once the rows are recorded. */
  readonly position: RelayPosition
  readonly committedAt: Date | undefined
  /** What Postgres may then be told; undefined while a transaction's end has not come yet. */
  readonly confirmable: Lsn | undefined
}

export function toBatch(items: readonly StreamItem[], recorded: RelayPosition): RelayBatch {
  const rows: RelayRow[] = []
  let position = recorded
  let confirmable: Lsn | undefined
  let committedAt: Date | undefined

  for (const item of items) {
    if (item.kind === 'piece') {
      rows.push(...newRows(item, position))
      committedAt = item.committedAt ?? committedAt
    }
    position = later(position, positionAfter(item))
    const end = item.kind === 'idle' ? item.lsn : item.endLsn
    if (end !== undefined) confirmable = confirmable === undefined ? end : laterLsn(confirmable, end)
  }
  return { rows, position, committedAt, confirmable }
}

/** The items in their order, in portions of at least so many rows each but the last; no piece is cut. */
export function* portions(
  items: readonly StreamItem[],
  rows: () => number,
): Generator<readonly StreamItem[]> {
  let portion: StreamItem[] = []
  let taken = 0
  for (const item of items) {
    portion.push(item)
    taken += item.kind === 'piece' ? item.rows.length : 0
    if (taken < rows()) continue
    yield portion
    portion = []
    taken = 0
  }
  if (portion.length > 0) yield portion
}

function newRows(piece: TransactionPiece, position: RelayPosition): RelayRow[] {
  const { commitLsn, committedAt, firstRow, rows } = piece
  const known = recordedRows(position, { commitLsn, firstRow, rowCount: rows.length })
  return rows.slice(known).flatMap((logged, i) => {
    // Counted, so that every row keeps its number, and passed over.
    if (isCopy(logged)) return []
    const row = firstRow + known + i
    return [{ commitLsn, committedAt, row, ...logged, parsed: parseLoggedRow(logged, committedAt) }]
  })
}

function positionAfter(item: StreamItem): RelayPosition {
  if (item.kind === 'idle') return { lsn: item.lsn, row: 0 }
  if (item.endLsn !== undefined) return { lsn: item.endLsn, row: 0 }
  return { lsn: item.commitLsn, row: item.firstRow + item.rows.length }
}

function later(a: RelayPosition, b: RelayPosition): RelayPosition {
  if (a.lsn !== b.lsn) return a.lsn > b.lsn ? a : b
  return a.row >= b.row ? a : b
}
