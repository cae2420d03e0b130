/** Rows of the log that are events, rows that cannot be, and the payload's bytes in between. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseOutboxRow, rfc3339 } from '../../src/core/outbox-event.ts'
import { anyCharacter, anyText } from './any-text.ts'

const COLUMNS = {
  id: '0199c1a2-7b3d-7c4e-8f10-0123456789ab',
  type: 'order.created',
  key: 'order-1',
  tenant: 'acme',
  payload: '{"amount": 100}',
  headers: '{"traceparent": "00-1-2-01"}',
  created_at: '2026-11-22 15:30:09.1234+00',
}

/** A row with some columns other than `COLUMNS`; undefined leaves one out. */
function row(changes: Readonly<Record<string, string | null | undefined>> = {}): Map<string, string | null> {
  const columns = new Map<string, string | null>()
  for (const [name, value] of Object.entries({ ...COLUMNS, ...changes })) {
    if (value !== undefined) columns.set(name, value)
  }
  return columns
}

test('a row of the outbox is an event', () => {
  expect(parseOutboxRow(row())).toEqual({
    kind: 'event',
    event: {
      id: COLUMNS.id,
      type: 'order.created',
      key: 'order-1',
      tenant: 'acme',
      payload: '{"amount": 100}',
      headers: { traceparent: '00-1-2-01' },
      timestamp: '2026-11-22T15:30:09.123400Z',
    },
  })
})

test.each([
  ['null', { key: null, tenant: null, headers: null }],
  ['absent', { key: undefined, tenant: undefined, headers: undefined }],
])('key, tenant and headers may be %s', (_what, changes) => {
  expect(parseOutboxRow(row(changes))).toMatchObject({
    kind: 'event',
    event: { key: null, tenant: null, headers: {} },
  })
})

test('an empty key is a key, and columns that Walhook does not know do not matter', () => {
  expect(parseOutboxRow(row({ key: '', tenant: '', extra: 'x' }))).toMatchObject({
    kind: 'event',
    event: { key: '', tenant: '' },
  })
})

test.each(['a', 'A-1_b', 'order.created', 'a.b.c.d', '0.1'])('%s is an event type', (type) => {
  expect(parseOutboxRow(row({ type }))).toMatchObject({ kind: 'event', event: { type } })
})

describe('a row is malformed', () => {
  const reasons = [
    [
      'id',
      'id is not a uuid',
      ['', '1', COLUMNS.id.toUpperCase(), `{${COLUMNS.id}}`, `${COLUMNS.id}\n`, 'x"y'],
    ],
    [
      'type',
      'type is not a dotted name like order.created',
      ['', '.', 'a.', '.a', 'a..b', 'a b', 'order.*', '*', 'é', 'a"b', 'a\n', 'a\\b'],
    ],
    [
      'payload',
      'payload is not JSON',
      ['', ' ', '{', '{} {}', "{'a': 1}", 'undefined', 'NaN', '01', '{"a": 1,}'],
    ],
    ['headers', 'headers is not a JSON object', ['', '[]', '1', '"x"', 'null', '{', 'true']],
    [
      'created_at',
      'created_at is not a point in time',
      ['', 'infinity', '-infinity', 'now', '2026-11-22', '2026-11-22T15:30:09Z', '2026-11-22 15:30:09+02'],
    ],
  ] as const
  const cases = reasons.flatMap(([column, reason, values]) =>
    values.map((value) => ({ column, reason, value })),
  )

  test.each(cases)('with $value as its $column', ({ column, reason, value }) => {
    expect(parseOutboxRow(row({ [column]: value }))).toEqual({ kind: 'malformed', reason })
  })

  test.each([
    ['id', 'id is not a uuid'],
    ['type', 'type is not a dotted name like order.created'],
    ['payload', 'payload is missing'],
    ['created_at', 'created_at is not a point in time'],
  ])('without %s', (column, reason) => {
    expect(parseOutboxRow(row({ [column]: null }))).toEqual({ kind: 'malformed', reason })
    expect(parseOutboxRow(row({ [column]: undefined }))).toEqual({ kind: 'malformed', reason })
  })

  test('where nothing of an event is in it', () => {
    expect(parseOutboxRow(new Map())).toMatchObject({ kind: 'malformed' })
  })

  test('and never an exception, whatever its columns hold', () => {
    const text = fc.option(anyText, { freq: 4 })
    const columns = fc.record({ id: text, type: text, payload: text, headers: text, created_at: text })
    fc.assert(
      fc.property(columns, (changes) => {
        expect(parseOutboxRow(row(changes)).kind).toBe('malformed')
      }),
    )
  })
})

