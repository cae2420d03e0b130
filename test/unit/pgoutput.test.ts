/** pgoutput, protocol 1, from messages built by hand as the protocol's documentation lays them out. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { SourceTable } from '../../src/core/source-check.ts'
import { parseLsn } from '../../src/core/lsn.ts'
import type { DecodedMessage } from '../../src/replication/decoder.ts'
import { pgoutputDecoder } from '../../src/replication/pgoutput.ts'
import { anyText } from './any-text.ts'

const TABLES = { outbox: { schema: 'walhook', table: 'outbox' }, sources: [] }
const OUTBOX_OID = 16_385

const int8 = (value: number): Buffer => Buffer.of(value)
const int16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff)
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const int64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt.asIntN(64, value))
  return bytes
}
const ascii = (text: string): Buffer => Buffer.from(text, 'ascii')
const cstring = (text: string): Buffer => Buffer.from(`${text}\0`)
const POSTGRES_EPOCH_US = BigInt(Date.parse('2000-01-01T00:00:00Z')) * 1000n
const time = (iso: string, micros = 0): Buffer =>
  int64(BigInt(Date.parse(iso)) * 1000n + BigInt(micros) - POSTGRES_EPOCH_US)

const begin = (lsn: string, at = '2026-11-22T15:30:09.123Z', micros = 0): Buffer =>
  Buffer.concat([ascii('B'), int64(parseLsn(lsn)), time(at, micros), int32(742)])

const commit = (lsn: string, endLsn: string): Buffer =>
  Buffer.concat([
    ascii('C'),
    int8(0),
    int64(parseLsn(lsn)),
    int64(parseLsn(endLsn)),
    time('2026-11-22T15:30:09Z'),
  ])

const relation = (oid: number, schema: string, table: string, columns: readonly string[]): Buffer =>
  Buffer.concat([
    ascii('R'),
    int32(oid),
    cstring(schema),
    cstring(table),
    ascii('d'),
    int16(columns.length),
    ...columns.flatMap((name, i) => [int8(i === 0 ? 1 : 0), cstring(name), int32(25), int32(-1)]),
  ])

/** `undefined` is a toasted value that did not change. */
type Value = string | null | undefined

const tuple = (values: readonly Value[]): Buffer =>
  Buffer.concat([
    int16(values.length),
    ...values.map((value) => {
      if (value === null) return ascii('n')
      if (value === undefined) return ascii('u')
      const text = Buffer.from(value)
      return Buffer.concat([ascii('t'), int32(text.length), text])
    }),
  ])

const insert = (oid: number, values: readonly Value[]): Buffer =>
  Buffer.concat([ascii('I'), int32(oid), ascii('N'), tuple(values)])

/** What the last of the messages decodes to, by a decoder of its own. */
function decode(...messages: readonly Buffer[]): DecodedMessage | undefined {
  const decoder = pgoutputDecoder(TABLES)
  return messages.map((message) => decoder(message)).at(-1)
}

function unlessRefused<Result>(work: () => Result): Result | 'refused' {
  try {
    return work()
  } catch (error) {
    if (error instanceof RangeError) return 'refused'
    throw error
  }
}

function decodeRow(columns: readonly string[], values: readonly Value[]): DecodedMessage | undefined {
  return decode(relation(OUTBOX_OID, 'walhook', 'outbox', columns), insert(OUTBOX_OID, values))
}

test('begin tells where the commit record begins and when it was written', () => {
  expect(decode(begin('16/B374D848'))).toEqual({
    kind: 'begin',
    commitLsn: parseLsn('16/B374D848'),
    committedAt: new Date('2026-11-22T15:30:09.123Z'),
  })
})

test.each(['1999-12-31T23:59:59.999Z', '2000-01-01T00:00:00.000Z', '2262-04-11T00:00:00.000Z'])(
  'the time of a commit on either side of the epoch of Postgres: %s',
  (at) => {
    expect(decode(begin('0/1', at))).toMatchObject({ committedAt: new Date(at) })
  },
)

test('commit tells where the commit record begins and ends', () => {
  expect(decode(commit('16/B374D848', '16/B374D878'))).toEqual({
    kind: 'commit',
    commitLsn: parseLsn('16/B374D848'),
    endLsn: parseLsn('16/B374D878'),
  })
})

test('positions keep all of their 64 bits', () => {
  expect(decode(commit('FFFFFFFF/FFFFFFFE', 'FFFFFFFF/FFFFFFFF'))).toMatchObject({
    commitLsn: 0xffff_ffff_ffff_fffen,
    endLsn: 0xffff_ffff_ffff_ffffn,
  })
})

