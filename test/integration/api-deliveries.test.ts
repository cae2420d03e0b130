/** /v1/deliveries: looking at them and changing what becomes of them, as a client does it. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { apiAt } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { deliveries, publish, subscribe, untilSettled } from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

const run = promisify(execFile)

test('a delivery is found, looked at, sent again, cancelled, and tried by hand', async ({
  db,
  receiver,
  sidecar,
}) => {
  const { url } = await sidecar()
  const api = apiAt(url)
  const { id: subscription } = await subscribe(db, receiver.url('/hook'), {
    retrySchedule: ['1h'],
    tenant: 't',
  })
  await db.query(`update walhook.subscriptions set headers = '{"X-Api-Key": "hunter2", "X-It": "it''s"}'`)
  receiver.on('/hook', [respond(503, { body: 'later\u001b[31m' }), respond(204)])
  const payload = `{"it's": "100 % $HOME \`id\`", "n": 1.50}`
  const event = await publish(db, { tenant: 't', key: 'k', payload })
  const id = await eventually(async () => {
    const rows = await deliveries(db)
    expect(rows).toMatchObject([{ waits_as: 'retry scheduled' }])
    return rows[0]?.id
  })

  expect((await api('GET', `/v1/deliveries/${id}`)).body).toMatchObject({
    id,
    state: 'pending',
    event_id: event,
    tenant: 't',
    last_status: 503,
    waits_as: 'retry scheduled',
    next_attempt_at: expect.stringMatching(/T.*Z$/),
    attempts: [{ number: 1, response_status: 503, response_body: 'later\u001b[31m', error: null }],
  })
  const line = await api('GET', `/v1/deliveries/${id}/curl`)
  expect(line.headers.get('content-type')).toMatch(/^text\/plain/)
  expect(line.body).not.toMatch(/hunter2|signature/)
  await run('/bin/sh', ['-c', line.body as string])
  const [, byHand] = await receiver.waitFor(2)
  expect(byHand?.headers).toMatchObject({
    'webhook-id': event,
    'walhook-attempt': '2',
    'x-it': "it's",
    'x-api-key': Buffer.from('…').toString('latin1'),
  })
  expect(byHand?.body.toString()).toContain(`"data":${payload}}`)

  expect((await api('POST', `/v1/deliveries/${id}/resend`)).body).toMatchObject({ id, state: 'pending' })
  await receiver.waitFor(3)
  await untilSettled(db, 1)
  expect(await api('POST', `/v1/deliveries/${id}/cancel`)).toMatchObject({
    status: 409,
    body: { detail: `delivery ${id} is delivered: only one that is pending can be cancelled.` },
  })
  await db.query('select walhook.pause($1)', [subscription])
  await api('POST', `/v1/deliveries/${id}/resend`)
  expect((await api('POST', `/v1/deliveries/${id}/cancel`)).body).toMatchObject({
    state: 'cancelled',
    last_error: 'cancelled',
  })

  for (const path of ['404', '404/curl'])
    expect((await api('GET', `/v1/deliveries/${path}`)).status).toBe(404)
  for (const verb of ['resend', 'cancel']) {
    expect((await api('POST', `/v1/deliveries/404/${verb}`)).status).toBe(404)
    expect((await api('POST', `/v1/deliveries/x/${verb}`)).status).toBe(400)
  }
  await db.query('select walhook.expunge($1)', [event])
  expect((await api('GET', `/v1/deliveries/${id}/curl`)).status).toBe(409)
  expect((await api('POST', `/v1/deliveries/${id}/resend`)).status).toBe(422)
})

/** Deliveries as if they had been made: of two tenants' subscriptions in turn, the newest last. */
async function history(db: TestDatabase): Promise<{ readonly t: string; readonly u: string }> {
  const { id: t } = await subscribe(db, 'https://example.com/t', { tenant: 't' })
  const { id: u } = await subscribe(db, 'https://example.com/u', { tenant: 'u' })
  await db.query('select walhook.pause(id) from walhook.subscriptions')
  await db.query(
    `with e as (
       insert into walhook.outbox (type, key, tenant, payload, created_at)
       select case when n % 4 < 2 then 'order.paid' else 'user.left' end, 'k' || n % 3, case when n % 2 = 0 then 't' else 'u' end, '{}',
         now() - (40 - n) * interval '1 minute'
       from generate_series(1, 40) as n returning id, tenant, created_at
     )
     insert into walhook.deliveries (event_id, subscription_id, state, attempts, finished_at, last_status, last_error, created_at)
     select e.id, case e.tenant when 't' then $1::uuid else $2::uuid end,
       case when row_number() over (order by e.created_at) % 5 = 0 then 'dead' else 'delivered' end, 1, e.created_at,
       case when row_number() over (order by e.created_at) % 5 = 0 then 503 else 204 end, null, e.created_at
     from e order by e.created_at`,
    [t, u],
  )
  return { t, u }
}

interface Listed {
  readonly id: string
}

