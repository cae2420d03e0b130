/** wal2json, format version 2, from messages as the plugin prints them. */
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { SourceTable } from '../../src/core/source-check.ts'
import { parseLsn } from '../../src/core/lsn.ts'
import type { DecodedMessage } from '../../src/replication/decoder.ts'
import { wal2jsonDecoder } from '../../src/replication/wal2json.ts'
import { anyText } from './any-text.ts'

const TABLES = { outbox: { schema: 'walhook', table: 'outbox' }, sources: [] }

function decode(text: string): DecodedMessage {
  return wal2jsonDecoder(TABLES)(Buffer.from(text))
}

const BEGIN = `{"action":"B","timestamp":"2026-11-22 15:30:09.123456+00","lsn":"16/B374D848","nextlsn":"16/B374D878"}`
const COMMIT = `{"action":"C","timestamp":"2026-11-22 15:30:09.123456+00","lsn":"16/B374D848","nextlsn":"16/B374D878"}`

/** `columns` is the text between the brackets. */
const insert = (columns: string, table = 'outbox', schema = 'walhook'): string =>
  `{"action":"I","lsn":"16/B374D800","schema":"${schema}","table":"${table}","columns":[${columns}]}`

test('begin tells where the commit record begins and when it was written', () => {
  expect(decode(BEGIN)).toEqual({
    kind: 'begin',
    commitLsn: parseLsn('16/B374D848'),
    committedAt: new Date('2026-11-22T15:30:09.123Z'),
  })
})

test.each([
  ['2026-11-22 15:30:09+00', '2026-11-22T15:30:09.000Z'],
  ['2026-11-22 15:30:09.1+00', '2026-11-22T15:30:09.100Z'],
  ['1999-12-31 23:59:59.999999+00', '1999-12-31T23:59:59.999Z'],
])('the time of a commit is UTC, with whatever fraction it has: %s', (timestamp, iso) => {
  expect(decode(`{"action":"B","lsn":"0/1","timestamp":"${timestamp}"}`)).toMatchObject({
    committedAt: new Date(iso),
  })
})

test('commit tells where the commit record begins and ends', () => {
  expect(decode(COMMIT)).toEqual({
    kind: 'commit',
    commitLsn: parseLsn('16/B374D848'),
    endLsn: parseLsn('16/B374D878'),
  })
})

test.each([
  ['begin without its position', '{"action":"B","timestamp":"2026-11-22 15:30:09+00"}'],
  ['commit without its position', '{"action":"C","nextlsn":"0/2"}'],
  ['commit without its end', '{"action":"C","lsn":"0/1"}'],
])('%s is refused: nothing could be confirmed by it', (_what, text) => {
  expect(() => decode(text)).toThrow('include-lsn is off')
})

test('a position that Postgres never printed is refused', () => {
  expect(() => decode('{"action":"C","lsn":"0/1","nextlsn":"1"}')).toThrow('malformed LSN: 1')
})

describe('in a process whose own time zone is another', () => {
  afterEach(() => void vi.unstubAllEnvs())

  test('the time of a commit is UTC all the same', () => {
    vi.stubEnv('TZ', 'America/New_York')
    expect(new Date('2026-11-22T15:30:09Z').getHours()).toBe(10)
    expect(decode(BEGIN)).toMatchObject({ committedAt: new Date('2026-11-22T15:30:09.123Z') })
  })
})

describe('a row', () => {
  test('is its columns as the text that Postgres printed', () => {
    const columns = [
      '{"name":"id","value":"0199c1a2-7b3d-7c4e-8f10-0123456789ab"}',
      String.raw`{"name":"payload","value":"{\"b\": 1,\n \"a\": 12345678901234567890.10}"}`,
      '{"name":"key","value":null}',
      '{"name":"tenant","value":""}',
      '{"name":"created_at","value":"2026-11-22 15:30:09.123456+00"}',
    ]
    expect(decode(insert(columns.join(',')))).toEqual({
      kind: 'insert',
      origin: 'outbox',
      row: new Map([
        ['id', '0199c1a2-7b3d-7c4e-8f10-0123456789ab'],
        ['payload', '{"b": 1,\n "a": 12345678901234567890.10}'],
        ['key', null],
        ['tenant', ''],
        ['created_at', '2026-11-22 15:30:09.123456+00'],
      ]),
    })
  })

  test.each([
    '12345678901234567890',
    '-12345678901234567890.12345678901234567890',
    '0.10',
    '1e400',
    '-0',
    'true',
    'false',
  ])('keeps a bare %s as it was printed', (bare) => {
    expect(decode(insert(`{"name":"n","value":${bare}}`))).toMatchObject({ row: new Map([['n', bare]]) })
  })

  test('lacks a column that was not sent', () => {
    expect(decode(insert('{"name":"a","value":"1"}'))).toMatchObject({ row: new Map([['a', '1']]) })
    expect(decode('{"action":"I","schema":"walhook","table":"outbox"}')).toEqual({
      kind: 'insert',
      origin: 'outbox',
      row: new Map(),
    })
  })

  test('may have a column of any name', () => {
    const columns = '{"name":"__proto__","value":"1"},{"name":"value","value":"2"},{"name":"é","value":"3"}'
    expect(decode(insert(columns))).toMatchObject({
      row: new Map([
        ['__proto__', '1'],
        ['value', '2'],
        ['é', '3'],
      ]),
    })
  })

  test('comes back as it was sent, whatever its values', () => {
    const value = fc.option(anyText, { freq: 4 })
    fc.assert(
      fc.property(fc.array(value, { maxLength: 8 }), (values) => {
        const columns = values.map((text, i) => JSON.stringify({ name: `column ${i}`, value: text }))
        expect(decode(insert(columns.join(',')))).toEqual({
          kind: 'insert',
          origin: 'outbox',
          row: new Map(values.map((text, i) => [`column ${i}`, text])),
        })
      }),
    )
  })

  test('does not change when the buffer that it came in is used again', () => {
    const message = Buffer.from(insert('{"name":"a","value":"kept"}'))
    const decoded = wal2jsonDecoder(TABLES)(message)
    message.fill(0)
    expect(decoded).toMatchObject({ row: new Map([['a', 'kept']]) })
  })

  test.each([
    ['walhook', 'subscriptions'],
    ['public', 'outbox'],
    ['walhook', 'outbox_p20261122'],
    ['Walhook', 'outbox'],
  ])('of another table is not ours: %s.%s', (schema, table) => {
    expect(decode(insert('{"name":"id","value":"1"}', table, schema))).toEqual({ kind: 'other' })
  })
})

