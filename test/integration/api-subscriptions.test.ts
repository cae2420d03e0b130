/** Subscriptions over HTTP: made, looked at, changed, tried and deleted; whose they are decides who sees them. */
import { expect } from 'vitest'
import { apiAt } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { confide } from '../support/leak-watch.ts'
import { respond } from '../support/receiver.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'

test('made with its secret told once, got, changed only as it is, and deleted', async ({ db, sidecar }) => {
  const { url } = await sidecar()
  const api = apiAt(url)
  confide('tok-51c09ab7', 'a token')
  const made = await api('POST', '/v1/subscriptions', {
    json: {
      name: 'accounting',
      url: 'https://example.com/hook',
      event_types: ['order.*'],
      filter: '$.amount > 100',
      auth: { type: 'bearer', token: 'tok-51c09ab7' },
      headers: { 'x-api-key': 'open sesame', 'x-team': 'billing' },
      batch: { max_events: 5 },
    },
  })
  expect(made).toMatchObject({
    status: 201,
    body: { name: 'accounting', filter: '($."amount" > 100)', secret: expect.stringMatching(/^whsec_/) },
  })
  const { id } = made.body
  const path = `/v1/subscriptions/${id}`
  expect(made.headers.get('location')).toBe(path)
  const got = await api('GET', path)
  const { secret: _, ...withoutSecret } = made.body
  expect(got).toMatchObject({ status: 200, body: withoutSecret })
  expect(got.body).toMatchObject({
    has_auth: true,
    headers: { 'x-api-key': '…', 'x-team': 'billing' },
    health: { pending: 0, dead: 0 },
    recent: [],
  })
  expect(Object.keys(got.body)).not.toContain('secret')
  expect(JSON.stringify(got.body)).not.toMatch(/tok-51c09ab7|sesame/)

  const stale = got.headers.get('etag') ?? ''
  const change = { json: { timeout: '5s', headers: { 'x-api-key': '…' } }, headers: { 'if-match': stale } }
  const changed = await api('PATCH', path, change)
  expect(changed).toMatchObject({ status: 200, body: { timeout: '5s', batch: { max_events: 5 } } })
  expect(await db.query('select headers, auth is not null as auth from walhook.subscriptions')).toEqual([
    { headers: { 'x-api-key': 'open sesame' }, auth: true },
  ])
  expect(await api('PATCH', path, change)).toMatchObject({ status: 412 })
  expect(await api('DELETE', path, { headers: { 'if-match': stale } })).toMatchObject({ status: 412 })
  expect(
    (await api('PATCH', path, { json: { timeout: null, filter: null, auth: null } })).body,
  ).toMatchObject({
    timeout: '15s',
    filter: null,
    has_auth: false,
  })
  const rotated = await api('POST', `${path}/rotate-secret`, { json: { overlap: '1h' } })
  expect(rotated.body).toMatchObject({ id, secret: expect.stringMatching(/^whsec_/) })
  expect(rotated.body.secret).not.toBe(made.body.secret)
  expect((await api('POST', `${path}/pause`, { json: { reason: 'moving' } })).body).toMatchObject({
    state: 'paused',
    state_reason: 'moving',
  })
  expect(await api('POST', `${path}/test`)).toMatchObject({
    status: 409,
    body: { errors: [{ field: 'state' }], detail: expect.stringContaining('paused (moving)') },
  })
  expect((await api('POST', `${path}/resume`)).body).toMatchObject({ state: 'active', state_reason: null })
  expect((await api('DELETE', path)).status).toBe(204)
  expect((await api('GET', path)).status).toBe(404)
})

