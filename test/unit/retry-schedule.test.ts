/** What follows an attempt: every outcome × policy × attempt, and the bounds of when a retry comes. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AttemptOutcome, ERROR_CLASSES } from '../../src/core/attempt-outcome.ts'
import { parseDuration } from '../../src/core/duration.ts'
import { JITTER, nextStep, type RetryPolicy } from '../../src/core/retry-schedule.ts'

/** Standard Webhooks': the first attempt goes out at once, then these. */
const STANDARD = ['5s', '5m', '30m', '2h', '5h', '10h', '14h', '20h', '24h']
const STANDARD_MS = STANDARD.map((text) => parseDuration(text) ?? Number.NaN)
const NO_JITTER = 0.5

const rejected = (status: number, retryAfterMs?: number): AttemptOutcome => ({
  kind: 'rejected',
  status,
  retryAfterMs,
})

const FINAL = [
  [{ kind: 'delivered', status: 204 }, { kind: 'complete' }],
  [
    { kind: 'gone', status: 410 },
    { kind: 'dead', reason: 'gone' },
  ],
  [
    { kind: 'undeliverable', error: 'address_denied' },
    { kind: 'dead', reason: 'undeliverable' },
  ],
  [
    { kind: 'undeliverable', error: 'invalid_url' },
    { kind: 'dead', reason: 'undeliverable' },
  ],
] as const satisfies readonly (readonly [AttemptOutcome, unknown])[]

const UNREACHABLE = ERROR_CLASSES.filter((error) => error !== 'address_denied' && error !== 'invalid_url')
const TRANSIENT: readonly AttemptOutcome[] = [
  ...UNREACHABLE.map((error): AttemptOutcome => ({ kind: 'unreachable', error })),
  ...[408, 425, 429, 500, 502, 503, 504, 599].map((status) => rejected(status)),
]
const LASTING: readonly AttemptOutcome[] = [301, 400, 401, 403, 404, 409, 411, 422, 451, 499].map((status) =>
  rejected(status),
)

const ATTEMPTS = [1, 2, 8, 9, 10, 11, 1_000]
const POLICIES = (['any', 'transient'] as const).map((retryOn): RetryPolicy => ({
  delaysMs: STANDARD_MS,
  retryOn,
}))

describe.each(POLICIES)('retry on $retryOn', (policy) => {
  describe.each(ATTEMPTS)('attempt %d', (attempt) => {
    const retryOrDead =
      attempt <= STANDARD_MS.length
        ? { kind: 'retry', afterMs: STANDARD_MS[attempt - 1] }
        : { kind: 'dead', reason: 'exhausted' }

    test('ends what can only end', () => {
      for (const [outcome, step] of FINAL) expect(nextStep(policy, attempt, outcome, NO_JITTER)).toEqual(step)
    })

    test('is followed by another after a failure of the moment, until the schedule is used up', () => {
      for (const outcome of TRANSIENT)
        expect(nextStep(policy, attempt, outcome, NO_JITTER)).toEqual(retryOrDead)
    })

    test('is followed by another after a lasting refusal where the policy says any', () => {
      const step = policy.retryOn === 'any' ? retryOrDead : { kind: 'dead', reason: 'not_transient' }
      for (const outcome of LASTING) expect(nextStep(policy, attempt, outcome, NO_JITTER)).toEqual(step)
    })
  })
})

test('what the endpoint does not want again is not retried, whatever the policy', () => {
  for (const policy of POLICIES)
    expect(
      nextStep(
        policy,
        1,
        { kind: 'rejected', status: 503, retryAfterMs: undefined, isAborted: true },
        NO_JITTER,
      ),
    ).toEqual({
      kind: 'dead',
      reason: 'aborted_by_endpoint',
    })
})

test('a schedule without delays means one attempt', () => {
  const once: RetryPolicy = { delaysMs: [], retryOn: 'any' }
  expect(nextStep(once, 1, rejected(500), NO_JITTER)).toEqual({ kind: 'dead', reason: 'exhausted' })
  expect(nextStep(once, 1, rejected(503, 1_000), NO_JITTER)).toEqual({ kind: 'dead', reason: 'exhausted' })
})

test('the delays of the standard schedule vary by a fifth', () => {
  const policy: RetryPolicy = { delaysMs: STANDARD_MS, retryOn: 'any' }
  const delays = (random: number): unknown[] =>
    STANDARD_MS.map((_, i) => nextStep(policy, i + 1, rejected(500), random))
  const share = (factor: number): unknown[] =>
    STANDARD_MS.map((ms) => ({ kind: 'retry', afterMs: Math.round(ms * factor) }))
  expect(JITTER).toBe(0.2)
  expect(delays(0)).toEqual(share(0.8))
  expect(delays(NO_JITTER)).toEqual(share(1))
  expect(delays(0.999_999_999_999)).toEqual(share(1.2))
})

describe('whatever the schedule', () => {
  const delaysMs = fc.array(fc.integer({ min: 0, max: 30 * 86_400_000 }), { minLength: 1, maxLength: 12 })
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  const draw = fc.record({ delaysMs, random, pick: fc.nat() }).map(({ pick, ...rest }) => ({
    ...rest,
    attempt: 1 + (pick % rest.delaysMs.length),
  }))

  test('a retry comes within a fifth of its delay', () => {
    fc.assert(
      fc.property(draw, fc.constantFrom(...TRANSIENT), ({ delaysMs, attempt, random }, outcome) => {
        const step = nextStep({ delaysMs, retryOn: 'any' }, attempt, outcome, random)
        const delayMs = delaysMs[attempt - 1] ?? Number.NaN
        expect(step.kind).toBe('retry')
        const afterMs = step.kind === 'retry' ? step.afterMs : Number.NaN
        expect(Number.isInteger(afterMs)).toBe(true)
        expect(afterMs).toBeGreaterThanOrEqual(Math.round(delayMs * 0.8))
        expect(afterMs).toBeLessThanOrEqual(Math.round(delayMs * 1.2))
      }),
    )
  })

  test('Retry-After makes a retry later, never sooner, and no later than the longest delay', () => {
    const asked = fc.oneof(
      fc.nat({ max: 40 * 86_400_000 }),
      fc.constantFrom(0, Number.MAX_SAFE_INTEGER, Infinity),
    )
    fc.assert(
      fc.property(
        draw,
        asked,
        fc.constantFrom(429, 503),
        ({ delaysMs, attempt, random }, askedMs, status) => {
          const policy: RetryPolicy = { delaysMs, retryOn: 'any' }
          const plain = nextStep(policy, attempt, rejected(status), random)
          const later = nextStep(policy, attempt, rejected(status, askedMs), random)
          if (plain.kind !== 'retry' || later.kind !== 'retry') throw new Error('no retry')
          const capMs = Math.max(...delaysMs)
          expect(later.afterMs).toBe(Math.max(plain.afterMs, Math.min(askedMs, capMs)))
          expect(later.afterMs).toBeGreaterThanOrEqual(plain.afterMs)
          expect(later.afterMs).toBeLessThanOrEqual(Math.max(plain.afterMs, capMs))
        },
      ),
    )
  })
})
