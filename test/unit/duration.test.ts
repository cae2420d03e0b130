/** Durations, as people write them and read them again. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatDuration, parseDuration } from '../../src/core/duration.ts'

test.each([
  ['0ms', 0],
  ['500ms', 500],
  ['5s', 5_000],
  ['10m', 600_000],
  ['2h', 7_200_000],
  ['5d', 432_000_000],
  ['007s', 7_000],
  ['999999999d', 999_999_999 * 86_400_000],
])('%s is %d milliseconds', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test.each([
  '',
  '5',
  's',
  '5 s',
  ' 5s',
  '5s ',
  '5s\n',
  '-5s',
  '+5s',
  '1.5s',
  '5S',
  '5min',
  '1h30m',
  '1e3s',
  '1234567890s',
  '٥s',
])('%j is no duration', (text) => {
  expect(parseDuration(text)).toBeUndefined()
})

test.each([
  [0, '0ms'],
  [1, '1ms'],
  [999, '999ms'],
  [1_000, '1s'],
  [1_500, '1500ms'],
  [60_000, '1m'],
  [90_000, '90s'],
  [3_600_000, '1h'],
  [86_400_000, '1d'],
  [90_000_000, '25h'],
  [604_800_000, '7d'],
])('%d ms is written in the largest unit that is exact', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})

test('what is written is read as the same duration', () => {
  fc.assert(fc.property(fc.nat(999_999_999), (ms) => parseDuration(formatDuration(ms)) === ms))
})
