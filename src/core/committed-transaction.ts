/** What the log yields, in commit order. Every piece is of a transaction that has committed. */
import type { Lsn } from './lsn.ts'
import type { LoggedRow } from './logged-row.ts'

/** A transaction's rows that can be events, or some of them: a large one comes in several pieces, so that it need not fit in memory. */
export interface TransactionPiece {
  readonly kind: 'piece'
  /** Where the commit record begins: the same in each piece. */
  readonly commitLsn: Lsn
  /** Undefined for a message that no transaction holds. */
  readonly committedAt: Date | undefined
  /** Position of `rows[0]` among the transaction's rows, from 0; -1 for a message that no transaction holds. */
  readonly firstRow: number
  readonly rows: readonly LoggedRow[]
  /** Where the commit record ends: on the last piece only, and what may then be confirmed. */
  readonly endLsn: Lsn | undefined
}

/** Nothing for the outbox up to here. */
export interface IdlePosition {
  readonly kind: 'idle'
  readonly lsn: Lsn
  /** The server waits for this position, as it does while it shuts down. */
  readonly urgent: boolean
}

export type StreamItem = TransactionPiece | IdlePosition

/** Yields what has arrived since it was last asked, so that a slow consumer gets larger batches. */
export interface TransactionStream extends AsyncIterable<readonly StreamItem[]> {
  /** Tells Postgres that everything before `lsn` is durable here and may be discarded there. */
  confirm(lsn: Lsn): void
}
