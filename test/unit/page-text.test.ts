/** What the page writes: numbers, durations and times as people read them, and others' text as text. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ERROR_CLASSES } from '../../src/core/attempt-outcome.ts'
import { visible } from '../../src/core/untrusted-text.ts'
import {
  duration,
  ERROR_TEXTS,
  percent,
  relative,
  shortCount,
  size,
} from '../../src/dashboard/page/format.js'
import { niceTop } from '../../src/dashboard/page/parts/chart.js'
import { visible as shown } from '../../src/dashboard/page/untrusted-text.js'

test('what others wrote is made visible as everywhere else, but for lines and tabs', () => {
  expect(shown('a\u202egnp.exe\u0000')).toBe(String.raw`a\u202egnp.exe\u0000`)
  expect(shown('{\n\t"a": 1\n}')).toBe('{\n\t"a": 1\n}')
  const text = fc.string({ unit: 'binary', maxLength: 60 }).filter((each) => !/[\n\t]/.test(each))
  fc.assert(
    fc.property(text, (each) => {
      expect(shown(each)).toBe(visible(each))
    }),
  )
})

describe('numbers', () => {
  test.each([
    [null, '–'],
    [0, '0 ms'],
    [0.4, '0.4 ms'],
    [999, '999 ms'],
    [1200, '1.2 s'],
    [59_400, '59 s'],
    [61_000, '1 min 1 s'],
    [3_600_000, '1 h'],
    [7_500_000, '2 h 5 min'],
    [190_800_000, '2 d 5 h'],
    [8_640_000_000, '100 d'],
  ])('%s ms is %s', (ms, text) => {
    expect(duration(ms)).toBe(text)
  })

  test('a share that is not quite nothing or all does not read as if it were', () => {
    expect([0, 0.0001, 0.024, 0.5, 0.9999, 1, null].map(percent)).toEqual([
      '0 %',
      '<0.1 %',
      '2.4 %',
      '50 %',
      '>99.9 %',
      '100 %',
      '–',
    ])
  })

  test('sizes and large counts are short', () => {
    expect([0, 999, 81_200, 48_300_112, 9_800_000_000].map(size)).toEqual([
      '0 B',
      '999 B',
      '81 kB',
      '48 MB',
      '9.8 GB',
    ])
    expect([9999, 12_490].map(shortCount)).toEqual(['9,999', '12.5K'])
  })

  test('a moment is told from now', () => {
    const at = (s: number): string => relative(1_000_000 + s * 1000, 1_000_000)
    expect([0, -5, -90, -7200, -200_000, 30, 640].map(at)).toEqual([
      'now',
      '5 s ago',
      '1 min ago',
      '2 h ago',
      '2 d ago',
      'in 30 s',
      'in 10 min',
    ])
  })

  test('a scale ends above everything, at a number whose half is whole', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000_000 }), (most) => {
        const top = niceTop(most)
        expect(top).toBeGreaterThanOrEqual(most)
        expect(top).toBeLessThanOrEqual(Math.max(2, most * 2))
        expect(Number.isInteger(top / 2)).toBe(true)
      }),
    )
  })
})

test('every error class has words', () => {
  expect(Object.keys(ERROR_TEXTS).sort()).toEqual(
    [...ERROR_CLASSES, 'event_missing', 'expired', 'expunged'].sort(),
  )
})
