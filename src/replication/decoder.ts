/** What a decoder makes of a plugin's messages: the part of both protocols that an outbox needs. */
import type { Lsn } from '../core/lsn.ts'
import type { RowOrigin } from '../core/logged-row.ts'
import type { RawRow } from '../core/outbox-event.ts'
import type { SourceTable } from '../core/source-check.ts'
import { wokenSubscription } from '../core/wake-message.ts'

export type DecodedMessage =
  | { readonly kind: 'begin'; readonly commitLsn: Lsn; readonly committedAt: Date }
  | { readonly kind: 'insert'; readonly origin: RowOrigin; readonly row: RawRow }
  /** Of no transaction: `lsn` is where its record ends, and where the next one begins. */
  | { readonly kind: 'stray_message'; readonly lsn: Lsn; readonly row: RawRow }
  /** Something of this subscription was changed. No row, and of no account for any position. */
  | { readonly kind: 'wake'; readonly subscriptionId: string }
  | { readonly kind: 'commit'; readonly commitLsn: Lsn; readonly endLsn: Lsn }
  | { readonly kind: 'other' }

/** The tables that are read; rows of others are passed over. */
export interface ReadTables {
  readonly outbox: { readonly schema: string; readonly table: string }
  readonly sources: readonly SourceTable[]
}

export function originOf(tables: ReadTables, schema: string, table: string): RowOrigin | undefined {
  if (schema === tables.outbox.schema && table === tables.outbox.table) return 'outbox'
  return tables.sources.find((source) => source.schema === schema && source.table === table)
}

/** A message's own columns, for whoever looks at one that is malformed. `content` is null where it is not UTF-8. */
export function messageRow(content: string | null, isTransactional: boolean): RawRow {
  return new Map([
    ['content', content],
    ['transactional', String(isTransactional)],
  ])
}

/** One that comes outside of a transaction, or says nothing that can be meant, says nothing. */
export function wakeMessage(content: string, isTransactional: boolean): DecodedMessage {
  const subscriptionId = isTransactional ? wokenSubscription(content) : undefined
  return subscriptionId === undefined ? { kind: 'other' } : { kind: 'wake', subscriptionId }
}

/**
 * One message in, in stream order. Throws on what it does not know: what such a message said is lost, so the stream
 * must not go on and confirm what lies behind it.
 */
export type Decoder = (message: Buffer) => DecodedMessage
