/** From errors of Node and undici to the closed list of classes, and what one abort does to many requests. */
import { expect, test } from 'vitest'
import { AbortGroup, type GroupMember } from '../../src/delivery/abort-group.ts'
import {
  ConnectionFailure,
  connectFailureClass,
  exchangeFailureClass,
} from '../../src/delivery/failure-class.ts'

const coded = (code: string, message = 'x'): Error => Object.assign(new Error(message), { code })

test.each([
  ['ECONNREFUSED', 'connect_refused'],
  ['ETIMEDOUT', 'connect_timeout'],
  ['ECONNRESET', 'reset'],
  ['ENOTFOUND', 'dns'],
  ['EAI_AGAIN', 'dns'],
  ['EHOSTUNREACH', 'connect_failed'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls'],
  ['EPROTO', 'tls'],
])('no connection for %s is %s', (code, expected) => {
  expect(connectFailureClass(coded(code), false)).toBe(expected)
})

test('what has no code of its own is a matter of TLS once the handshake has begun', () => {
  expect(connectFailureClass(coded('DEPTH_ZERO_SELF_SIGNED_CERT'), true)).toBe('tls')
  expect(connectFailureClass(new Error('certificate has expired'), true)).toBe('tls')
  expect(connectFailureClass(new Error('x'), false)).toBe('connect_failed')
  expect(connectFailureClass(coded('ECONNRESET'), true)).toBe('reset')
})

test('of several addresses, a refusal says most, then a timeout', () => {
  const of = (...codes: string[]): unknown =>
    connectFailureClass(new AggregateError(codes.map((c) => coded(c))), false)
  expect(of('ENETUNREACH', 'ETIMEDOUT', 'ECONNREFUSED')).toBe('connect_refused')
  expect(of('ENETUNREACH', 'ETIMEDOUT')).toBe('connect_timeout')
  expect(of('ENETUNREACH', 'EHOSTUNREACH')).toBe('connect_failed')
})

test.each([
  ['UND_ERR_INVALID_ARG', undefined],
  ['UND_ERR_DESTROYED', 'aborted'],
  ['UND_ERR_HEADERS_OVERFLOW', 'invalid_response'],
  ['HPE_INVALID_CONSTANT', 'invalid_response'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'tls'],
  ['UND_ERR_SOCKET', 'reset'],
  ['ECONNRESET', 'reset'],
])('no status for %s is %s', (code, expected) => {
  expect(exchangeFailureClass(coded(code))).toBe(expected)
})

test('our own verdict stands, and messages decide nothing', () => {
  expect(connectFailureClass(new ConnectionFailure('address_denied'), true)).toBe('address_denied')
  expect(exchangeFailureClass(new ConnectionFailure('dns'))).toBe('dns')
  expect(exchangeFailureClass(Object.assign(new Error('x'), { name: 'HTTPParserError' }))).toBe(
    'invalid_response',
  )
  expect(exchangeFailureClass(new Error('ENOTFOUND: certificate'))).toBe('reset')
})

test('an abort gives up who is in the group, each once, and nobody who left', () => {
  const stop = new AbortController()
  const group = new AbortGroup(stop.signal)
  const gaveUp: number[] = []
  const members = Array.from({ length: 6 }, (_, i): GroupMember => {
    const member: GroupMember = {
      slot: -1,
      giveUp: () => {
        gaveUp.push(i)
        group.leave(member)
      },
    }
    return member
  })
  for (const member of members) group.join(member)
  for (const i of [0, 5, 2]) {
    const member = members[i]
    if (member !== undefined) group.leave(member)
  }
  stop.abort()
  expect(gaveUp.sort((a, b) => a - b)).toEqual([1, 3, 4])
})
