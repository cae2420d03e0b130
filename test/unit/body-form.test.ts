/** Bodies: the payload's very bytes, alone, in an envelope, as a CloudEvent, one or many. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { batchBody, BODY_FORMS, bodyForm } from '../../src/core/body-form.ts'
import { batchRequest, webhookRequest } from '../../src/core/webhook-request.ts'
import { aRequestForm, aSignature } from './a-subscription.ts'
import { anEvent } from './an-event.ts'
import { anyCharacter } from './any-text.ts'

const BATCH_FORMS = ['envelope', 'payload', 'cloudevents', 'cloudevents-batch'] as const
const payloads = fc.json({ stringUnit: anyCharacter, maxDepth: 2 })
const events = fc
  .record({
    payload: payloads,
    key: fc.option(fc.string({ unit: anyCharacter })),
    tenant: fc.option(fc.string()),
  })
  .map(anEvent)

describe.each(BODY_FORMS)('%s', (form) => {
  test('holds the payload byte for byte, and means it', () => {
    fc.assert(
      fc.property(events, (event) => {
        const body = bodyForm(form).one(event)
        expect(body).toContain(event.payload)
        expect(JSON.stringify(JSON.parse(body))).toContain(JSON.stringify(JSON.parse(event.payload)))
      }),
    )
  })
})

test('forms look like this', () => {
  const event = anEvent({ key: 'a "b"', tenant: 'acme', headers: { source: '/shop', tracestate: 'a=b' } })
  const cloudEvent = `{"specversion":"1.0","id":"${event.id}","source":"/shop","type":"order.created","time":"${event.timestamp}","subject":"a \\"b\\"","tenant":"acme","tracestate":"a=b","datacontenttype":"application/json","data":{"n": 1}}`
  expect(BODY_FORMS.map((form) => bodyForm(form).one(event))).toEqual([
    `{"id":"${event.id}","type":"order.created","timestamp":"${event.timestamp}","data":{"n": 1}}`,
    '{"n": 1}',
    cloudEvent,
    '{"n": 1}',
    `[${cloudEvent}]`,
  ])
  expect(bodyForm('cloudevents-binary').headers?.(event)).toEqual({
    'ce-specversion': '1.0',
    'ce-id': event.id,
    'ce-source': '/shop',
    'ce-type': 'order.created',
    'ce-time': event.timestamp,
    'ce-subject': 'a%20%22b%22',
    'ce-tenant': 'acme',
    'ce-tracestate': 'a=b',
  })
})

describe('a batch', () => {
  test.each(BATCH_FORMS)('of %s holds each event as it would stand alone, in their order', (form) => {
    fc.assert(
      fc.property(fc.array(events, { minLength: 1, maxLength: 5 }), (many) => {
        const { text } = batchBody(form, 'batch-1', many)
        const alone = form === 'cloudevents-batch' ? 'cloudevents' : form
        const list = `[${many.map((event) => bodyForm(alone).one(event)).join(',')}]`
        expect(text).toBe(
          form === 'envelope' ? `{"delivery_mode":"batch","batch_id":"batch-1","events":${list}}` : list,
        )
        JSON.parse(text)
      }),
    )
  })

  test('has an id, a type and a signature of its own, and nothing of one event in its headers', () => {
    const secrets = ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']
    const event = anEvent({ headers: { traceparent: '00-a', 'x-priority': 'high' } })
    const request = aRequestForm({
      headers: { 'X-Team': 'a' },
      forwardHeaders: ['x-priority'],
      method: 'PUT',
    })
    const [signer] = aSignature({ secrets })
    if (signer === undefined) throw new Error('there is a signer')
    const facts = { attempt: 2, timestamp: 7, userAgent: 'walhook/1' }
    const sent = batchRequest('batch-1', [event, event], { request, signers: [signer] }, facts)
    expect(sent.method).toBe('PUT')
    expect(sent.headers).toEqual({
      'content-type': 'application/json',
      'user-agent': 'walhook/1',
      'webhook-id': 'batch-1',
      'webhook-timestamp': '7',
      'webhook-signature': signer.sign({ id: 'batch-1', timestamp: 7, body: sent.body }),
      'walhook-event-type': 'batch',
      'walhook-attempt': '2',
      'X-Team': 'a',
    })
  })
})

describe('CloudEvents attributes', () => {
  const attribute = (name: string, changes: Parameters<typeof anEvent>[0]): string | undefined =>
    bodyForm('cloudevents-binary').headers?.(anEvent(changes))[`ce-${name}`]

  test('in headers are printable ASCII, and decode to what they were', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter, minLength: 1 }), (key) => {
        const value = attribute('subject', { key })
        if (/\p{Cc}/u.test(key)) {
          expect(value).toBeUndefined()
          return
        }
        expect(value).toMatch(/^[\x21-\x7e]+$/)
        expect(value).not.toContain('"')
        expect(decodeURIComponent(value ?? '')).toBe(key.toWellFormed())
      }),
    )
  })

  test.each([
    ['', undefined],
    ['Euro € 😀', 'Euro%20%E2%82%AC%20%F0%9F%98%80'], // the HTTP binding's own example
    ['100%', '100%25'],
    ['<a^b>', '<a^b>'],
  ])('%j is %j', (key, expected) => {
    expect(attribute('subject', { key })).toBe(expected)
  })

  test('without a source of its own an event is of us and its tenant', () => {
    expect(attribute('source', {})).toBe('/walhook')
    expect(attribute('source', { tenant: 'a/b ü' })).toBe('/walhook/a%252Fb%2520%25C3%25BC')
    expect(attribute('source', { headers: { source: 'urn:shop:1' } })).toBe('urn:shop:1')
    for (const source of ['', 'a b', '<a>', 'ü', 'x'.repeat(1025), 7, null, ['a']])
      expect(attribute('source', { headers: { source } })).toBe('/walhook')
  })
})

describe("headers of one's own", () => {
  const headersOf = (
    options: Parameters<typeof aRequestForm>[0],
    headers: Readonly<Record<string, unknown>> = {},
  ): Readonly<Record<string, string>> =>
    webhookRequest(
      anEvent({ headers }),
      { request: aRequestForm(options), signers: [] },
      { attempt: 1, timestamp: 1, userAgent: 'walhook/1' },
    ).headers

  test("the event's takes the place of one's own, however either is written, and is there once", () => {
    const headers = headersOf(
      { headers: { 'X-Team': 'own' }, forwardHeaders: ['x-TEAM', 'X-Priority'] },
      { 'x-team': "event's", 'X-PRIORITY': 'high' },
    )
    expect(headers).toMatchObject({ 'X-Team': "event's", 'x-priority': 'high' })
    const names = Object.keys(headers).map((name) => name.toLowerCase())
    expect(new Set(names).size).toBe(names.length)
  })

  test('a user agent is one’s own, once', () => {
    expect(headersOf({ headers: { 'User-Agent': 'acme/1' } })).toMatchObject({ 'user-agent': 'acme/1' })
    expect(headersOf({ headers: { 'User-Agent': 'acme/1' } })).not.toHaveProperty('User-Agent')
  })

  test('whatever an event carries, what goes on is a value that ends no header', () => {
    const value = fc.oneof(fc.string({ unit: anyCharacter }), fc.anything({ maxDepth: 1 }))
    fc.assert(
      fc.property(value, (x) => {
        const passed = headersOf({ forwardHeaders: ['x-a'] }, { 'x-a': x })['x-a']
        const isFit = typeof x === 'string' && /^[ -~]{1,1024}$/.test(x)
        expect(passed).toBe(isFit ? x : undefined)
      }),
    )
  })

  test('names of objects in JavaScript are no way round', () => {
    const event = JSON.parse('{"__proto__": "x", "constructor": "y"}') as Record<string, unknown>
    const headers = headersOf({ forwardHeaders: ['x-a'] }, event)
    expect(headers).toEqual(headersOf({}))
  })
})
