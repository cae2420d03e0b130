/** Groups decoded messages into the pieces of committed transactions, cutting large ones. */
import type { StreamItem, TransactionPiece } from '../core/committed-transaction.ts'
import type { LoggedRow } from '../core/logged-row.ts'
import type { Lsn } from '../core/lsn.ts'
import type { DecodedMessage } from './decoder.ts'

/** A piece is cut at whichever comes first. */
export const PIECE_ROWS = 1_000
export const PIECE_BYTES = 2 * 1024 * 1024

interface OpenTransaction {
  readonly commitLsn: Lsn
  readonly committedAt: Date
  firstRow: number
  rows: LoggedRow[]
  bytes: number
}

export class TransactionAssembler {
  #open: OpenTransaction | undefined

  /** Between a begin and its commit no position may be confirmed but those before the begin. */
  get isInTransaction(): boolean {
    return this.#open !== undefined
  }

  /** Takes the next message of `bytes` bytes; returns what it completes, if it completes anything. */
  add(message: DecodedMessage, bytes: number): StreamItem | undefined {
    switch (message.kind) {
      case 'begin':
        this.#open = {
          commitLsn: message.commitLsn,
          committedAt: message.committedAt,
          firstRow: 0,
          rows: [],
          bytes: 0,
        }
        return undefined
      case 'insert':
        return this.#insert(this.#transaction(), { origin: message.origin, raw: message.row }, bytes)
      case 'stray_message':
        return stray(message.lsn, { origin: 'message', raw: message.row })
      case 'commit':
        return this.#commit(this.#transaction(), message.endLsn)
      case 'wake':
      case 'other':
        return undefined
      default:
        return message satisfies never
    }
  }

  #insert(open: OpenTransaction, row: LoggedRow, bytes: number): TransactionPiece | undefined {
    open.rows.push(row)
    open.bytes += bytes
    return open.rows.length >= PIECE_ROWS || open.bytes >= PIECE_BYTES ? cut(open, undefined) : undefined
  }

  #commit(open: OpenTransaction, endLsn: Lsn): StreamItem {
    this.#open = undefined
    const sawRows = open.firstRow > 0 || open.rows.length > 0
    return sawRows ? cut(open, endLsn) : { kind: 'idle', lsn: endLsn, urgent: false }
  }

  #transaction(): OpenTransaction {
    if (this.#open === undefined) throw new RangeError('a change outside of a transaction')
    return this.#open
  }
}

function cut(open: OpenTransaction, endLsn: Lsn | undefined): TransactionPiece {
  const { commitLsn, committedAt, firstRow, rows } = open
  open.firstRow += rows.length
  open.rows = []
  open.bytes = 0
  return { kind: 'piece', commitLsn, committedAt, firstRow, rows, endLsn }
}

/**
 * It confirms nothing by itself. A commit record may begin just where this one ends: as row -1 of that place it is neither taken
 * for a row of that transaction, nor makes the first one look recorded.
 */
function stray(lsn: Lsn, row: LoggedRow): TransactionPiece {
  return {
    kind: 'piece',
    commitLsn: lsn,
    committedAt: undefined,
    firstRow: -1,
    rows: [row],
    endLsn: undefined,
  }
}