describe('a row', () => {
  test('is its columns as the text that Postgres printed', () => {
    expect(decodeRow(['id', 'payload', 'key'], ['1', '{"a": 1.10}', ''])).toEqual({
      kind: 'insert',
      origin: 'outbox',
      row: new Map([
        ['id', '1'],
        ['payload', '{"a": 1.10}'],
        ['key', ''],
      ]),
    })
  })

  test('has null where SQL has it, and not where the text says so', () => {
    expect(decodeRow(['a', 'b'], [null, 'null'])).toMatchObject({
      row: new Map([
        ['a', null],
        ['b', 'null'],
      ]),
    })
  })

  test('lacks a toasted value that was not sent', () => {
    const decoded = decodeRow(['a', 'b', 'c'], ['1', undefined, '3'])
    expect(decoded).toMatchObject({
      row: new Map([
        ['a', '1'],
        ['c', '3'],
      ]),
    })
  })

  test('keeps long numbers, microseconds and any character', () => {
    const values = [
      '12345678901234567890',
      '2026-11-22 15:30:09.123456+00',
      'Zürich \u{1f98a} 日本\u2028"\\\n',
    ]
    expect(decodeRow(['n', 't', 'u'], values)).toMatchObject({
      row: new Map([
        ['n', values[0]],
        ['t', values[1]],
        ['u', values[2]],
      ]),
    })
  })

  test('comes back as it was sent, whatever its values', () => {
    const value = fc.option(anyText, { nil: null, freq: 4 })
    fc.assert(
      fc.property(fc.array(value, { maxLength: 8 }), (values) => {
        const columns = values.map((_, i) => `column ${i}`)
        expect(decodeRow(columns, values)).toEqual({
          kind: 'insert',
          origin: 'outbox',
          row: new Map(values.map((text, i) => [`column ${i}`, text])),
        })
      }),
    )
  })

  test('does not change when the buffer that it came in is used again', () => {
    const decoder = pgoutputDecoder(TABLES)
    decoder(relation(OUTBOX_OID, 'walhook', 'outbox', ['a']))
    const message = insert(OUTBOX_OID, ['kept'])
    const decoded = decoder(message)
    message.fill(0)
    expect(decoded).toMatchObject({ row: new Map([['a', 'kept']]) })
  })
})

describe('a relation', () => {
  test.each([
    ['walhook', 'subscriptions'],
    ['public', 'outbox'],
    ['Walhook', 'outbox'],
    ['walhook', 'outbox_2'],
    ['', ''],
  ])('that is not the outbox yields no rows: %s.%s', (schema, table) => {
    const message = decode(relation(9, schema, table, ['id']), insert(9, ['1']))
    expect(message).toEqual({ kind: 'other' })
  })

  test('of another table does not stand in for the outbox', () => {
    const messages = [relation(OUTBOX_OID, 'walhook', 'outbox', ['a']), relation(9, 'public', 'x', ['b'])]
    expect(decode(...messages, insert(OUTBOX_OID, ['1']))).toMatchObject({ row: new Map([['a', '1']]) })
    expect(decode(...messages, insert(9, ['1']))).toEqual({ kind: 'other' })
  })

  test('that is described again in the middle of the stream counts from then on', () => {
    const decoder = pgoutputDecoder(TABLES)
    decoder(relation(OUTBOX_OID, 'walhook', 'outbox', ['a', 'b']))
    expect(decoder(insert(OUTBOX_OID, ['1', '2']))).toMatchObject({
      row: new Map([
        ['a', '1'],
        ['b', '2'],
      ]),
    })
    decoder(relation(OUTBOX_OID, 'walhook', 'outbox', ['b', 'new', 'a']))
    expect(decoder(insert(OUTBOX_OID, ['1', '2', '3']))).toMatchObject({
      row: new Map([
        ['b', '1'],
        ['new', '2'],
        ['a', '3'],
      ]),
    })
    decoder(relation(OUTBOX_OID, 'walhook', 'outbox_old', ['a']))
    expect(decoder(insert(OUTBOX_OID, ['1']))).toEqual({ kind: 'other' })
  })

  test('that was never described is no row to guess at', () => {
    expect(() => decode(insert(OUTBOX_OID, ['1']))).toThrow('a relation that was never described')
  })

  test('belongs to its decoder: a new connection begins with none', () => {
    decodeRow(['a'], ['1'])
    expect(() => decode(insert(OUTBOX_OID, ['1']))).toThrow('a relation that was never described')
  })
})

test('a row with more columns than its relation is refused', () => {
  expect(() => decodeRow(['a'], ['1', '2'])).toThrow('more columns than its relation')
})

test.each(['b', 'x', 'N', '\0'])('a column in a format that nobody asked for is refused: %j', (format) => {
  const message = Buffer.concat([
    ascii('I'),
    int32(9),
    ascii('N'),
    int16(1),
    ascii(format),
    int32(1),
    int8(1),
  ])
  const refused = `unknown column format ${JSON.stringify(format)}`
  expect(() => decode(relation(9, 'walhook', 'outbox', ['a']), message)).toThrow(refused)
})

