/** The webhook as it goes over the wire: the payload's very bytes in an envelope, and headers that can be written. */
import { validateHeaderValue } from 'node:http'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import type { OutboxEvent } from '../../src/core/outbox-event.ts'
import { webhookRequest } from '../../src/core/webhook-request.ts'
import { aRequestForm, aSignature } from './a-subscription.ts'
import { anyCharacter, anyText } from './any-text.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const TIMESTAMP = 1_795_361_409

const EVENT: OutboxEvent = {
  id: '0199c1a2-7b3d-7c4e-8f10-0123456789ab',
  type: 'order.created',
  key: 'order 1',
  tenant: 'acme',
  payload: '{ "b": 1,\n  "a": 12345678901234567890.10, "é": "\\u00e9" }',
  headers: {},
  timestamp: '2026-11-22T15:30:09.123456Z',
}

const request = (event: Partial<OutboxEvent> = {}, facts: { attempt?: number; timestamp?: number } = {}) =>
  webhookRequest(
    { ...EVENT, ...event },
    { request: aRequestForm(), signers: aSignature({ secrets: [SECRET] }) },
    {
      attempt: facts.attempt ?? 1,
      timestamp: facts.timestamp ?? TIMESTAMP,
      userAgent: 'walhook/1.2.3',
    },
  )

test('the headers are those of Standard Webhooks and two of our own, and nothing of key and tenant', () => {
  const { headers } = request({}, { attempt: 3 })
  expect(headers).toEqual({
    'content-type': 'application/json',
    'user-agent': 'walhook/1.2.3',
    'webhook-id': EVENT.id,
    'webhook-timestamp': '1795361409',
    'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/) as string,
    'walhook-event-type': 'order.created',
    'walhook-attempt': '3',
  })
})

test('the signature is over the bytes that are sent', () => {
  const { headers, body } = request({}, { timestamp: Math.floor(Date.now() / 1000) })
  expect(new Webhook(SECRET).verify(body, headers)).toMatchObject({ id: EVENT.id })
})

describe('the body', () => {
  test('holds the payload byte for byte: order, white space, digits and escapes', () => {
    expect(request().body.toString()).toBe(
      `{"id":"${EVENT.id}","type":"order.created","timestamp":"2026-11-22T15:30:09.123456Z","data":${EVENT.payload}}`,
    )
  })

  test.each(['null', '0', '"text"', '[]', ' {} ', '"\u2028\u{1f98a}"'])(
    'may have any JSON as its data: %s',
    (payload) => {
      const body = request({ payload }).body.toString()
      expect(body.endsWith(`"data":${payload}}`)).toBe(true)
      expect(JSON.parse(body)).toMatchObject({ data: JSON.parse(payload) as unknown })
    },
  )

  test('is JSON that means what the payload means, whatever the payload', () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: anyCharacter, maxDepth: 3 }), (payload) => {
        const { body } = request({ payload })
        const suffix = Buffer.from(`${payload}}`)
        expect(body.subarray(body.length - suffix.length).equals(suffix)).toBe(true)
        expect(JSON.parse(body.toString())).toEqual({
          id: EVENT.id,
          type: EVENT.type,
          timestamp: EVENT.timestamp,
          data: JSON.parse(payload) as unknown,
        })
      }),
    )
  })
})

describe('trace context', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

  test('is passed on', () => {
    const tracestate = 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7'
    expect(request({ headers: { traceparent, tracestate } }).headers).toMatchObject({
      traceparent,
      tracestate,
    })
  })

  test.each([
    ['a line break', 'a\r\nx-evil: 1'],
    ['a line feed', 'a\nb'],
    ['a control character', 'a\u0000b'],
    ['a delete', 'a\u007f'],
    ['what is not ASCII', 'é'],
    ['nothing', ''],
    ['more than 512 characters', 'a'.repeat(513)],
    ['a number', 1],
    ['null', null],
    ['a list', [traceparent]],
    ['an object', { traceparent }],
  ])('of %s is left out', (_what, value) => {
    const { headers } = request({ headers: { traceparent: value, tracestate: value } })
    expect(Object.keys(headers)).not.toContain('traceparent')
    expect(Object.keys(headers)).not.toContain('tracestate')
  })

  test('is the only thing passed on: no other header of the event reaches the wire', () => {
    const json =
      '{"authorization": "x", "webhook-id": "forged", "Traceparent": "x", "__proto__": {"tracestate": "x"}}'
    const { headers } = request({ headers: JSON.parse(json) as Record<string, unknown> })
    expect(headers).toEqual(request().headers)
  })

  test('never makes a header that cannot be written, whatever the event carries', () => {
    const value = fc.oneof(anyText, fc.anything({ maxDepth: 1 }))
    fc.assert(
      fc.property(value, value, (parent, state) => {
        const { headers } = request({ headers: { traceparent: parent, tracestate: state } })
        for (const [name, value] of Object.entries(headers))
          expect(() => validateHeaderValue(name, value)).not.toThrow()
      }),
    )
  })
})
