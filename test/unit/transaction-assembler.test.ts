/** From decoded messages to pieces of committed transactions. */
import { describe, expect, test } from 'vitest'
import type { StreamItem } from '../../src/core/committed-transaction.ts'
import type { Lsn } from '../../src/core/lsn.ts'
import type { LoggedRow } from '../../src/core/logged-row.ts'
import type { DecodedMessage } from '../../src/replication/decoder.ts'
import { PIECE_BYTES, PIECE_ROWS, TransactionAssembler } from '../../src/replication/transaction-assembler.ts'

const AT = new Date('2026-11-22T15:30:09Z')
const lsn = (value: number): Lsn => BigInt(value) as Lsn
const row = (name: string): LoggedRow => ({ origin: 'outbox', raw: new Map([['id', name]]) })
const rows = (count: number): LoggedRow[] => Array.from({ length: count }, (_, i) => row(String(i)))

const begin = (commitLsn: number): DecodedMessage => ({
  kind: 'begin',
  commitLsn: lsn(commitLsn),
  committedAt: AT,
})
const insert = (each: LoggedRow): DecodedMessage => ({ kind: 'insert', origin: 'outbox', row: each.raw })
const commit = (commitLsn: number, endLsn: number): DecodedMessage => ({
  kind: 'commit',
  commitLsn: lsn(commitLsn),
  endLsn: lsn(endLsn),
})

function assemble(messages: readonly DecodedMessage[], bytes = 100): StreamItem[] {
  const assembler = new TransactionAssembler()
  return messages.flatMap((message) => assembler.add(message, bytes) ?? [])
}

test('a transaction comes whole, and not before its commit', () => {
  const assembler = new TransactionAssembler()
  expect(assembler.add(begin(100), 21)).toBeUndefined()
  expect(assembler.add(insert(row('a')), 50)).toBeUndefined()
  expect(assembler.add({ kind: 'other' }, 9)).toBeUndefined()
  expect(assembler.add(insert(row('b')), 50)).toBeUndefined()
  expect(assembler.add(commit(100, 148), 26)).toEqual({
    kind: 'piece',
    commitLsn: lsn(100),
    committedAt: AT,
    firstRow: 0,
    rows: [row('a'), row('b')],
    endLsn: lsn(148),
  })
})

test('a transaction without rows for the outbox only says how far the log has been read', () => {
  const idle = { kind: 'idle', lsn: lsn(148), urgent: false }
  expect(assemble([begin(100), commit(100, 148)])).toEqual([idle])
  expect(assemble([begin(100), { kind: 'other' }, commit(100, 148)])).toEqual([idle])
})

test('what only wakes is no row: it moves no other’s number', () => {
  const wake: DecodedMessage = { kind: 'wake', subscriptionId: 'a' }
  const [piece] = assemble([
    begin(100),
    wake,
    insert(row('a')),
    wake,
    insert(row('b')),
    wake,
    commit(100, 148),
  ])
  expect(piece).toMatchObject({ firstRow: 0, rows: [row('a'), row('b')] })
  expect(assemble([begin(100), wake, commit(100, 148)])).toEqual([
    { kind: 'idle', lsn: lsn(148), urgent: false },
  ])
})

test('nothing of one transaction is left for the next', () => {
  const [first, second] = assemble([
    begin(100),
    insert(row('a')),
    commit(100, 148),
    begin(148),
    insert(row('b')),
    commit(148, 196),
  ])
  expect(first).toMatchObject({ commitLsn: lsn(100), firstRow: 0, rows: [row('a')], endLsn: lsn(148) })
  expect(second).toMatchObject({ commitLsn: lsn(148), firstRow: 0, rows: [row('b')], endLsn: lsn(196) })
})

test('it is in a transaction from its begin to its commit, however it is cut', () => {
  const assembler = new TransactionAssembler()
  expect(assembler.isInTransaction).toBe(false)
  assembler.add(begin(100), 21)
  for (const each of rows(PIECE_ROWS)) {
    expect(assembler.isInTransaction).toBe(true)
    assembler.add(insert(each), 50)
  }
  expect(assembler.isInTransaction).toBe(true)
  assembler.add(commit(100, 148), 26)
  expect(assembler.isInTransaction).toBe(false)
})

describe('a large transaction comes in pieces', () => {
  /** First row, number of rows, and whether it is the last piece. */
  const shape = (items: readonly StreamItem[]): unknown[] =>
    items.map((item) =>
      item.kind === 'piece' ? [item.firstRow, item.rows.length, item.endLsn !== undefined] : item,
    )
  const transaction = (count: number): DecodedMessage[] => [
    begin(100),
    ...rows(count).map(insert),
    commit(100, 148),
  ]

  test.each([
    [PIECE_ROWS - 1, [[0, PIECE_ROWS - 1, true]]],
    [
      PIECE_ROWS,
      [
        [0, PIECE_ROWS, false],
        [PIECE_ROWS, 0, true],
      ],
    ],
    [
      PIECE_ROWS + 1,
      [
        [0, PIECE_ROWS, false],
        [PIECE_ROWS, 1, true],
      ],
    ],
    [
      2 * PIECE_ROWS + 5,
      [
        [0, PIECE_ROWS, false],
        [PIECE_ROWS, PIECE_ROWS, false],
        [2 * PIECE_ROWS, 5, true],
      ],
    ],
  ])('of %d rows', (count, pieces) => {
    expect(shape(assemble(transaction(count)))).toEqual(pieces)
  })

  test('by its bytes, where rows are large', () => {
    const shapes = shape(assemble(transaction(5), PIECE_BYTES / 2))
    expect(shapes).toEqual([
      [0, 2, false],
      [2, 2, false],
      [4, 1, true],
    ])
  })

  test('each with the commit that it belongs to', () => {
    const items = assemble(transaction(3), PIECE_BYTES)
    expect(items).toHaveLength(4)
    for (const item of items)
      expect(item).toMatchObject({ kind: 'piece', commitLsn: lsn(100), committedAt: AT })
  })
})

test.each([
  ['a row', insert(row('a'))],
  ['a commit', commit(100, 148)],
])('%s outside of a transaction is refused', (_what, message) => {
  expect(() => assemble([message])).toThrow(new RangeError('a change outside of a transaction'))
  expect(() => assemble([begin(1), commit(1, 2), message])).toThrow('a change outside of a transaction')
})

test('a message of no transaction comes by itself, as no row of the transaction that may commit just there', () => {
  const raw = new Map([['content', '{}']])
  expect(
    assemble([
      { kind: 'stray_message', lsn: lsn(100), row: raw },
      begin(100),
      insert(row('a')),
      commit(100, 148),
    ]),
  ).toEqual([
    {
      kind: 'piece',
      commitLsn: lsn(100),
      committedAt: undefined,
      firstRow: -1,
      rows: [{ origin: 'message', raw }],
      endLsn: undefined,
    },
    { kind: 'piece', commitLsn: lsn(100), committedAt: AT, firstRow: 0, rows: [row('a')], endLsn: lsn(148) },
  ])
})
