/** Options of a subscription that were checked where they were written. */
import { expect, test } from 'vitest'
import { trustedDuration } from '../../src/core/subscription.ts'

test.each([
  ['15s', 15_000],
  ['24h', 86_400_000],
])('%s is trusted to be a duration', (text, ms) => {
  expect(trustedDuration(text)).toBe(ms)
})

test.each(['', '15', 'soon', '-1s'])('%j got past its check, and is told as a bug', (text) => {
  expect(() => trustedDuration(text)).toThrow(new TypeError(`not a duration: ${text}`))
})
