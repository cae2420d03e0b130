/** How an endpoint's window grows and shrinks: pure. */
import { describe, expect, test } from 'vitest'
import type { AttemptOutcome } from '../../src/core/attempt-outcome.ts'
import { afterSample, type ConcurrencyWindow, FIRST_WINDOW } from '../../src/core/concurrency-window.ts'

const DELIVERED: AttemptOutcome = { kind: 'delivered', status: 200 }
const OVERLOADED: readonly AttemptOutcome[] = [
  { kind: 'rejected', status: 429, retryAfterMs: undefined },
  { kind: 'rejected', status: 503, retryAfterMs: undefined },
  { kind: 'unreachable', error: 'timeout' },
]

/** So many samples in a row, each of `latencyMs`. */
function after(
  window: ConcurrencyWindow,
  count: number,
  latencyMs: number,
  { outcome = DELIVERED, wasFull = true, from = 0 } = {},
): ConcurrencyWindow {
  let next = window
  for (let i = 0; i < count; i++) {
    const startedAt = from + i * latencyMs
    next = afterSample(next, { outcome, startedAt, now: startedAt + latencyMs, wasFull })
  }
  return next
}

describe('it grows', () => {
  test('by one for each success until it shrinks for the first time, and then by one for each window', () => {
    expect(after(FIRST_WINDOW, 10, 20).limit).toBe(FIRST_WINDOW.limit + 10)
    const shrunk = after({ ...FIRST_WINDOW, limit: 40 }, 1, 20, { outcome: OVERLOADED[0] })
    expect(shrunk.limit).toBe(20)
    expect(after(shrunk, 20, 20, { from: 1_000 }).limit).toBeCloseTo(21, 0)
  })

  test('only while all of it is in use', () => {
    expect(after(FIRST_WINDOW, 100, 20, { wasFull: false }).limit).toBe(FIRST_WINDOW.limit)
  })
})

describe('it shrinks', () => {
  test.each(OVERLOADED)(
    'by half with %j, but not for what was under way by then, and never to nothing',
    (outcome) => {
      const window = { ...FIRST_WINDOW, limit: 64 }
      const once = afterSample(window, { outcome, startedAt: 0, now: 100, wasFull: true })
      expect(once.limit).toBe(32)
      expect(afterSample(once, { outcome, startedAt: 50, now: 120, wasFull: true }).limit).toBe(32)
      expect(afterSample(once, { outcome, startedAt: 101, now: 130, wasFull: true }).limit).toBe(16)
      expect(after(window, 100, 20, { outcome }).limit).toBe(1)
    },
  )

  test('when answers come ever later, and grows again once they are fast', () => {
    const fast = after(FIRST_WINDOW, 50, 20)
    const slow = after(fast, 50, 2_000, { from: 10_000 })
    expect(slow.limit).toBeLessThan(fast.limit / 4)
    expect(after(slow, 200, 20, { from: 200_000 }).limit).toBeGreaterThan(slow.limit)
  })

  test('neither for an endpoint that always takes its time, nor for one that is not there, nor for a refusal', () => {
    expect(after(FIRST_WINDOW, 50, 5_000).limit).toBeGreaterThan(FIRST_WINDOW.limit)
    for (const outcome of [
      { kind: 'unreachable', error: 'connect_refused' },
      { kind: 'rejected', status: 404, retryAfterMs: undefined },
    ] satisfies AttemptOutcome[])
      expect(after(FIRST_WINDOW, 50, 20, { outcome }).limit).toBeGreaterThanOrEqual(FIRST_WINDOW.limit)
  })
})
