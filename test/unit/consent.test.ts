/** What is a consent, and how fast it lets anybody send. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { consentRequestHeaders, judgeConsent, withinAllowedRate } from '../../src/core/consent.ts'
import type { RateLimit } from '../../src/core/subscription.ts'

const answered = (status: number, headers: Readonly<Record<string, string>>) =>
  ({ kind: 'answered', status, retryAfter: undefined, body: '', headers }) as const
const ORIGIN = { 'webhook-allowed-origin': 'walhook' }

describe('an answer', () => {
  test.each([
    [200, ORIGIN, undefined],
    [204, ORIGIN, undefined],
    [200, { 'webhook-allowed-origin': ' WalHook ' }, undefined],
    [200, { 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '*' }, undefined],
    [200, { ...ORIGIN, 'webhook-allowed-rate': '120' }, 120],
    [200, { ...ORIGIN, 'webhook-allowed-rate': '007' }, 7],
    [200, { ...ORIGIN, 'webhook-allowed-rate': '9'.repeat(40) }, 2_147_483_647],
  ])('%i with %o is a consent', (status, headers, perMinute) => {
    expect(judgeConsent(answered(status, headers), 'walhook')).toEqual({ kind: 'consented', perMinute })
  })

  test.each([
    [200, {}, 'no_allowed_origin'],
    [405, ORIGIN, 'status_405'],
    [302, ORIGIN, 'status_302'],
    [500, ORIGIN, 'status_500'],
    [200, { 'webhook-allowed-origin': '' }, 'another_allowed_origin'],
    [200, { 'webhook-allowed-origin': 'walhook.example.com' }, 'another_allowed_origin'],
    [200, { 'webhook-allowed-origin': '*.example.com' }, 'another_allowed_origin'],
    ...['', '0', '-1', '1.5', '1e3', '10/s', '١٠'].map(
      (rate) => [200, { ...ORIGIN, 'webhook-allowed-rate': rate }, 'unreadable_allowed_rate'] as const,
    ),
  ] as const)('%i with %o is none: %s', (status, headers, reason) => {
    expect(judgeConsent(answered(status, headers), 'walhook')).toEqual({ kind: 'refused', reason })
  })

  test('that does not come is none', () => {
    expect(judgeConsent({ kind: 'failed', error: 'address_denied' }, 'walhook')).toEqual({
      kind: 'refused',
      reason: 'address_denied',
    })
  })
})

test('the question names the rate that is wished for, where there is one', () => {
  expect(consentRequestHeaders('a.example', undefined)).toEqual({ 'webhook-request-origin': 'a.example' })
  expect(consentRequestHeaders('a.example', { perSecond: 10, burst: 10 })).toMatchObject({
    'webhook-request-rate': '600',
  })
  expect(consentRequestHeaders('a.example', { perSecond: 1 / 600, burst: 1 })).toMatchObject({
    'webhook-request-rate': '1',
  })
})

describe('the rate', () => {
  test('is one’s own where the endpoint has none', () => {
    expect(withinAllowedRate(undefined, undefined)).toBeUndefined()
    expect(withinAllowedRate({ perSecond: 3, burst: 9 }, undefined)).toEqual({ perSecond: 3, burst: 9 })
  })

  test('lets no more through in any minute than is allowed, and no more than one’s own', () => {
    const rates = fc.record({
      perSecond: fc.double({ min: 1 / 60, max: 10_000, noNaN: true }),
      burst: fc.integer({ min: 1, max: 10_000 }),
    })
    fc.assert(
      fc.property(
        fc.option(rates, { nil: undefined }),
        fc.integer({ min: 1, max: 1_000_000 }),
        (own: RateLimit | undefined, perMinute) => {
          const { perSecond, burst } = withinAllowedRate(own, perMinute) ?? { perSecond: 0, burst: 0 }
          expect(perSecond).toBeGreaterThan(0)
          expect(burst).toBeGreaterThanOrEqual(1)
          // One at a time, spaced out, begins the minute with one and ends it before the next.
          const most = burst === 1 ? 60 * perSecond : burst + 60 * perSecond
          expect(most).toBeLessThanOrEqual(perMinute + 1e-6)
          if (own !== undefined) {
            expect(perSecond).toBeLessThanOrEqual(own.perSecond)
            expect(burst).toBeLessThanOrEqual(own.burst)
          }
        },
      ),
    )
  })
})
