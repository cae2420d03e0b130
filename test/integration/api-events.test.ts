/** /v1/events: publishing once and byte for byte, and looking at what was published, as a client does it. */
import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { type Api, apiAt } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'

const EVENT = { type: 'order.created', payload: { amount: 250 } }

async function keyOf(admin: Api, scope: string, tenant?: string): Promise<string> {
  const made = await admin('POST', '/v1/keys', { json: { scope, tenant } })
  expect(made.status).toBe(201)
  return made.body.key as string
}

test('what is published arrives byte for byte, once under one id, and says what is wrong', async ({
  db,
  receiver,
  sidecar,
}) => {
  const { url } = await sidecar()
  const api = apiAt(url)
  await subscribe(db, receiver.url('/hook'))

  const payload = '{ "n": 123456789012345678901234567890.50, "b":1,\n "a" : "\\u0000 \\u00e9 é" }'
  const body = `{"type":"order.created","key":"k 1","headers":{"n":1.50},"payload": ${payload} }`
  const headers = { 'content-type': 'application/json', 'idempotency-key': 'order 17, paid' }
  const first = await api('POST', '/v1/events', { text: body, headers })
  expect(first).toMatchObject({
    status: 201,
    body: {
      id: expect.any(String),
      type: 'order.created',
      key: 'k 1',
      tenant: null,
      created_at: expect.stringMatching(/Z$/),
    },
  })
  const [request] = await receiver.waitFor(1)
  expect(request?.id).toBe(first.body.id)
  expect(request?.body.toString()).toContain(`"data":${payload}}`)
  const shown = await fetch(`${url}/v1/events/${first.body.id}`)
  expect(await shown.text()).toContain(`"headers":{"n":1.50},"payload":${payload}}`)

  expect(await api('POST', '/v1/events', { text: body, headers })).toMatchObject({
    status: 200,
    body: first.body,
  })
  const other = await api('POST', '/v1/events', { text: body.replace('.50, ', '.5, '), headers })
  expect(other).toMatchObject({ status: 409, body: { errors: [{ field: 'id' }] } })
  expect(other.body.detail).toContain(first.body.id)

  // At once too.
  const same = await Promise.all(
    Array.from({ length: 4 }, () => api('POST', '/v1/events', { json: { ...EVENT, id: 'at once' } })),
  )
  expect(same.map(({ status }) => String(status)).toSorted()).toEqual(['200', '200', '200', '201'])
  expect(new Set(same.map(({ body: { id } }) => id as string)).size).toBe(1)

  const id = randomUUID()
  const many = { events: [{ ...EVENT, id }, { ...EVENT, id: 'two' }, EVENT] }
  const made = await api('POST', '/v1/events', { json: many })
  expect(made.status).toBe(201)
  expect(made.body.events[0].id).toBe(id)
  // All or none.
  const clash = { events: [EVENT, { ...EVENT, id, type: 'order.paid' }] }
  expect(await api('POST', '/v1/events', { json: clash })).toMatchObject({
    status: 409,
    body: { errors: [{ field: 'events.1.id' }] },
  })
  await untilSettled(db, 5)
  expect(receiver.requests('/hook')).toHaveLength(5)

  const bad: readonly (readonly [number, string, unknown])[] = [
    [400, 'payload', { type: 'order.created' }],
    [400, 'type', { ...EVENT, type: 'no spaces' }],
    [400, 'colour', { ...EVENT, colour: 1 }],
    [400, 'id', { ...EVENT, id: '' }],
    [400, 'events', { events: [] }],
    [400, 'events.0.type', { events: [{ payload: 1 }] }],
    [400, 'key', { ...EVENT, key: 'a\u0000b' }],
    [422, 'type', { ...EVENT, type: 'walhook.delivery.dead' }],
    [422, 'payload', { ...EVENT, payload: 'x'.repeat(1024 * 1024) }],
    [422, 'headers', { ...EVENT, headers: { a: 'x'.repeat(17_000) } }],
  ]
  for (const [status, field, json] of bad) {
    const refused = await api('POST', '/v1/events', { json })
    expect({ field, status: refused.status }).toEqual({ field, status })
    expect(refused.body.errors.map((error: { field: string }) => error.field)).toContain(field)
  }
  expect((await api('POST', '/v1/events', { json: 'x'.repeat(9 * 1024 * 1024) })).status).toBe(413)
  expect(await db.query('select from walhook.outbox')).toHaveLength(5)
})

