/** What of the stream is new, how far recording it brings the position, and what may be confirmed then. */
import { describe, expect, test } from 'vitest'
import type { IdlePosition, TransactionPiece } from '../../src/core/committed-transaction.ts'
import type { Lsn } from '../../src/core/lsn.ts'
import type { LoggedRow } from '../../src/core/logged-row.ts'
import type { RelayPosition } from '../../src/core/relay-position.ts'
import { portions, toBatch } from '../../src/relay/relay-batch.ts'

const lsn = (value: number): Lsn => BigInt(value) as Lsn
const at = (value: number, row = 0): RelayPosition => ({ lsn: lsn(value), row })
const START = at(0)
const AT = new Date('2026-11-22T15:30:09Z')
const LATER = new Date('2026-11-22T15:30:10Z')

function row(name: string, copiedFrom: string | null = null): LoggedRow {
  const raw = new Map([
    ['id', '0199c1a2-7b3d-7c4e-8f10-0123456789ab'],
    ['type', 'order.created'],
    ['key', name],
    ['payload', '{}'],
    ['created_at', '2026-11-22 15:30:09+00'],
    ['captured_from', copiedFrom],
  ])
  return { origin: 'outbox', raw }
}

/** `endLsn` is undefined on every piece but the last. */
function piece(
  commitLsn: number,
  endLsn: number | undefined,
  names: readonly string[],
  firstRow = 0,
  committedAt = AT,
): TransactionPiece {
  return {
    kind: 'piece',
    commitLsn: lsn(commitLsn),
    committedAt,
    firstRow,
    rows: names.map((name) => row(name)),
    endLsn: endLsn === undefined ? undefined : lsn(endLsn),
  }
}

const idle = (value: number): IdlePosition => ({ kind: 'idle', lsn: lsn(value), urgent: false })

/** A batch as its rows' keys, with their place in their transaction. */
function summary(...input: Parameters<typeof toBatch>) {
  const { rows, position, confirmable, committedAt } = toBatch(...input)
  return {
    rows: rows.map((each) => `${each.commitLsn}/${each.row} ${each.raw.get('key')}`),
    position,
    confirmable,
    committedAt,
  }
}

test('the rows of several transactions come in order, and the last commit ends the batch', () => {
  const items = [piece(100, 148, ['a', 'b']), piece(200, 248, ['c'], 0, LATER)]
  expect(summary(items, START)).toEqual({
    rows: ['100/0 a', '100/1 b', '200/0 c'],
    position: at(248),
    confirmable: lsn(248),
    committedAt: LATER,
  })
})

test('a row is an event, or malformed with its text kept', () => {
  const broken = new Map([['id', 'x']])
  const { rows } = toBatch(
    [{ ...piece(100, 148, ['a']), rows: [row('a'), { origin: 'outbox', raw: broken }] }],
    START,
  )
  expect(rows).toMatchObject([
    { row: 0, parsed: { kind: 'event', event: { key: 'a' } } },
    { row: 1, raw: broken, parsed: { kind: 'malformed', reason: 'id is not a uuid' } },
  ])
})

test('nothing for the outbox moves the position and may be confirmed', () => {
  expect(summary([idle(500)], START)).toEqual({
    rows: [],
    position: at(500),
    confirmable: lsn(500),
    committedAt: undefined,
  })
})

test('no items, nothing new', () => {
  expect(summary([], at(7, 3))).toEqual({
    rows: [],
    position: at(7, 3),
    confirmable: undefined,
    committedAt: undefined,
  })
})

