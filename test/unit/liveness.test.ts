/** When to say that we are alive, and when to believe that the server is not. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isSilentTooLong, livenessTimings } from '../../src/replication/liveness.ts'

test.each([
  ['off', 0, { statusEveryMs: 10_000, silenceLimitMs: undefined }],
  ['the default of 60 s', 60_000, { statusEveryMs: 10_000, silenceLimitMs: 31_000 }],
  ['an hour', 3_600_000, { statusEveryMs: 10_000, silenceLimitMs: 31_000 }],
  ['30 s', 30_000, { statusEveryMs: 10_000, silenceLimitMs: 31_000 }],
  ['5 s', 5_000, { statusEveryMs: 1_667, silenceLimitMs: 6_001 }],
  ['1 s', 1_000, { statusEveryMs: 334, silenceLimitMs: 2_002 }],
  ['1 ms', 1, { statusEveryMs: 1, silenceLimitMs: 1_003 }],
])('where wal_sender_timeout is %s', (_what, timeoutMs, timings) => {
  expect(livenessTimings(timeoutMs)).toEqual(timings)
})

test('two status updates in a row may come late before the server gives up on us', () => {
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 2_147_483_647 }), (timeoutMs) => {
      const { statusEveryMs, silenceLimitMs } = livenessTimings(timeoutMs)
      expect(statusEveryMs * 2).toBeLessThan(timeoutMs)
      expect(silenceLimitMs).toBeGreaterThan(statusEveryMs * 3)
    }),
  )
})

describe('silence', () => {
  const timings = { statusEveryMs: 10_000, silenceLimitMs: 31_000 }
  test.each([
    ['that lasts too long is a dead connection', 31_001, false, true],
    ['within the limit is none', 31_000, false, false],
    ['says nothing while we hold the server back', 1_000_000, true, false],
  ])('%s', (_what, silentForMs, heldBack, isTooLong) => {
    expect(isSilentTooLong(timings, { silentForMs, heldBack })).toBe(isTooLong)
  })

  test('never is too long where the server has its own timeout off', () => {
    const off = { statusEveryMs: 10_000, silenceLimitMs: undefined }
    expect(isSilentTooLong(off, { silentForMs: 1e9, heldBack: false })).toBe(false)
  })
})