test('events are listed in pages that do not shift, filtered, and matched; a tenant sees its own', async ({
  db,
  sidecar,
}) => {
  const { url } = await sidecar()
  const open = apiAt(url)
  const admin = apiAt(url, await keyOf(open, 'admin'))
  const publisher = apiAt(url, await keyOf(admin, 'publish', 't'))
  const reader = apiAt(url, await keyOf(admin, 'read', 't'))

  const { id: whose } = await subscribe(db, 'https://example.com/t', {
    eventTypes: ['order.*'],
    tenant: 't',
    filter: '$.amount > 1000',
  })
  await subscribe(db, 'https://example.com/u', { eventTypes: ['order.*'], tenant: 'u' })
  const mine = await publisher('POST', '/v1/events', { json: EVENT })
  expect(mine).toMatchObject({ status: 201, body: { tenant: 't' } })
  expect((await publisher('POST', '/v1/events', { json: { ...EVENT, tenant: 'u' } })).status).toBe(403)
  expect((await publisher('GET', '/v1/events')).status).toBe(403)
  expect((await reader('POST', '/v1/events', { json: EVENT })).status).toBe(403)
  const ids: string[] = [mine.body.id]
  for (let n = 0; n < 4; n++)
    ids.unshift(await publish(db, { type: n === 2 ? 'user.left' : 'order.paid', key: `k${n}` }))

  const page = await admin('GET', '/v1/events?limit=2')
  expect(page.body.data.map(({ id }: { id: string }) => id)).toEqual(ids.slice(0, 2))
  await publish(db)
  const next = await admin('GET', `/v1/events?limit=3&cursor=${page.body.next_cursor}`)
  expect(next.body).toMatchObject({ data: ids.slice(2).map((id) => ({ id })), next_cursor: null })
  const found = async (query: string): Promise<number> =>
    (await admin('GET', `/v1/events?${query}`)).body.data.length as number
  expect(await found('type=order.*')).toBe(5)
  expect(await found('type=user.left&key=k2')).toBe(1)
  expect(await found('since=2100-01-01T00:00:00Z')).toBe(0)
  expect(await found(`until=${encodeURIComponent('2100-01-01T00:00:00+02:00')}&tenant=t`)).toBe(1)
  for (const query of [
    'type=a..b',
    'since=yesterday',
    'limit=201',
    'cursor=x',
    `cursor=${btoa('["keys",["a"]]')}`,
  ])
    expect({ query, status: (await admin('GET', `/v1/events?${query}`)).status }).toEqual({
      query,
      status: 400,
    })

  expect((await reader('GET', '/v1/events')).body.data).toMatchObject([{ id: mine.body.id, tenant: 't' }])
  for (const path of [ids[0], `${ids[0]}/matches`, `${ids[0]}/deliveries`, randomUUID()])
    expect((await reader('GET', `/v1/events/${path}`)).status).toBe(404)
  expect((await reader('GET', `/v1/events/${mine.body.id}`)).body).toMatchObject({ payload: { amount: 250 } })
  expect((await admin('GET', '/v1/events/17')).status).toBe(400)

  expect((await reader('GET', `/v1/events/${mine.body.id}/matches`)).body.data).toEqual([
    {
      subscription_id: whose,
      matches: false,
      reason: 'filter',
      url: 'https://example.com/t',
      subscription_tenant: 't',
      state: 'active',
      delivery_id: null,
      delivery_state: null,
    },
  ])
  expect((await admin('GET', `/v1/events/${mine.body.id}/matches`)).body.data).toMatchObject([
    { reason: 'filter' },
    { reason: 'tenant', subscription_tenant: 'u' },
  ])
  await eventually(async () =>
    expect((await admin('GET', `/v1/events/${mine.body.id}/deliveries`)).body).toEqual({
      data: [],
      next_cursor: null,
    }),
  )
})
