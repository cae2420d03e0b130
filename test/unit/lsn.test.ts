/** LSNs as numbers: what text would order wrongly, and the spelling that Postgres takes back. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatLsn, laterLsn, type Lsn, parseLsn, ZERO_LSN } from '../../src/core/lsn.ts'

const anyLsn = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }).map((value) => value as Lsn)

test.each([
  ['0/0', 0n],
  ['0/1', 1n],
  ['0/FF', 255n],
  ['0/ff', 255n],
  ['1/0', 0x1_0000_0000n],
  ['16/B374D848', 0x16_b374_d848n],
  ['00000016/0000000A', 0x16_0000_000an],
  ['FFFFFFFF/FFFFFFFF', 0xffff_ffff_ffff_ffffn],
])('%s is read as a 64-bit number', (text, value) => {
  expect(parseLsn(text)).toBe(value)
})

test('the order of positions is that of numbers, not that of their text', () => {
  expect(parseLsn('0/FF') < parseLsn('1/0')).toBe(true)
  expect(parseLsn('9/0') < parseLsn('10/0')).toBe(true)
  expect(parseLsn('0/FFFFFFFF') + 1n).toBe(parseLsn('1/0'))
})

test.each([
  '',
  '/',
  '0',
  '0/',
  '/0',
  '0/0/0',
  ' 0/0',
  '0/0\n',
  '0/G',
  '-1/0',
  '0x1/0',
  '123456789/0',
  '0/123456789',
  '16-B374D848',
])('%j is no LSN, and says so', (text) => {
  expect(() => parseLsn(text)).toThrow(new TypeError(`malformed LSN: ${text}`))
})

describe('formatLsn', () => {
  test('writes unpadded upper-case halves, as pg_lsn does', () => {
    expect(formatLsn(ZERO_LSN)).toBe('0/0')
    expect(formatLsn(0x16_0000_000an as Lsn)).toBe('16/A')
    expect(formatLsn(0xffff_ffff_ffff_ffffn as Lsn)).toBe('FFFFFFFF/FFFFFFFF')
  })

  test('is undone by parseLsn, for every position', () => {
    fc.assert(fc.property(anyLsn, (lsn) => parseLsn(formatLsn(lsn)) === lsn))
  })
})

test('the later of two positions is the larger one, whichever comes first', () => {
  fc.assert(
    fc.property(anyLsn, anyLsn, (a, b) => {
      const later = laterLsn(a, b)
      return later >= a && later >= b && (later === a || later === b) && later === laterLsn(b, a)
    }),
  )
})