describe('a transaction in pieces', () => {
  test('leaves the position within it, and nothing to confirm, until its end has come', () => {
    expect(summary([piece(100, undefined, ['a', 'b'])], START)).toEqual({
      rows: ['100/0 a', '100/1 b'],
      position: at(100, 2),
      confirmable: undefined,
      committedAt: AT,
    })
    expect(summary([piece(100, undefined, ['c', 'd'], 2)], at(100, 2))).toMatchObject({
      rows: ['100/2 c', '100/3 d'],
      position: at(100, 4),
      confirmable: undefined,
    })
    expect(summary([piece(100, 148, ['e'], 4)], at(100, 4))).toMatchObject({
      rows: ['100/4 e'],
      position: at(148),
      confirmable: lsn(148),
    })
  })

  test('confirms what ended before it', () => {
    expect(summary([piece(50, 98, ['x']), piece(100, undefined, ['a'])], START)).toMatchObject({
      position: at(100, 1),
      confirmable: lsn(98),
    })
  })

  test('may end with a piece that has no rows', () => {
    expect(summary([piece(100, 148, [], 2)], at(100, 2))).toMatchObject({
      rows: [],
      position: at(148),
      confirmable: lsn(148),
    })
  })

  test('goes on in the middle of a piece, where its pieces are cut elsewhere the next time', () => {
    expect(summary([piece(100, 148, ['a', 'b', 'c', 'd'])], at(100, 3))).toMatchObject({
      rows: ['100/3 d'],
      position: at(148),
    })
  })
})

describe('what is read again', () => {
  test('is passed over where it was recorded, and may be confirmed all the same', () => {
    expect(summary([piece(100, 148, ['a']), piece(200, 248, ['b'])], at(148))).toEqual({
      rows: ['200/0 b'],
      position: at(248),
      confirmable: lsn(248),
      committedAt: AT,
    })
  })

  test('never takes the position back', () => {
    expect(summary([piece(100, 148, ['a']), idle(150)], at(1_000, 4))).toMatchObject({
      rows: [],
      position: at(1_000, 4),
      confirmable: lsn(150),
    })
    expect(summary([piece(100, undefined, ['a'])], at(100, 4))).toMatchObject({
      rows: [],
      position: at(100, 4),
      confirmable: undefined,
    })
  })

  test('is told from a commit record that touches the one before', () => {
    expect(summary([piece(100, 148, ['a']), piece(148, 196, ['b'])], at(148))).toMatchObject({
      rows: ['148/0 b'],
      position: at(196),
    })
    expect(summary([idle(148), piece(148, 196, ['b'])], START)).toMatchObject({ rows: ['148/0 b'] })
  })

  test('twice in one batch is new once', () => {
    expect(summary([piece(100, 148, ['a', 'b']), piece(100, 148, ['a', 'b'])], START)).toMatchObject({
      rows: ['100/0 a', '100/1 b'],
      position: at(148),
    })
  })
})

test('a copy that comes back is passed over, and its neighbours keep their numbers', () => {
  const copied = {
    ...piece(100, 148, ['a']),
    rows: [row('a', 'public.outbox'), row('b'), row('c', 'message')],
  }
  expect(summary([copied], START)).toEqual({
    rows: ['100/1 b'],
    position: at(148),
    confirmable: lsn(148),
    committedAt: AT,
  })
})

test('a message of no transaction moves the position to its end, confirms nothing, and is known when it comes again', () => {
  const stray: TransactionPiece = {
    ...piece(100, undefined, []),
    committedAt: undefined,
    firstRow: -1,
    rows: [{ origin: 'message', raw: new Map([['key', 'x']]) }],
  }
  const expected = { rows: ['100/-1 x'], position: at(100), confirmable: undefined, committedAt: undefined }
  expect(summary([stray], START)).toEqual(expected)
  expect(summary([stray, piece(100, 148, ['a'])], at(100))).toMatchObject({ rows: ['100/0 a'] })
})

describe('portions', () => {
  const items = [
    piece(10, 20, ['a']),
    { kind: 'idle', lsn: lsn(25), urgent: false } as const,
    piece(30, 40, ['b', 'c', 'd']),
    piece(50, 60, ['e']),
    { kind: 'idle', lsn: lsn(65), urgent: false } as const,
  ]
  test.each([
    [1, [1, 2, 1, 1]],
    [2, [3, 2]],
    [100, [5]],
    [Infinity, [5]],
  ])('of %d rows leave no item out and cut none', (rows, sizes) => {
    const all = [...portions(items, () => rows)]
    expect(all.map(({ length }) => length)).toEqual(sizes)
    expect(all.flat()).toEqual(items)
  })
})