test('a name that does not end is refused, and not read as all that follows', () => {
  const message = Buffer.concat([ascii('R'), int32(9), ascii('walhook')])
  expect(() => decode(message)).toThrow('a name without an end')
})

test.each(['U', 'D', 'T', 'O', 'Y'])('%s is nothing that an outbox needs', (kind) => {
  expect(decode(Buffer.concat([ascii(kind), int32(OUTBOX_OID), int8(0)]))).toEqual({ kind: 'other' })
})

test('every other message is refused: what it said would be lost', () => {
  const known = new Set('BCRIUDTOYM')
  const kinds = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).filter(
    (kind) => !known.has(kind),
  )
  for (const kind of kinds) {
    const message = Buffer.concat([Buffer.from(kind, 'latin1'), int64(1n), int64(2n), int64(3n)])
    expect(() => decode(message)).toThrow(`unknown message ${JSON.stringify(kind)}`)
  }
  expect(() => decode(Buffer.alloc(0))).toThrow(RangeError)
})

test('a message that was cut off is refused, or holds all that is read of it', () => {
  const described = relation(OUTBOX_OID, 'walhook', 'outbox', ['id', 'payload', 'key'])
  const messages = [
    begin('16/B374D848'),
    commit('16/B374D848', '16/B374D878'),
    described,
    insert(OUTBOX_OID, ['1', '{"a": "é"}', null]),
    insert(OUTBOX_OID, [null, undefined, 'é']),
  ]
  for (const message of messages) {
    const whole = decode(described, message)
    for (let length = 0; length < message.length; length++) {
      const cut = message.subarray(0, length)
      expect(['refused', whole]).toContainEqual(unlessRefused(() => decode(described, cut)))
    }
  }
})

test('a row that was cut off is always refused, whatever its values', () => {
  const values = fc.array(fc.option(anyText), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (row, share) => {
      const columns = row.map((_, i) => `c${i}`)
      const message = insert(OUTBOX_OID, row)
      const cut = message.subarray(0, Math.floor(message.length * share))
      expect(() => decode(relation(OUTBOX_OID, 'walhook', 'outbox', columns), cut)).toThrow(RangeError)
    }),
  )
})

describe('a message', () => {
  const message = (flags: number, prefix: string, content: Buffer): Buffer =>
    Buffer.concat([
      ascii('M'),
      int8(flags),
      int64(parseLsn('0/7')),
      cstring(prefix),
      int32(content.length),
      content,
    ])
  const content = Buffer.from('{"größe": 1}')
  const row = (text: string | null, transactional: string): Map<string, string | null> =>
    new Map([
      ['content', text],
      ['transactional', transactional],
    ])

  test('with our prefix is a row of its transaction, or stands by itself where it has none', () => {
    expect(decode(message(1, 'walhook', content))).toEqual({
      kind: 'insert',
      origin: 'message',
      row: row('{"größe": 1}', 'true'),
    })
    expect(decode(message(0, 'walhook', content))).toEqual({
      kind: 'stray_message',
      lsn: parseLsn('0/7'),
      row: row('{"größe": 1}', 'false'),
    })
  })

  test('that wakes says which subscription, within a transaction; what cannot be one says nothing', () => {
    const id = '01a22683-92ce-72b3-a7a5-ec8addbc699d'
    expect(decode(message(1, 'walhook.wake', Buffer.from(id)))).toEqual({ kind: 'wake', subscriptionId: id })
    expect(decode(message(0, 'walhook.wake', Buffer.from(id)))).toEqual({ kind: 'other' })
    for (const bytes of [content, Buffer.of(), Buffer.of(0xff, 0x00)])
      expect(decode(message(1, 'walhook.wake', bytes))).toEqual({ kind: 'other' })
  })

  test('of others is nothing that an outbox needs', () => {
    expect(decode(message(1, 'walhook2', content))).toEqual({ kind: 'other' })
    expect(decode(message(0, '', content))).toEqual({ kind: 'other' })
  })

  test('that is not UTF-8 has no content', () => {
    expect(decode(message(1, 'walhook', Buffer.of(0x22, 0xff, 0x22)))).toMatchObject({
      row: row(null, 'true'),
    })
  })

  test('that was cut off is refused', () => {
    expect(() => decode(message(1, 'walhook', content).subarray(0, -1))).toThrow(RangeError)
  })
})

test('a row of a source says whose it is', () => {
  const source = { schema: 'public', table: 'outbox' } as SourceTable
  const decoder = pgoutputDecoder({ ...TABLES, sources: [source] })
  decoder(relation(9, 'public', 'outbox', ['id']))
  expect(decoder(insert(9, ['1']))).toEqual({ kind: 'insert', origin: source, row: new Map([['id', '1']]) })
})
