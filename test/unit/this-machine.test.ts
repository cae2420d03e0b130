/** Which requests come from this machine, and which from another site. */
import type { FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import { isCrossSite, isFromOwnPage, isFromThisMachine } from '../../src/api/this-machine.ts'

interface Asked {
  readonly local?: string
  readonly remote?: string
  readonly headers?: Readonly<Record<string, string>>
}

const request = ({ local = '127.0.0.1', remote = '127.0.0.1', headers = {} }: Asked): FastifyRequest =>
  ({
    socket: { localAddress: local, remoteAddress: remote },
    headers: { host: 'localhost:8788', ...headers },
  }) as unknown as FastifyRequest

describe('from this machine', () => {
  test.each<[boolean, Asked]>([
    [true, {}],
    [true, { local: '::1', remote: '::1', headers: { host: '[::1]:8788' } }],
    [true, { local: '::ffff:127.0.0.1', remote: '::ffff:127.0.0.1' }],
    [true, { headers: { host: '127.0.0.1' } }],
    [true, { headers: { host: 'LOCALHOST' } }],
    [false, { local: '10.0.0.1' }],
    [false, { remote: '10.0.0.1' }],
    [false, { remote: '1127.0.0.1' }],
    [false, { remote: '::ffff:10.0.0.1' }],
    [false, { headers: { host: 'walhook' } }],
    [false, { headers: { host: 'localhost.example.com' } }],
    [false, { headers: { host: '127.0.0.1.example.com' } }],
    [false, { headers: { via: '1.1 proxy' } }],
    [false, { headers: { 'x-real-ip': '127.0.0.1' } }],
    [false, { headers: { 'x-forwarded-for': '127.0.0.1' } }],
  ])('%s: %o', (expected, asked) => {
    expect(isFromThisMachine(request(asked))).toBe(expected)
  })

  test('without a Host it is not known', () => {
    expect(isFromThisMachine({ ...request({}), headers: {} } as FastifyRequest)).toBe(false)
  })
})

test.each<[crossSite: boolean, ownPage: boolean, headers: Readonly<Record<string, string>>]>([
  [false, false, {}],
  [false, true, { origin: 'http://localhost:8788' }],
  [false, true, { origin: 'https://localhost:8788' }],
  [false, true, { 'sec-fetch-site': 'same-origin', origin: 'http://localhost:8788' }],
  [false, false, { 'sec-fetch-site': 'none' }],
  [true, false, { 'sec-fetch-site': 'same-site' }],
  [true, false, { 'sec-fetch-site': 'cross-site' }],
  [true, false, { origin: 'http://localhost:8789' }],
  [true, false, { origin: 'http://localhost' }],
  [true, false, { origin: 'https://evil.example' }],
  [true, false, { origin: 'null' }],
])('another site %s, its own page %s: %o', (crossSite, ownPage, headers) => {
  expect(isCrossSite(request({ headers }))).toBe(crossSite)
  expect(isFromOwnPage(request({ headers }))).toBe(ownPage)
})