test('deliveries are listed in pages that do not shift, filtered, and sent again by filter; a tenant has its own', async ({
  db,
  sidecar,
}) => {
  const { t, u } = await history(db)
  const { url } = await sidecar()
  const made = await apiAt(url)('POST', '/v1/keys', { json: { scope: 'admin' } })
  const admin = apiAt(url, made.body.key)
  const ofT = apiAt(
    url,
    (await admin('POST', '/v1/keys', { json: { scope: 'operate', tenant: 't' } })).body.key,
  )
  const reader = apiAt(
    url,
    (await admin('POST', '/v1/keys', { json: { scope: 'read', tenant: 't' } })).body.key,
  )

  const seen: number[] = []
  let cursor = ''
  for (let pages = 0; pages < 9; pages++) {
    const { body } = await admin('GET', `/v1/deliveries?limit=7${cursor}`)
    seen.push(...body.data.map(({ id }: Listed) => Number(id)))
    // What comes meanwhile is no part of what was begun.
    await publish(db, { tenant: 't' })
    if (body.next_cursor === null) break
    cursor = `&cursor=${body.next_cursor}`
  }
  expect(seen.filter((id) => id <= 40)).toEqual(Array.from({ length: 40 }, (_, i) => 40 - i))

  const now = Date.now()
  const ago = (minutes: number): string => new Date(now - minutes * 60_000).toISOString()
  const count = async (query: string, api = admin): Promise<number> =>
    (await api('GET', `/v1/deliveries?limit=200&${query}`)).body.data.length as number
  const counts: Record<string, number> = {}
  for (const query of [
    'state=dead',
    'status=5xx',
    'status=503&state=delivered',
    `subscription_id=${t}&state=delivered`,
    'tenant=u',
    'event_type=order.*&status=204',
    'key=k0&state=dead',
    `until=${ago(10.5)}&since=${ago(20.5)}`,
    'error=timeout',
  ])
    counts[query.replaceAll(/=[0-9TZ:.-]{20,}|=[0-9a-f-]{36}/g, '=…')] = await count(query)
  expect(counts).toEqual({
    'state=dead': 8,
    'status=5xx': 8,
    'status=503&state=delivered': 0,
    'subscription_id=…&state=delivered': 16,
    'tenant=u': 20,
    'event_type=order.*&status=204': 16,
    'key=k0&state=dead': 2,
    'until=…&since=…': 10,
    'error=timeout': 0,
  })
  for (const query of ['state=sent', 'status=6xx', 'cursor=1', 'subscription_id=x', 'colour=1'])
    expect({ query, status: (await admin('GET', `/v1/deliveries?${query}`)).status }).toEqual({
      query,
      status: 400,
    })

  expect(await count('state=dead', ofT)).toBe(4)
  expect(await count('tenant=u', ofT)).toBe(0)
  expect(await count(`subscription_id=${u}`, ofT)).toBe(0)
  const [foreign] = (await admin('GET', `/v1/deliveries?subscription_id=${u}&state=dead&limit=1`)).body.data
  for (const [method, path] of [
    ['GET', ''],
    ['GET', '/curl'],
    ['POST', '/resend'],
    ['POST', '/cancel'],
  ] as const)
    expect((await ofT(method, `/v1/deliveries/${foreign.id}${path}`)).status).toBe(404)
  expect((await ofT('GET', `/v1/subscriptions/${t}/deliveries?state=dead`)).body.data).toHaveLength(4)
  expect((await ofT('GET', `/v1/subscriptions/${u}/deliveries`)).status).toBe(404)
  const resend = (json: unknown, api = ofT) => api('POST', '/v1/deliveries/resend', { json })
  expect((await resend({ ids: [foreign.id] })).status).toBe(404)
  expect((await resend({ status: '5xx' }, reader)).status).toBe(403)

  expect((await resend({ status: '5xx', dry_run: true })).body).toEqual({
    dry_run: true,
    matched: 4,
    replays: [{ id: null, subscription_id: t, total: 4 }],
  })
  expect((await resend({ dry_run: true, tenant: 'u' })).body.matched).toBe(0)
  expect((await resend({ dry_run: true, subscription_id: u })).body.matched).toBe(0)
  expect((await resend({ dry_run: true, until: ago(20) }, admin)).body).toMatchObject({ matched: 4 })
  const [own] = (await ofT('GET', '/v1/deliveries?state=dead&limit=1')).body.data
  expect((await resend({ ids: [own.id] })).body).toEqual({ dry_run: false, matched: 1, replays: [] })
  const sent = await resend({ error: 'timeout', state: 'dead' })
  expect(sent.body.matched).toBe(0)
  expect((await resend({ status: '503' })).body).toMatchObject({
    matched: 3,
    replays: [{ id: expect.any(String) }],
  })
  expect((await resend({ ids: ['1'], status: '503' })).status).toBe(422)
  const [cancelled] = (await ofT('GET', '/v1/deliveries?limit=1')).body.data
  expect(
    (await resend({ event_id: cancelled.event_id, state: 'delivered', status: '204' })).body.matched,
  ).toBe(0)
  expect((await resend({ event_id: own.event_id, dry_run: true })).body).toEqual({
    dry_run: true,
    matched: 0,
    replays: [],
  })
  expect((await resend({}, admin)).status).toBe(422)
  expect((await resend({ state: 'pending' }, admin)).status).toBe(400)
  expect((await resend({ state: 'delivered', key: 'k1' }, admin)).status).toBe(422)
})