test('what is refused names its field, and nothing is done', async ({ db, sidecar }) => {
  const { url } = await sidecar()
  const api = apiAt(url)
  const other = await subscribe(db, 'https://example.com/')
  await db.query(`update walhook.subscriptions set name = 'taken'`)
  const endpoint = 'https://example.org/'
  for (const [status, field, json] of [
    [400, 'colour', { url: endpoint, colour: 'blue' }],
    [400, 'url', {}],
    [400, 'retry_on', { url: endpoint, retry_on: 'never' }],
    [400, 'batch.max_events', { url: endpoint, batch: { max_events: 0 } }],
    [422, 'url', { url: 'ftp://example.org' }],
    [422, 'filter', { url: endpoint, filter: '$.a >' }],
    [422, 'filter', { url: endpoint, filter: '$.a' }],
    [422, 'event_types', { url: endpoint, event_types: ['or der'] }],
    [422, 'secret', { url: endpoint, secret: 'short' }],
    [422, 'timeout', { url: endpoint, timeout: '1h' }],
    [422, 'auth', { url: endpoint, auth: { type: 'bearer' } }],
    [422, 'headers', { url: endpoint, headers: { authorization: 'x' } }],
    [409, 'name', { url: endpoint, name: 'taken' }],
  ] as const) {
    const answer = await api('POST', '/v1/subscriptions', { json })
    expect({ json, ...answer }).toMatchObject({ status, body: { errors: [{ field }] } })
  }
  expect(await db.query('select from walhook.subscriptions')).toHaveLength(1)
  const path = `/v1/subscriptions/${other.id}`
  expect(await api('PATCH', path, { json: { url: null } })).toMatchObject({ status: 400 })
  expect(await api('PATCH', path, { json: { ordering: 'key', batch: {} } })).toMatchObject({ status: 422 })
  expect(await api('POST', `${path}/rotate-secret`, { json: { overlap: 'soon' } })).toMatchObject({
    status: 422,
    body: { errors: [{ field: 'overlap' }] },
  })
  expect(await api('GET', '/v1/subscriptions?colour=blue')).toMatchObject({ status: 400 })
  expect(await api('GET', '/v1/subscriptions/seven')).toMatchObject({ status: 400 })
  expect(await api('POST', '/v1/filters/dry-run', { json: { filter: '$.a >' } })).toMatchObject({
    status: 422,
    body: { errors: [{ field: 'filter' }] },
  })
})

test('a tenant’s key has that tenant’s subscriptions, and of others it is told nothing', async ({
  db,
  sidecar,
}) => {
  const { url } = await sidecar()
  const open = apiAt(url)
  const keyOf = async (scope: string, tenant: string | null): Promise<string> =>
    (await open('POST', '/v1/keys', { json: { scope, tenant }, ...(admin !== undefined && { key: admin }) }))
      .body.key
  let admin: string | undefined
  admin = await keyOf('admin', null)
  const [operate, read] = [apiAt(url, await keyOf('operate', 't')), apiAt(url, await keyOf('read', 't'))]
  const ofOther = await subscribe(db, 'https://u.example/', { tenant: 'u' })
  const ofNone = await subscribe(db, 'https://all.example/')

  const made = await operate('POST', '/v1/subscriptions', { json: { url: 'https://t.example/' } })
  expect(made.body).toMatchObject({ tenant: 't' })
  for (const tenant of ['u', null])
    expect(
      (await operate('POST', '/v1/subscriptions', { json: { url: 'https://t.example/', tenant } })).status,
    ).toBe(403)
  expect(
    (await operate('PATCH', `/v1/subscriptions/${made.body.id}`, { json: { tenant: 'u' } })).status,
  ).toBe(403)
  expect((await read('GET', '/v1/subscriptions')).body.data).toMatchObject([{ id: made.body.id }])
  expect((await read('GET', '/v1/subscriptions?tenant=u')).body.data).toEqual([])
  expect((await read('POST', '/v1/subscriptions', { json: { url: 'https://t.example/' } })).status).toBe(403)
  const ofOthers = () =>
    db.query(`select to_jsonb(s) as s from walhook.subscriptions as s where id in ($1, $2)`, [
      ofOther.id,
      ofNone.id,
    ])
  const before = await ofOthers()
  for (const id of [ofOther.id, ofNone.id, '0192b4a0-0000-7000-8000-000000000000'])
    for (const [method, action, json] of [
      ['GET', '', undefined],
      ['PATCH', '', { timeout: '5s' }],
      ['DELETE', '', undefined],
      ['POST', '/pause', {}],
      ['POST', '/resume', undefined],
      ['POST', '/rotate-secret', {}],
      ['GET', '/attempts', undefined],
    ] as const) {
      const answer = await operate(method, `/v1/subscriptions/${id}${action}`, { json })
      expect({ method, action, ...answer }).toMatchObject({
        status: 404,
        body: { detail: 'There is no such subscription.' },
      })
    }
  expect((await operate('POST', `/v1/subscriptions/${ofOther.id}/test`)).status).toBe(404)
  expect(await ofOthers()).toEqual(before)
  expect(await db.query('select from walhook.outbox')).toEqual([])

  await publish(db, { tenant: 'u', payload: '{"amount": 7}' })
  await publish(db, { tenant: 't', payload: '{"amount": 8}' })
  const tried = async (json: object) => (await read('POST', '/v1/filters/dry-run', { json })).body.data
  expect(await tried({ filter: '$.amount > 1' })).toMatchObject([{ tenant: 't', matches: true }])
  expect(await tried({ filter: '$.amount > 1', tenant: 'u' })).toEqual([])
})

