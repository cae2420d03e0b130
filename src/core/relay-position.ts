/**
 * How far the relay has recorded, and which of the rows that are read again it may pass over.
 *
 * A transaction stands where its commit record begins; the position after it is where that record ends. Two commit
 * records can touch, so "at or before" is judged by where a commit record begins, never by where the last one ended.
 */
import type { Lsn } from './lsn.ts'

export interface RelayPosition {
  /** Everything whose commit record begins before this is recorded. */
  readonly lsn: Lsn
  /** Rows recorded of the transaction whose commit record begins exactly at `lsn`. */
  readonly row: number
}

/** How many of a piece's rows are recorded already: 0 for a new one, all of them for an old one. */
export function recordedRows(
  position: RelayPosition,
  piece: { readonly commitLsn: Lsn; readonly firstRow: number; readonly rowCount: number },
): number {
  if (piece.commitLsn < position.lsn) return piece.rowCount
  if (piece.commitLsn > position.lsn) return 0
  return Math.min(Math.max(position.row - piece.firstRow, 0), piece.rowCount)
}
