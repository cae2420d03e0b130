/** From what the wire gave to what the attempt came to, and how long the endpoint asks to be left alone. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type EndpointWish,
  ERROR_CLASSES,
  outcomeOf,
  parseEndpointWish,
  parseRetryAfter,
  type WebhookResponse,
} from '../../src/core/attempt-outcome.ts'

const NOW = Date.parse('2026-11-22T15:30:00Z')
const HOUR_MS = 3_600_000

function answered(status: number, retryAfter?: string, asks?: EndpointWish): WebhookResponse {
  return { kind: 'answered', status, retryAfter, asks, body: '' }
}

describe('a status', () => {
  test.each([200, 201, 202, 204, 206, 299])('%d is delivered', (status) => {
    expect(outcomeOf(answered(status), NOW)).toEqual({ kind: 'delivered', status })
  })

  test('410 is gone, whatever else the answer says', () => {
    expect(outcomeOf(answered(410, '5'), NOW)).toEqual({ kind: 'gone', status: 410 })
  })

  test.each([
    100, 199, 300, 301, 302, 304, 307, 308, 400, 401, 404, 408, 409, 422, 425, 500, 502, 504, 599, 999,
  ])('%d is rejected, and its Retry-After counts for nothing', (status) => {
    expect(outcomeOf(answered(status, '60'), NOW)).toEqual({
      kind: 'rejected',
      status,
      retryAfterMs: undefined,
    })
  })

  test.each([429, 503])('%d is rejected, and may ask for time', (status) => {
    expect(outcomeOf(answered(status, '60'), NOW)).toEqual({ kind: 'rejected', status, retryAfterMs: 60_000 })
    expect(outcomeOf(answered(status), NOW)).toEqual({ kind: 'rejected', status, retryAfterMs: undefined })
  })

  test.each([422, 429, 503])('%d stands, whatever the endpoint asks for', (status) => {
    const asks = (wish: EndpointWish) => outcomeOf(answered(status, undefined, wish), NOW)
    const rejected = { kind: 'rejected', status, retryAfterMs: undefined }
    expect(asks('disable')).toEqual(rejected)
    expect(asks('abort')).toEqual({ ...rejected, isAborted: true })
  })

  test('of 2xx and 410 is not changed by what the endpoint asks for', () => {
    expect(outcomeOf(answered(204, undefined, 'abort'), NOW)).toEqual({ kind: 'delivered', status: 204 })
    expect(outcomeOf(answered(410, undefined, 'abort'), NOW)).toEqual({ kind: 'gone', status: 410 })
  })

  test.each(['response_too_large', 'response_incomplete'] as const)(
    'stands where its body was cut: %s',
    (bodyError) => {
      const response = { kind: 'answered', status: 204, retryAfter: undefined, body: 'x', bodyError } as const
      expect(outcomeOf(response, NOW)).toEqual({ kind: 'delivered', status: 204 })
    },
  )

  test('delivers exactly where it is a 2xx', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 999 }),
        fc.option(fc.string(), { nil: undefined }),
        (status, header) => {
          const isDelivered = outcomeOf(answered(status, header), NOW).kind === 'delivered'
          return isDelivered === (Math.floor(status / 100) === 2)
        },
      ),
    )
  })
})

describe('no status', () => {
  test.each(ERROR_CLASSES)('%s', (error) => {
    const isFinal = error === 'address_denied' || error === 'invalid_url'
    expect(outcomeOf({ kind: 'failed', error }, NOW)).toEqual({
      kind: isFinal ? 'undeliverable' : 'unreachable',
      error,
    })
  })
})

test('the error classes are the ones that people script against', () => {
  expect(ERROR_CLASSES).toEqual([
    'dns',
    'connect_refused',
    'connect_timeout',
    'connect_failed',
    'tls',
    'proxy',
    'auth',
    'timeout',
    'reset',
    'invalid_response',
    'response_too_large',
    'response_incomplete',
    'address_denied',
    'invalid_url',
    'aborted_by_endpoint',
    'aborted',
  ])
})

test.each([
  ['disable', 'disable'],
  [' Abort ', 'abort'],
  ['disable, abort', undefined],
  ['', undefined],
  [undefined, undefined],
])('the header webhook-delivery: %s', (header, wish) => {
  expect(parseEndpointWish(header)).toBe(wish)
})

describe('Retry-After', () => {
  test.each([
    ['0', 0],
    ['1', 1_000],
    ['120', 120_000],
    ['  120 ', 120_000],
    ['999999999', 999_999_999_000],
  ])('in seconds: %j', (header, ms) => {
    expect(parseRetryAfter(header, NOW)).toBe(ms)
  })

  test.each([10, 30, 400])(
    'of seconds with %d digits is longer than any schedule, and not absent',
    (digits) => {
      expect(parseRetryAfter('9'.repeat(digits), NOW)).toBeGreaterThan(365 * 86_400_000)
    },
  )

  test.each([
    'Sun, 22 Nov 2026 16:30:00 GMT', // IMF-fixdate
    'Sunday, 22-Nov-26 16:30:00 GMT', // RFC 850
    'Sun Nov 22 16:30:00 2026', // asctime
  ])('as an HTTP date: %s', (header) => {
    expect(parseRetryAfter(header, NOW)).toBe(HOUR_MS)
  })

  test('as a date in the past means now', () => {
    expect(parseRetryAfter('Sun, 22 Nov 2026 15:29:59 GMT', NOW)).toBe(0)
    expect(parseRetryAfter('Sun, 06 Nov 1994 08:49:37 GMT', NOW)).toBe(0)
  })

  test.each([
    undefined,
    '',
    ' ',
    '-1',
    '+5',
    '1.5',
    '1e3',
    '0x10',
    '5s',
    '5, 6',
    'soon',
    'Sun, soon',
    '2026-11-22T16:30:00Z',
    'Sun, 99 Nov 2026 16:30:00 GMT',
    '\u0665',
  ])('that cannot be read is as if it were absent: %j', (header) => {
    expect(parseRetryAfter(header, NOW)).toBeUndefined()
  })

  test('never is negative, nor anything but a number, whatever the header holds', () => {
    const header = fc.oneof(
      fc.string(),
      fc.string({ unit: 'grapheme' }),
      fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
      fc.nat().map(String),
    )
    fc.assert(
      fc.property(header, (text) => {
        const ms = parseRetryAfter(text, NOW)
        return ms === undefined || ms >= 0
      }),
    )
  })

  test('as a date of any second is the time until then', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 * 365 * 86_400 }), (seconds) => {
        const header = new Date(NOW + seconds * 1000).toUTCString()
        return parseRetryAfter(header, NOW) === seconds * 1000
      }),
    )
  })
})
