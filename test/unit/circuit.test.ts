/** When an endpoint is left alone, and for how long. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AttemptOutcome, ERROR_CLASSES } from '../../src/core/attempt-outcome.ts'
import {
  afterAttempt,
  afterWithheld,
  type Circuit,
  CLOSED,
  isOpen,
  OPENS_AFTER,
} from '../../src/core/circuit.ts'

const NOW = 1_000_000
const FAILED: AttemptOutcome = { kind: 'unreachable', error: 'timeout' }
const DELIVERED: AttemptOutcome = { kind: 'delivered', status: 200 }
const rejected = (status: number): AttemptOutcome => ({ kind: 'rejected', status, retryAfterMs: undefined })

/** Each as soon as it may be tried. */
function afterFailures(count: number): Circuit {
  return Array.from({ length: count }).reduce<Circuit>(
    (circuit) => afterAttempt(circuit, FAILED, circuit.probeAt ?? NOW),
    CLOSED,
  )
}

const outcomes: readonly (readonly [label: string, outcome: AttemptOutcome, isFailure: boolean])[] = [
  ['a 2xx', DELIVERED, false],
  ['410', { kind: 'gone', status: 410 }, false],
  ['an address that is denied', { kind: 'undeliverable', error: 'address_denied' }, false],
  ['a URL that is broken', { kind: 'undeliverable', error: 'invalid_url' }, false],
  ...[300, 400, 401, 404, 408, 422, 425].map((s) => [`status ${s}`, rejected(s), false] as const),
  ...[429, 500, 502, 503, 504, 599].map((s) => [`status ${s}`, rejected(s), true] as const),
  ...ERROR_CLASSES.filter((error) => error !== 'address_denied' && error !== 'invalid_url').map(
    (error) => [error, { kind: 'unreachable', error }, error !== 'aborted'] as const,
  ),
]

test.each(outcomes)('%s', (_label, outcome, isFailure) => {
  const nearlyOpen = afterFailures(OPENS_AFTER - 1)
  expect(isOpen(nearlyOpen)).toBe(false)
  expect(isOpen(afterAttempt(nearlyOpen, outcome, NOW))).toBe(isFailure)
})

test('opens after ten failures in a row, and not before', () => {
  expect(OPENS_AFTER).toBe(10)
  expect(isOpen(CLOSED)).toBe(false)
  expect(isOpen(afterFailures(9))).toBe(false)
  expect(isOpen(afterFailures(10))).toBe(true)
})

test('a success in between starts the count again', () => {
  const circuit = afterAttempt(afterFailures(9), DELIVERED, NOW)
  expect(circuit).toEqual(CLOSED)
  expect(isOpen(afterAttempt(circuit, FAILED, NOW))).toBe(false)
})

test('a probe that is answered closes it', () => {
  expect(afterAttempt(afterFailures(25), DELIVERED, NOW)).toEqual(CLOSED)
  expect(afterAttempt(afterFailures(25), rejected(404), NOW)).toEqual(CLOSED)
})

describe('the pause before the next probe', () => {
  test.each([
    [10, 1_000],
    [11, 2_000],
    [12, 4_000],
    [15, 32_000],
    [16, 60_000],
    [17, 60_000],
    [5_000, 60_000],
  ])('after %d failures is %d ms', (failures, pauseMs) => {
    const failedAt = afterFailures(failures - 1).probeAt ?? NOW
    expect(afterFailures(failures).probeAt).toBe(failedAt + pauseMs)
  })
})

test('whatever happens, it is open exactly while the last ten attempts or more have failed', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 60 }), (history) => {
      let circuit = CLOSED
      let inARow = 0
      for (const [i, fails] of history.entries()) {
        circuit = afterAttempt(circuit, fails ? FAILED : DELIVERED, i)
        inARow = fails ? inARow + 1 : 0
        expect(isOpen(circuit)).toBe(inARow >= 10)
        expect(circuit.probeAt ?? Infinity).toBeGreaterThan(i)
      }
    }),
  )
})

describe('a delivery that cannot be attempted', () => {
  test('opens it at once, and each probe that ends so doubles the pause, up to a minute', () => {
    let [circuit, now] = [CLOSED, NOW]
    const pausesMs = Array.from({ length: 8 }, () => {
      circuit = afterWithheld(circuit, now)
      const pauseMs = (circuit.probeAt ?? 0) - now
      now += pauseMs
      return pauseMs
    })
    expect(pausesMs).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  })

  test('that was under way when it opened changes nothing', () => {
    const open = afterWithheld(CLOSED, NOW)
    expect(afterWithheld(open, NOW + 999)).toBe(open)
    expect(afterWithheld(open, NOW + 1_000)).not.toBe(open)
  })

  test('is forgotten with the first probe that is answered', () => {
    expect(afterAttempt(afterWithheld(CLOSED, NOW), DELIVERED, NOW + 1_000)).toEqual(CLOSED)
  })
})

test('what was under way when it opened does not put the probe off', () => {
  const open = afterFailures(OPENS_AFTER)
  const probeAt = open.probeAt ?? Infinity
  expect(afterAttempt(open, FAILED, probeAt - 1)).toEqual(open)
  expect(afterAttempt(open, FAILED, probeAt).probeAt).toBeGreaterThan(probeAt)
  expect(afterAttempt(open, DELIVERED, probeAt - 1)).toEqual(CLOSED)
})
