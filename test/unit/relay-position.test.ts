/** Which rows that are read again were recorded already. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Lsn } from '../../src/core/lsn.ts'
import { recordedRows } from '../../src/core/relay-position.ts'

const lsn = (value: number): Lsn => BigInt(value) as Lsn
const piece = (commitLsn: number, firstRow: number, rowCount: number) => ({
  commitLsn: lsn(commitLsn),
  firstRow,
  rowCount,
})

test.each([
  ['an earlier transaction', { at: 100, row: 0 }, piece(99, 0, 5), 5],
  ['a later transaction', { at: 100, row: 3 }, piece(101, 0, 5), 0],
  ['one whose commit record begins where the last one ended', { at: 100, row: 0 }, piece(100, 0, 5), 0],
  ['the beginning of the transaction that was recorded in part', { at: 100, row: 3 }, piece(100, 0, 5), 3],
  ['a piece of it before that', { at: 100, row: 8 }, piece(100, 0, 5), 5],
  ['a piece of it after that', { at: 100, row: 3 }, piece(100, 5, 5), 0],
  ['a piece that it cuts through', { at: 100, row: 7 }, piece(100, 5, 5), 2],
  ['a piece without rows', { at: 100, row: 7 }, piece(100, 5, 0), 0],
])('of %s', (_what, { at, row }, read, recorded) => {
  expect(recordedRows({ lsn: lsn(at), row }, read)).toBe(recorded)
})

test('a row is recorded exactly if it stands before the position, in the order of commit and row', () => {
  const small = fc.nat(6)
  fc.assert(
    fc.property(small, small, small, small, small, (at, row, commit, firstRow, rowCount) => {
      const rows = Array.from({ length: rowCount }, (_, i) => firstRow + i)
      const before = rows.filter((r) => commit < at || (commit === at && r < row))
      return recordedRows({ lsn: lsn(at), row }, piece(commit, firstRow, rowCount)) === before.length
    }),
    { numRuns: 1_000 },
  )
})
