/**
 * Decodes wal2json, format version 2: one JSON object a message. Values come as JSON strings around Postgres's text,
 * except for numbers and booleans, which are bare; the outbox has none, and what a hand-altered one has keeps its digits.
 */
import { isUtf8 } from 'node:buffer'
import { MESSAGE_PREFIX } from '../core/logged-message.ts'
import { parseLsn } from '../core/lsn.ts'
import { WAKE_PREFIX } from '../core/wake-message.ts'
import {
  type DecodedMessage,
  type Decoder,
  messageRow,
  originOf,
  type ReadTables,
  wakeMessage,
} from './decoder.ts'

interface Wal2JsonMessage {
  readonly action: string
  readonly schema?: string
  readonly table?: string
  readonly lsn?: string
  readonly nextlsn?: string
  readonly timestamp?: string | null
  readonly transactional?: RawJson
  readonly prefix?: string
  readonly content?: string
  readonly columns?: readonly { readonly name: string; readonly value: string | RawJson | null }[]
}

/** A number or boolean as it was printed. */
interface RawJson {
  readonly source: string
}

export function wal2jsonDecoder(tables: ReadTables): Decoder {
  return (bytes) => {
    const message = JSON.parse(bytes.toString('utf8'), keepDigits) as Wal2JsonMessage
    switch (message.action) {
      case 'B':
        return { kind: 'begin', commitLsn: lsnOf(message.lsn), committedAt: committedAt(message) }
      case 'C':
        return { kind: 'commit', commitLsn: lsnOf(message.lsn), endLsn: lsnOf(message.nextlsn) }
      case 'I': {
        const origin = originOf(tables, message.schema ?? '', message.table ?? '')
        return origin === undefined ? { kind: 'other' } : { kind: 'insert', origin, row: rowOf(message) }
      }
      case 'U':
      case 'D':
      case 'T':
        return { kind: 'other' }
      case 'M':
        return decodeMessage(message, isUtf8(bytes))
      default:
        throw new RangeError(`wal2json: unknown action ${JSON.stringify(message.action)}`)
    }
  }
}

/** Others use messages too: theirs have another prefix. What is not UTF-8 is printed as it is, and cut where it has a zero. */
function decodeMessage(message: Wal2JsonMessage, isText: boolean): DecodedMessage {
  const isTransactional = message.transactional?.source === 'true'
  if (message.prefix === WAKE_PREFIX) return wakeMessage(message.content ?? '', isTransactional)
  if (message.prefix !== MESSAGE_PREFIX) return { kind: 'other' }
  const row = messageRow(isText ? (message.content ?? '') : null, isTransactional)
  return isTransactional
    ? { kind: 'insert', origin: 'message', row }
    : { kind: 'stray_message', lsn: lsnOf(message.lsn), row }
}

function rowOf(message: Wal2JsonMessage): Map<string, string | null> {
  const row = new Map<string, string | null>()
  for (const { name, value } of message.columns ?? []) {
    row.set(name, value === null || typeof value === 'string' ? value : value.source)
  }
  return row
}

/** A bare value keeps the text it had: JSON.parse would round a long number. */
function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' && typeof value !== 'boolean') return value
  return { source: context?.source ?? String(value) }
}

function lsnOf(text: string | undefined): ReturnType<typeof parseLsn> {
  if (text === undefined) throw new RangeError('wal2json: a message without its LSN: include-lsn is off')
  return parseLsn(text)
}

/** `2026-11-22 15:30:09.123456+00`, in a UTC session. */
function committedAt(message: Wal2JsonMessage): Date {
  const at = new Date((message.timestamp ?? '').replace(' ', 'T').replace(/\+00$/, 'Z'))
  if (Number.isNaN(at.getTime()))
    throw new RangeError('wal2json: a begin without its time: include-timestamp is off')
  return at
}