test('a test is sent and told, five a minute; attempts and pages do not shift', async ({
  db,
  receiver,
  sidecar,
}) => {
  const { url } = await sidecar()
  const api = apiAt(url)
  const { id } = await subscribe(db, receiver.url('/hook'), { eventTypes: ['a.b'], retrySchedule: [] })
  receiver.on('/hook', [respond(200, { body: 'thanks' }), respond(500), respond(200)])
  const path = `/v1/subscriptions/${id}`
  const first = await eventually(async () => {
    const answer = await api('POST', `${path}/test`)
    expect(answer.status).toBe(200)
    return answer
  })
  expect(first.body).toMatchObject({
    state: 'delivered',
    attempt: { number: 1, response_status: 200, error: null, response_body: 'thanks' },
  })
  expect((await api('POST', `${path}/test`)).body).toMatchObject({
    state: 'dead',
    attempt: { response_status: 500 },
  })
  let status = 200
  let tests = 2
  for (; status !== 429 && tests < 10; tests++) ({ status } = await api('POST', `${path}/test`))
  expect({ status, within: tests <= 6 }).toEqual({ status: 429, within: true })

  await eventually(async () =>
    expect((await api('GET', path)).body).toMatchObject({
      health: { dead: 1, last_delivered_at: expect.any(String) },
      recent: expect.arrayContaining([expect.objectContaining({ outcome: 'failed', status: 500 })]),
    }),
  )
  const { length } = await untilSettled(db, receiver.requests('/hook').length)
  const seen: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { body } = await api('GET', `${path}/attempts?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`)
    seen.push(...body.data.map(({ delivery_id: delivery }: { delivery_id: string }) => delivery))
    cursor = body.next_cursor
  }
  expect(seen).toEqual(Array.from({ length }, (_, i) => String(length - i)))

  for (let i = 0; i < 3; i++) await subscribe(db, `https://example.com/${i}`)
  const page = await api('GET', '/v1/subscriptions?limit=2&url=EXAMPLE.com')
  await subscribe(db, 'https://example.com/newer')
  const rest = await api('GET', `/v1/subscriptions?limit=2&url=EXAMPLE.com&cursor=${page.body.next_cursor}`)
  expect([...page.body.data, ...rest.body.data].map(({ url: of }) => of.slice(-1))).toEqual(['2', '1', '0'])
  expect(rest.body.next_cursor).toBeNull()
})
