/**
 * Decodes pgoutput, protocol version 1: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
 * Values stay the text that Postgres printed: parsing them would cost microseconds, digits and JSON's bytes.
 */
import { isUtf8 } from 'node:buffer'
import { MESSAGE_PREFIX } from '../core/logged-message.ts'
import type { RowOrigin } from '../core/logged-row.ts'
import type { Lsn } from '../core/lsn.ts'
import { WAKE_PREFIX } from '../core/wake-message.ts'
import {
  type DecodedMessage,
  type Decoder,
  messageRow,
  originOf,
  type ReadTables,
  wakeMessage,
} from './decoder.ts'

/** Microseconds from 1970 to 2000, where Postgres's clock begins. */
const POSTGRES_EPOCH_US = 946_684_800_000_000n

interface Relation {
  /** Undefined for a table that is not read. */
  readonly origin: RowOrigin | undefined
  readonly columns: readonly string[]
}

/** Keeps the relations that the stream has described; one decoder a connection. */
export function pgoutputDecoder(tables: ReadTables): Decoder {
  const relations = new Map<number, Relation>()

  return (message) => {
    const reader = new MessageReader(message)
    const kind = reader.byte1()
    switch (kind) {
      case 'B':
        return { kind: 'begin', commitLsn: reader.lsn(), committedAt: reader.timestamp() }
      case 'C':
        reader.skip(1) // flags
        return { kind: 'commit', commitLsn: reader.lsn(), endLsn: reader.lsn() }
      case 'R': {
        const id = reader.uint32()
        const schema = reader.cstring()
        const table = reader.cstring()
        reader.skip(1) // replica identity
        const columns = Array.from({ length: reader.uint16() }, () => readColumnName(reader))
        relations.set(id, { origin: originOf(tables, schema, table), columns })
        return { kind: 'other' }
      }
      case 'I': {
        const relation = relations.get(reader.uint32())
        if (relation === undefined)
          throw new RangeError('pgoutput: a row of a relation that was never described')
        reader.skip(1) // 'N', the new tuple
        return relation.origin === undefined
          ? { kind: 'other' }
          : { kind: 'insert', origin: relation.origin, row: readTuple(reader, relation.columns) }
      }
      case 'U':
      case 'D':
      case 'T':
      case 'O':
      case 'Y':
        return { kind: 'other' }
      case 'M':
        return readMessage(reader)
      default:
        // What it said is unknown, so nothing after it may be confirmed.
        throw new RangeError(`pgoutput: unknown message ${JSON.stringify(kind)}`)
    }
  }
}

/** Others use messages too: theirs have another prefix. */
function readMessage(reader: MessageReader): DecodedMessage {
  const isTransactional = (reader.byte1().charCodeAt(0) & 1) === 1
  const lsn = reader.lsn()
  const prefix = reader.cstring()
  if (prefix === WAKE_PREFIX) return wakeMessage(reader.text(), isTransactional)
  if (prefix !== MESSAGE_PREFIX) return { kind: 'other' }
  const content = reader.bytes()
  const row = messageRow(isUtf8(content) ? content.toString('utf8') : null, isTransactional)
  return isTransactional ? { kind: 'insert', origin: 'message', row } : { kind: 'stray_message', lsn, row }
}

function readColumnName(reader: MessageReader): string {
  reader.skip(1) // flags
  const name = reader.cstring()
  reader.skip(8) // type oid, type modifier
  return name
}

function readTuple(reader: MessageReader, columns: readonly string[]): Map<string, string | null> {
  const row = new Map<string, string | null>()
  const count = reader.uint16()
  for (let i = 0; i < count; i++) {
    const name = columns[i]
    if (name === undefined) throw new RangeError('pgoutput: a row has more columns than its relation')
    const format = reader.byte1()
    if (format === 'n') row.set(name, null)
    else if (format === 't') row.set(name, reader.text())
    else if (format !== 'u') throw new RangeError(`pgoutput: unknown column format ${JSON.stringify(format)}`)
  }
  return row
}

class MessageReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  skip(bytes: number): void {
    this.#at += bytes
  }

  byte1(): string {
    return String.fromCharCode(this.#bytes.readUInt8(this.#at++))
  }

  uint16(): number {
    this.#at += 2
    return this.#bytes.readUInt16BE(this.#at - 2)
  }

  uint32(): number {
    this.#at += 4
    return this.#bytes.readUInt32BE(this.#at - 4)
  }

  lsn(): Lsn {
    this.#at += 8
    return this.#bytes.readBigUInt64BE(this.#at - 8) as Lsn
  }

  timestamp(): Date {
    this.#at += 8
    return new Date(Number((this.#bytes.readBigInt64BE(this.#at - 8) + POSTGRES_EPOCH_US) / 1000n))
  }

  cstring(): string {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end === -1) throw new RangeError('pgoutput: a name without an end')
    const text = this.#bytes.toString('utf8', this.#at, end)
    this.#at = end + 1
    return text
  }

  text(): string {
    return this.bytes().toString('utf8')
  }

  bytes(): Buffer {
    const length = this.uint32()
    if (this.#at + length > this.#bytes.length)
      throw new RangeError('pgoutput: a value longer than its message')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}
