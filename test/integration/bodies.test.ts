/** What stands in bodies and headers, as the CloudEvents SDK and a plain HTTP server read them. */
import { type CloudEvent, HTTP } from 'cloudevents'
import { expect } from 'vitest'
import { BODY_FORMS } from '../../src/core/body-form.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import type { ReceivedRequest } from '../support/receiver.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'
import { subscribeWith } from '../support/subscribe-with.ts'

const PAYLOAD = '{ "b": 1,\n  "a": 12345678901234567890.10, "grüße": "🎉" }'
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const EVENT = {
  type: 'order.created',
  payload: PAYLOAD,
  key: 'order 7 "ö" 100%',
  tenant: 'acme/ü',
  headers: JSON.stringify({
    traceparent: TRACE,
    'X-Priority': 'high',
    'x-team': 'of the event',
    'x-not-listed': 'no',
  }),
}

/** As the SDK reads a request. It keeps percent signs, which the HTTP binding has a receiver decode. */
function cloudEvents(request: ReceivedRequest): readonly CloudEvent<unknown>[] {
  const read = HTTP.toEvent<unknown>({ headers: request.headers, body: request.body.toString() })
  return (Array.isArray(read) ? read : [read]) as CloudEvent<unknown>[]
}

eachPlugin(() => {
  test('the CloudEvents SDK reads the same event in each of the three modes', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const modes = ['cloudevents', 'cloudevents-binary', 'cloudevents-batch'] as const
    for (const body of modes) await subscribeWith(db, receiver.url(`/${body}`), { body })
    const id = await publish(db, EVENT)
    await untilSettled(db, 3)
    const [row] = await db.query<{ at: string }>(
      `select to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS') as at from walhook.outbox where id = $1`,
      [id],
    )

    for (const body of modes) {
      const [request] = receiver.requests(`/${body}`)
      if (request === undefined) throw new Error('none came')
      const [event, ...others] = cloudEvents(request)
      expect(others).toEqual([])
      expect(event?.validate()).toBe(true)
      const text = (value: unknown): string =>
        body === 'cloudevents-binary' ? decodeURIComponent(String(value)) : String(value)
      expect(event).toMatchObject({
        id,
        specversion: '1.0',
        type: 'order.created',
        datacontenttype: 'application/json',
        traceparent: TRACE,
        data: JSON.parse(PAYLOAD) as unknown,
      })
      // In binary mode the SDK cuts it to milliseconds.
      expect(event?.time?.slice(0, 23)).toBe(row?.at)
      expect(text(event?.source)).toBe('/walhook/acme%2F%C3%BC')
      expect(text(event?.subject)).toBe(EVENT.key)
      expect(text(event?.['tenant'])).toBe(EVENT.tenant)
      expect(event?.dataschema).toBeUndefined()
      // Byte for byte, whatever the form.
      expect(request.body.toString()).toContain(PAYLOAD)
    }
  })

  test('the payload alone, and in binary mode too, is the bytes that the application wrote', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    for (const body of ['payload', 'cloudevents-binary'])
      await subscribeWith(db, receiver.url(`/${body}`), { body, method: 'PUT' })
    const payloads = [PAYLOAD, 'null', ' "text" ', '[1, 2,  3]', '0']
    for (const payload of payloads) await publish(db, { payload })
    await untilSettled(db, payloads.length * 2)
    for (const path of ['/payload', '/cloudevents-binary']) {
      const requests = receiver.requests(path)
      expect(requests.map(({ body }) => body.toString()).toSorted()).toEqual(payloads.toSorted())
      expect(new Set(requests.map(({ method }) => method))).toEqual(new Set(['PUT']))
      expect(new Set(requests.map(({ headers }) => headers['content-type']))).toEqual(
        new Set(['application/json']),
      )
    }
  })

  test('the event may say its source; one that is no URI reference is not taken', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribeWith(db, receiver.url(), { body: 'cloudevents' })
    const sources = [
      'https://shop.example/orders?of=1#x',
      '/shop',
      'a b',
      '',
      'x\r\ny: z',
      7,
      'x'.repeat(1025),
    ]
    const ids = new Map<string, unknown>()
    for (const source of sources) ids.set(await publish(db, { headers: JSON.stringify({ source }) }), source)
    const read = (await receiver.waitFor(sources.length)).flatMap(cloudEvents)
    const bySource = new Map(read.map((event) => [ids.get(event.id), event.source]))
    expect(sources.map((source) => bySource.get(source))).toEqual([
      'https://shop.example/orders?of=1#x',
      '/shop',
      ...Array.from({ length: 5 }, () => '/walhook'),
    ])
    await untilSettled(db, sources.length)
  })

  test("one's own headers arrive with each request, those of the event by name, and no others", async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribeWith(db, receiver.url(), {
      headers: { 'X-Team': 'billing', 'X-Static': 'yes', 'User-Agent': 'acme/1', cookie: 'a=b' },
      forward_headers: ['x-priority', 'X-TEAM'],
    })
    await publish(db, EVENT)
    await publish(db, {
      headers: JSON.stringify({ 'x-priority': 'a\r\nx-evil: 1', 'x-team': 7, 'webhook-id': 'forged' }),
    })
    const [first, second] = (await receiver.waitFor(2)).toSorted((a, b) =>
      String(a.headers['x-team']).localeCompare(String(b.headers['x-team'])),
    )
    expect(second?.headers).toMatchObject({
      'x-team': 'of the event',
      'x-static': 'yes',
      'x-priority': 'high',
      'user-agent': 'acme/1',
      cookie: 'a=b',
      traceparent: TRACE,
    })
    expect(second?.headers).not.toHaveProperty('x-not-listed')
    // What is no text, or cannot be a header's value, is left out.
    expect(first?.headers).toMatchObject({ 'x-team': 'billing', 'x-static': 'yes' })
    for (const name of ['x-priority', 'x-evil', 'canary']) expect(first?.headers).not.toHaveProperty(name)
    expect(first?.id).not.toBe('forged')
    await untilSettled(db, 2)
  })

  test('without options a request is what it was', async ({ db, receiver, sidecar }) => {
    await sidecar()
    const { secret } = await subscribe(db, receiver.url())
    receiver.verify('/webhooks', secret)
    const id = await publish(db, { payload: PAYLOAD })
    const [request] = await receiver.waitFor(1)
    expect(request?.method).toBe('POST')
    expect(request?.forged).toBeUndefined()
    expect(Object.keys(request?.headers ?? {}).toSorted()).toEqual([
      'accept-encoding',
      'connection',
      'content-length',
      'content-type',
      'host',
      'user-agent',
      'walhook-attempt',
      'walhook-event-type',
      'webhook-id',
      'webhook-signature',
      'webhook-timestamp',
    ])
    expect(request?.body.toString()).toMatch(
      new RegExp(`^\\{"id":"${id}","type":"order.created","timestamp":"[^"]+","data":`),
    )
    await untilSettled(db, 1)
  })
})