describe('the payload', () => {
  const blanks = fc.stringMatching(/^[ \t\r\n]{0,3}$/)
  /** JSON as fast-check prints it, with white space wherever JSON allows some. */
  const spacedJson = fc
    .tuple(
      fc.json({ stringUnit: anyCharacter, maxDepth: 3 }),
      fc.array(blanks, { minLength: 1, maxLength: 7 }),
    )
    .map(([json, spaces]) => {
      const tokens = json.match(/"(?:\\.|[^"\\])*"|[{}[\],:]|[^{}[\],:"\s]+/gu) ?? []
      return tokens.map((token, i) => `${spaces[i % spaces.length]}${token}`).join('') + spaces[0]
    })

  test('is kept byte for byte, whatever JSON it is and however it is spaced', () => {
    fc.assert(
      fc.property(spacedJson, (payload) => {
        const parsed = parseOutboxRow(row({ payload }))
        return parsed.kind === 'event' && parsed.event.payload === payload
      }),
      { numRuns: 300 },
    )
  })

  test.each([
    '12345678901234567890.12345678901234567890',
    '1e400',
    '-0',
    '{"a":1,"a":2}',
    '{"__proto__":1}',
    '"\\u0000\\ud800\u2028\u{1f98a}"',
    '['.repeat(10_000) + ']'.repeat(10_000),
  ])('keeps what parsing would lose: %.60s', (payload) => {
    expect(parseOutboxRow(row({ payload }))).toMatchObject({ kind: 'event', event: { payload } })
  })
})

describe('rfc3339', () => {
  test.each([
    ['2026-11-22 15:30:09+00', '2026-11-22T15:30:09.000000Z'],
    ['2026-11-22 15:30:09.1+00', '2026-11-22T15:30:09.100000Z'],
    ['2026-11-22 15:30:09.1234+00', '2026-11-22T15:30:09.123400Z'],
    ['2026-11-22 15:30:09.123456+00', '2026-11-22T15:30:09.123456Z'],
    ['2026-11-22 15:30:09.000001+00', '2026-11-22T15:30:09.000001Z'],
    ['0001-01-01 00:00:00+00', '0001-01-01T00:00:00.000000Z'],
    ['9999-12-31 23:59:59.999999+00', '9999-12-31T23:59:59.999999Z'],
  ])('%s', (text, expected) => {
    expect(rfc3339(text)).toBe(expected)
  })

  test.each([
    'infinity',
    '-infinity',
    '0044-03-15 12:00:00+00 BC',
    '10000-01-01 00:00:00+00',
    '2026-11-22 15:30:09',
    '2026-11-22 15:30:09+02',
    '2026-11-22 15:30:09-00',
    '2026-11-22 15:30:09+00:30',
    '2026-11-22 15:30:09.1234567+00',
    '2026-11-22 15:30:09.+00',
    'Sun Nov 22 15:30:09 2026 UTC',
    '2026-11-22 15:30:09+00\n',
  ])('has no spelling for %j', (text) => {
    expect(rfc3339(text)).toBeUndefined()
  })

  test('names the same microsecond, whatever zeros Postgres leaves out', () => {
    const moments = fc.record({
      at: fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
      micros: fc.nat(999_999),
    })
    fc.assert(
      fc.property(moments, ({ at, micros }) => {
        const seconds = at.toISOString().slice(0, 19)
        const fraction = String(micros).padStart(6, '0')
        const short = fraction.replace(/0+$/, '')
        const printed = `${seconds.replace('T', ' ')}${short === '' ? '' : `.${short}`}+00`
        return rfc3339(printed) === `${seconds}.${fraction}Z`
      }),
    )
  })
})