const SOURCE = { schema: 'public', table: 'out.box' } as SourceTable

test('a row of a source says whose it is, and a number keeps its digits', () => {
  const decoder = wal2jsonDecoder({ ...TABLES, sources: [SOURCE] })
  expect(
    decoder(Buffer.from(insert('{"name":"id","value":12345678901234567890}', 'out.box', 'public'))),
  ).toEqual({ kind: 'insert', origin: SOURCE, row: new Map([['id', '12345678901234567890']]) })
  expect(decoder(Buffer.from(insert('', 'out.box', 'walhook')))).toEqual({ kind: 'other' })
})

const message = (transactional: boolean, prefix = 'walhook', content = '{\\"a\\": 1}'): string =>
  `{"action":"M","lsn":"0/7","transactional":${transactional},"prefix":"${prefix}","content":"${content}"}`

test('a message with our prefix is a row of its transaction, or stands by itself where it has none', () => {
  const row = new Map([
    ['content', '{"a": 1}'],
    ['transactional', 'true'],
  ])
  expect(decode(message(true))).toEqual({ kind: 'insert', origin: 'message', row })
  expect(decode(message(false))).toEqual({
    kind: 'stray_message',
    lsn: parseLsn('0/7'),
    row: new Map([...row, ['transactional', 'false']]),
  })
  expect(decode(message(true, 'walhook2'))).toEqual({ kind: 'other' })
  expect(decode(message(false, ''))).toEqual({ kind: 'other' })
})

test('a message that wakes says which subscription, within a transaction; what cannot be one says nothing', () => {
  const id = '01a22683-92ce-72b3-a7a5-ec8addbc699d'
  expect(decode(message(true, 'walhook.wake', id))).toEqual({ kind: 'wake', subscriptionId: id })
  expect(decode(message(false, 'walhook.wake', id))).toEqual({ kind: 'other' })
  for (const content of ['', 'what?', '{\\"a\\": 1}'])
    expect(decode(message(true, 'walhook.wake', content))).toEqual({ kind: 'other' })
})

test('a message that is not UTF-8 has no content', () => {
  const bytes = Buffer.from(message(true, 'walhook', '\u00ff'), 'latin1')
  expect(wal2jsonDecoder(TABLES)(bytes)).toMatchObject({
    row: new Map([
      ['content', null],
      ['transactional', 'true'],
    ]),
  })
})

test.each(['U', 'D', 'T', 'M'])('%s is nothing that an outbox needs', (action) => {
  expect(decode(`{"action":"${action}","schema":"walhook","table":"outbox"}`)).toEqual({ kind: 'other' })
})

test.each(['X', 'i', '', 'BEGIN'])('the action %j is refused: what it said would be lost', (action) => {
  expect(() => decode(`{"action":"${action}"}`)).toThrow(`unknown action ${JSON.stringify(action)}`)
})

test.each(['{}', '[]', '1', 'true', '"B"'])('%s is no message', (text) => {
  expect(() => decode(text)).toThrow('unknown action')
})

test('null is no message', () => {
  expect(() => decode('null')).toThrow(TypeError)
})

test('a message that was cut off is refused', () => {
  const column = fc.record({ name: fc.string(), value: fc.option(anyText) })
  const inserts = fc.array(column, { maxLength: 5 }).map((columns) => {
    return insert(columns.map((each) => JSON.stringify(each)).join(','))
  })
  fc.assert(
    fc.property(
      fc.oneof(fc.constantFrom(BEGIN, COMMIT), inserts),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (text, share) => {
        const bytes = Buffer.from(text)
        const cut = bytes.subarray(0, Math.floor(bytes.length * share))
        expect(() => wal2jsonDecoder(TABLES)(cut)).toThrow(SyntaxError)
      },
    ),
  )
})