test('a header that would be smuggled, and whatever contradicts itself, is refused where it is written', async ({
  db,
}) => {
  const long = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`x-${i}`, 'v'.repeat(1000)]))
  const many = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`x-${i}`, 'v']))
  const reserved = [
    'Host',
    'content-length',
    'Transfer-Encoding',
    'Connection',
    'TE',
    'Trailer',
    'Upgrade',
    'Expect',
  ]
  const wishes = [
    [{ method: 'GET' }, 'method has to be POST or PUT'],
    [{ body: 'xml' }, 'body has to be envelope,'],
    [{ headers: '["x-a"]' }, 'headers has to be an object of texts'],
    [{ headers: { 'x-a\r\nx-evil': '1' } }, 'headers has a name that is none'],
    [{ headers: { 'x a': '1' } }, 'headers has a name that is none'],
    [{ headers: { '': '1' } }, 'headers has a name that is none'],
    [{ headers: { 'x-ü': '1' } }, 'headers has a name that is none'],
    [{ headers: { 'x:a': '1' } }, 'headers has a name that is none'],
    [{ headers: { ':authority': '1' } }, 'headers has a name that is none'],
    [{ headers: { 'x-a': '1\r\nx-evil: 1' } }, 'headers needs for x-a a text of printable ASCII'],
    [{ headers: { 'x-a': '1\nx-evil: 1' } }, 'headers needs for x-a a text of printable ASCII'],
    [{ headers: { 'x-a': 'grüße' } }, 'headers needs for x-a a text of printable ASCII'],
    [{ headers: { 'x-a': '語' } }, 'headers needs for x-a a text of printable ASCII'],
    [{ headers: { 'x-a': '' } }, 'headers needs for x-a a text of printable ASCII'],
    [{ headers: { 'x-a': ' 1' } }, 'headers needs for x-a a text of printable ASCII'],
    [{ headers: { 'x-a': 1 } }, 'headers needs for x-a a text of printable ASCII'],
    [{ headers: { 'x-a': null } }, 'headers needs for x-a a text of printable ASCII'],
    [{ headers: { 'x-a': '1', 'X-A': '2' } }, 'headers has a name twice'],
    [{ headers: many }, 'headers has to be at most 50 headers'],
    [{ headers: long }, 'headers has to be at most 50 headers, and 8 KiB'],
    [{ headers: { Authorization: 'Basic x' } }, 'credentials are for auth'],
    [{ headers: { 'proxy-authorization': 'x' } }, 'credentials are for auth'],
    [{ headers: { 'Content-Type': 'text/plain' } }, 'it follows from body'],
    [{ headers: { 'Accept-Encoding': 'gzip' } }, 'it belongs to the connection'],
    [{ headers: { Traceparent: TRACE } }, "it comes from the event's headers"],
    [{ headers: { 'Webhook-Id': 'x' } }, "names that begin so are Walhook's own"],
    [{ headers: { 'walhook-attempt': 'x' } }, "names that begin so are Walhook's own"],
    [{ headers: { 'x-acme-team': 'x' }, header_prefix: 'X-Acme-' }, 'names that begin with header_prefix'],
    [
      { headers: { 'x-webhook-signature': 'x' }, signature: ['hex'] },
      "one of Walhook's own headers has that name",
    ],
    [{ headers: { 'X-HUB-Signature-256': 'x' }, signature: ['github'] }, "one of Walhook's own headers"],
    [{ headers: { 'Stripe-Signature': 'x' }, signature: ['stripe'] }, "one of Walhook's own headers"],
    [{ headers: { 'ce-source': 'x' }, body: 'cloudevents-binary' }, 'CloudEvents attributes'],
    [
      { batch: { max_events: 2 }, body: 'cloudevents-binary' },
      'batch cannot be with body cloudevents-binary',
    ],
    [{ header_prefix: 'CE-', body: 'cloudevents-binary' }, 'header_prefix cannot be ce-'],
    [{ signature: ['hex'], signature_header: 'ce-id', body: 'cloudevents-binary' }, 'CloudEvents attributes'],
    [{ forward_headers: ['x-a', 'X-A'] }, 'forward_headers has a name twice'],
    [
      { forward_headers: Array.from({ length: 51 }, (_, i) => `x-${i}`) },
      'forward_headers has to be at most 50',
    ],
    [{ forward_headers: ['x a'] }, 'forward_headers has a name that is none'],
    [
      { forward_headers: ['authorization'] },
      'forward_headers cannot have authorization: credentials are for auth',
    ],
    [{ forward_headers: ['user-agent'] }, 'an event does not choose it'],
    [{ forward_headers: ['webhook-id'] }, "names that begin so are Walhook's own"],
    ...reserved.map((name) => [{ headers: { [name]: 'x' } }, 'it belongs to the connection'] as const),
    ...reserved.map((name) => [{ forward_headers: [name] }, 'it belongs to the connection'] as const),
  ] as const
  for (const [options, rule] of wishes) {
    const error: unknown = await subscribeWith(db, 'https://example.com', options).catch((e: unknown) => e)
    if (!(error instanceof Error)) throw new Error(`it was taken: ${JSON.stringify(options)}`)
    expect(error).toMatchObject({ code: '22023', detail: undefined })
    expect(error.message).toContain(rule)
    expect(error.message).not.toMatch(/[\r\n]/)
  }
  await expect(
    db.query(`select walhook.subscribe('https://example.com', forward_headers => '{x-a,null}')`),
  ).rejects.toThrow('forward_headers has to be a list of names')
  for (const body of BODY_FORMS) await subscribeWith(db, `https://example.com/${body}`, { body })
  // What is reserved for one scheme is free where that one is not used.
  await subscribeWith(db, 'https://example.com/', { headers: { 'stripe-signature': 'x' } })
})
