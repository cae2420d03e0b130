/** Rows of sources and messages of the log, as events. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { memberTexts } from '../../src/core/json-members.ts'
import { isCopy, parseLoggedRow, type RowOrigin } from '../../src/core/logged-row.ts'
import type { ParsedRow } from '../../src/core/outbox-event.ts'
import type { SourceTable } from '../../src/core/source-check.ts'
import { SOURCE_PRESETS } from '../../src/core/source-table.ts'

const ID = '0199c1a2-7b3d-7c4e-8f10-0123456789ab'
const COMMITTED_AT = new Date('2026-11-22T15:30:09.125Z')

function source(overrides: Partial<SourceTable> = {}): SourceTable {
  return {
    schema: 'public',
    table: 'outbox',
    name: 'public.outbox',
    oid: '1',
    columns: {
      id: 'id',
      type: ['area', 'kind'],
      payload: 'body',
      key: 'k',
      tenant: 't',
      headers: 'h',
      timestamp: 'at',
    },
    isPartitioned: false,
    idIsUuid: true,
    payloadIsBytes: false,
    timestampLacksZone: false,
    ...overrides,
  }
}

const ROW = {
  id: ID,
  area: 'order',
  kind: 'created',
  body: '{"n": 1.10}',
  k: 'key',
  t: 'tenant',
  h: '{"a": 1.0}',
  at: '2026-11-22 15:30:09.5+00',
}

function parse(
  origin: RowOrigin,
  raw: Readonly<Record<string, string | null>>,
  at: Date | undefined = COMMITTED_AT,
): ParsedRow {
  return parseLoggedRow({ origin, raw: new Map(Object.entries(raw)) }, at)
}

function reason(parsed: ParsedRow): string {
  return parsed.kind === 'malformed' ? parsed.reason : 'an event'
}

test('each column goes where the mapping says, and texts stay what they are', () => {
  expect(parse(source(), ROW)).toEqual({
    kind: 'event',
    event: {
      id: ID,
      type: 'order.created',
      key: 'key',
      tenant: 'tenant',
      payload: '{"n": 1.10}',
      headers: { a: 1 },
      timestamp: '2026-11-22T15:30:09.500000Z',
    },
    captured: { from: 'public.outbox', headers: '{"a": 1.0}' },
  })
})

test('what a source does not have is nothing, and its time is that of the commit', () => {
  const { id, area, kind, body } = ROW
  const columns = { id: 'id', type: ['area', 'kind'], payload: 'body' }
  expect(parse(source({ columns }), { id, area, kind, body })).toMatchObject({
    event: { key: null, tenant: null, headers: {}, timestamp: '2026-11-22T15:30:09.125000Z' },
  })
})

test('an empty key, an empty tenant and null headers are none', () => {
  expect(parse(source(), { ...ROW, k: '', t: '', h: null })).toMatchObject({
    event: { key: null, tenant: null, headers: {} },
  })
})

test('a timestamp without a zone is taken for UTC', () => {
  expect(parse(source({ timestampLacksZone: true }), { ...ROW, at: '2026-11-22 15:30:09' })).toMatchObject({
    event: { timestamp: '2026-11-22T15:30:09.000000Z' },
  })
})

test.each(['\\x7b7d', '7b7d'])('bytes are read as UTF-8, as either plugin prints them: %s', (body) => {
  expect(parse(source({ payloadIsBytes: true }), { ...ROW, body })).toMatchObject({
    event: { payload: '{}' },
  })
})

describe('an id that is no UUID', () => {
  const numbered = source({ idIsUuid: false })
  const idOf = (each: SourceTable, id: string): string => {
    const parsed = parse(each, { ...ROW, id })
    return parsed.kind === 'event' ? parsed.event.id : parsed.reason
  }

  test('becomes the one that uuid_generate_v5 makes of table and id, always the same', () => {
    expect(idOf(numbered, '17')).toBe('8c2f6b5a-263a-5ba1-904b-da7b5a234147')
    expect(idOf(numbered, '17')).toBe(idOf(numbered, '17'))
    expect(idOf(numbered, '18')).not.toBe(idOf(numbered, '17'))
    expect(idOf({ ...numbered, name: 'public.other' }, '17')).not.toBe(idOf(numbered, '17'))
  })

  test.each([
    [null, '{"source_id": "17"}', { source_id: '17' }],
    ['{}', '{"source_id": "17"}', { source_id: '17' }],
    [' { } ', '{"source_id": "17"}', { source_id: '17' }],
    ['{"a": 1.0}', '{"source_id": "17", "a": 1.0}', { source_id: '17', a: 1 }],
    ['{"source_id": "mine"}', '{"source_id": "17", "source_id": "mine"}', { source_id: 'mine' }],
  ])('stands in the headers %j', (h, text, headers) => {
    expect(parse(numbered, { ...ROW, id: '17', h })).toMatchObject({
      event: { headers },
      captured: { headers: text },
    })
  })
})

test.each([
  [{ id: null }, 'id is missing'],
  [{ id: 'x' }, 'id is not a uuid'],
  [{ kind: null }, 'type is missing'],
  [{ kind: 'a b' }, 'type is not a dotted name like order.created'],
  [{ kind: '' }, 'type is not a dotted name like order.created'],
  [{ kind: 'x'.repeat(250) }, 'type is longer than 255 characters'],
  [{ body: null }, 'payload is missing'],
  [{ body: '{"a"' }, 'payload is not JSON'],
  [{ body: JSON.stringify('x'.repeat(1_048_575)) }, 'payload is larger than 1 MiB'],
  [{ h: '[]' }, 'headers is not a JSON object'],
  [{ h: JSON.stringify({ a: 'x'.repeat(16_384) }) }, 'headers is larger than 16 KiB'],
  [{ k: 'x'.repeat(1_001) }, 'key is longer than 1000 characters'],
  [{ t: 'x'.repeat(256) }, 'tenant is longer than 255 characters'],
  [{ at: 'infinity' }, 'created_at is not a point in time'],
  [{ at: null }, 'created_at is not a point in time'],
])('a row with %o is malformed', (change, why) => {
  expect(reason(parse(source(), { ...ROW, ...change }))).toBe(`public.outbox: ${why}`)
})

test('characters are counted as Postgres counts them', () => {
  expect(reason(parse(source(), { ...ROW, t: '🦀'.repeat(255) }))).toBe('an event')
})

test('a row without a column that is mapped is malformed, and no other event', () => {
  const { body: _, ...rest } = ROW
  expect(reason(parse(source(), rest))).toBe('public.outbox: payload is missing')
  expect(reason(parse(source({ columns: SOURCE_PRESETS['nestarc'] ?? source().columns }), ROW))).toBe(
    'public.outbox: type is missing',
  )
})

test('only our own row is a copy, and only where it is marked', () => {
  const marked = new Map([['captured_from', 'public.outbox']])
  expect(isCopy({ origin: 'outbox', raw: marked })).toBe(true)
  expect(isCopy({ origin: 'outbox', raw: new Map([['captured_from', null]]) })).toBe(false)
  expect(isCopy({ origin: 'outbox', raw: new Map() })).toBe(false)
  expect(isCopy({ origin: source(), raw: marked })).toBe(false)
})

describe('a message', () => {
  const message = (content: string | null, at: Date | undefined = COMMITTED_AT): ParsedRow =>
    parse('message', { content }, at)

  test('is an event whose payload and headers are the bytes that were written', () => {
    const content = `{"payload": {"n": [1.10, "}\\"]"]} , "id":"${ID}", "type":"a.b", "key":null, "headers":{"x": 1.0}}`
    expect(message(content)).toEqual({
      kind: 'event',
      event: {
        id: ID,
        type: 'a.b',
        key: null,
        tenant: null,
        payload: '{"n": [1.10, "}\\"]"]}',
        headers: { x: 1 },
        timestamp: '2026-11-22T15:30:09.125000Z',
      },
      captured: { from: 'message', headers: '{"x": 1.0}' },
    })
  })

  test('may carry null for a payload', () => {
    expect(message(`{"id": "${ID}", "type": "a", "payload": null}`)).toMatchObject({
      event: { payload: 'null' },
    })
  })

  test.each([
    [null, 'it is not UTF-8'],
    ['', 'it is not JSON'],
    ['[]', 'it is not a JSON object'],
    ['{}', 'id is not a uuid'],
    [`{"id": "${ID}", "type": "a"}`, 'payload is missing'],
    [`{"id": "${ID}", "type": "a", "payload": 1, "tenent": "x"}`, 'it has an unknown member "tenent"'],
    [`{"id": "${ID}", "type": "a", "payload": 1, "tenant": 7}`, 'tenant is not a text'],
    [`{"id": "${ID}", "type": "a", "payload": 1, "headers": 7}`, 'headers is not a JSON object'],
  ])('%s is malformed', (content, why) => {
    expect(reason(message(content))).toBe(`message: ${why}`)
  })

  test('of no transaction is refused, whatever it says', () => {
    const parsed = parseLoggedRow(
      { origin: 'message', raw: new Map([['content', `{"id": "${ID}", "type": "a", "payload": 1}`]]) },
      undefined,
    )
    expect(reason(parsed)).toContain('it is not transactional')
  })
})

describe('the members of a JSON object as texts', () => {
  test('are what parsing each by itself makes of the whole, for any object in any spelling', () => {
    const spellings = [undefined, 1, '\t', ' \n ']
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.constantFrom(...spellings),
        (value, space) => {
          const text = JSON.stringify(value, null, space)
          const members = memberTexts(text) ?? new Map<string, string>()
          const parsed = [...members].map(([name, each]) => [name, JSON.parse(each) as unknown])
          expect(parsed).toEqual(Object.entries(JSON.parse(text) as object))
        },
      ),
    )
  })

  test('keep every digit and blank; the last of one name counts', () => {
    expect([...(memberTexts(' {"a" : 1.10 ,"b":[ 1,{"a":2}], "\\u0061":"\\\\"} ') ?? [])]).toEqual([
      ['a', '"\\\\"'],
      ['b', '[ 1,{"a":2}]'],
    ])
  })

  test.each(['[]', '1', '"{}"', 'null'])('%s has none', (text) => {
    expect(memberTexts(text)).toBeUndefined()
  })
})
