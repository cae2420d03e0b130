/** The CloudEvents webhook handshake: nothing is delivered before the endpoint consents, and what it said is remembered. */
import { expect } from 'vitest'
import { loadSubscriptions } from '../../src/store/subscriptions.ts'
import { Database } from '../../src/store/database.ts'
import { aSecret, subscribeWith } from '../support/access.ts'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { hang, type ReceivedRequest, type Reply, respond } from '../support/receiver.ts'
import { deliveries, publish, publishTogether, untilSettled } from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

const consenting =
  (headers: Readonly<Record<string, string>>) =>
  ({ method }: ReceivedRequest): Reply =>
    method === 'OPTIONS' ? respond(200, { headers }) : respond(204)

const methods = (requests: readonly ReceivedRequest[]): string[] => requests.map(({ method }) => method)

interface ConsentRow {
  readonly consent: string
  readonly allowed_rate: number | null
  readonly refused_for: string | null
  readonly refusals: number | null
  readonly again_in_s: number | null
}

function consents(db: TestDatabase): Promise<ConsentRow[]> {
  return db.query<ConsentRow>(
    `select consent, allowed_rate, refused_for, refusals,
       round(extract(epoch from asked_again_at - asked_at))::integer as again_in_s from walhook.consent_status`,
  )
}

eachPlugin(() => {
  test('an endpoint is asked once, as it is called later, and then gets what waited', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const env = { WALHOOK_ORIGIN: 'webhooks.example.com' }
    const { logs } = await sidecar(env)
    await sidecar(env)
    const token = aSecret()
    receiver.on(
      '/hook',
      consenting({ 'WebHook-Allowed-Origin': 'webhooks.example.com', 'WebHook-Allowed-Rate': '6000' }),
    )
    const { id } = await subscribeWith(db, receiver.url('/hook'), {
      auth: { type: 'bearer', token },
      handshake: true,
      rateLimit: '50/s',
    })
    expect(await consents(db)).toMatchObject([{ consent: 'not asked' }])
    for (let n = 0; n < 10; n++) await publish(db)
    await untilSettled(db, 10)
    const [asked, ...delivered] = receiver.requests('/hook')
    expect(methods([...delivered])).toEqual(delivered.map(() => 'POST'))
    expect(delivered).toHaveLength(10)
    expect(asked).toMatchObject({
      method: 'OPTIONS',
      headers: {
        'webhook-request-origin': 'webhooks.example.com',
        'webhook-request-rate': '3000',
        authorization: `Bearer ${token}`,
      },
    })
    expect(asked?.body).toHaveLength(0)
    expect(asked?.headers['webhook-request-callback']).toBeUndefined()
    for (const { headers } of delivered) expect(headers.origin).toBe('webhooks.example.com')
    expect(await consents(db)).toMatchObject([{ consent: 'given', allowed_rate: 6000, again_in_s: null }])
    expect((await deliveries(db)).map(({ attempts }) => attempts)).toEqual(delivered.map(() => 1))
    const given = logs.all('consent.given')
    if (given.length > 0) expect(given).toMatchObject([{ subscription_id: id, requests_per_minute: 6000 }])
  })

  test('an endpoint that does not consent gets nothing but the question, until it is asked again and does', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar()
    receiver.on('/hook', [respond(200, { body: 'a page that answers everything' })])
    const { id } = await subscribeWith(db, receiver.url('/hook'), { handshake: true })
    const other = await subscribeWith(db, receiver.url('/other'), {})
    for (let n = 0; n < 5; n++) await publish(db)
    expect(await logs.waitFor('consent.refused')).toMatchObject({
      level: 'warn',
      subscription_id: id,
      reason: 'no_allowed_origin',
      again_in_ms: 60_000,
    })
    await untilSettled(db, 5, { subscription: other })
    await eventually(async () =>
      expect((await deliveries(db, { id })).map(({ waits_as, attempts }) => [waits_as, attempts])).toEqual(
        Array.from({ length: 5 }, () => ['awaiting consent', 0]),
      ),
    )
    expect(await consents(db)).toEqual([
      {
        consent: 'refused',
        allowed_rate: null,
        refused_for: 'no_allowed_origin',
        refusals: 1,
        again_in_s: 60,
      },
    ])
    // Probes that find it too early to ask: several come by in this time.
    await eventually(async () => {
      const [row] = await db.query<{ probes: boolean }>(
        `select now() > asked_at + interval '3.5 s' as probes from walhook.consents`,
      )
      expect(row?.probes).toBe(true)
    })
    expect(methods(receiver.requests('/hook'))).toEqual(['OPTIONS'])

    receiver.on('/hook', consenting({ 'webhook-allowed-origin': '*' }))
    await db.query(
      `update walhook.subscriptions set description = 'they say that it works now' where id = $1`,
      [id],
    )
    await untilSettled(db, 5, { subscription: { id }, withinMs: 20_000 })
    expect(methods(receiver.requests('/hook')).sort()).toEqual([
      'OPTIONS',
      'OPTIONS',
      ...Array(5).fill('POST'),
    ])
    expect(await logs.waitFor('consent.given')).toMatchObject({ requests_per_minute: 'any' })
  })
})

test('a consent is remembered over a restart, and not for another URL or another origin', async ({
  db,
  receiver,
  sidecar,
}) => {
  const first = await sidecar()
  for (const path of ['/here', '/there'])
    receiver.on(path, consenting({ 'webhook-allowed-origin': 'walhook' }))
  await subscribeWith(db, receiver.url('/here'), { handshake: true })
  await publish(db)
  await untilSettled(db, 1)
  await first.stop()
  const second = await sidecar()
  await publish(db)
  await untilSettled(db, 2)
  expect(methods(receiver.requests())).toEqual(['OPTIONS', 'POST', 'POST'])

  await db.query('update walhook.subscriptions set url = $1', [receiver.url('/there')])
  await eventually(async () => {
    await publish(db)
    expect(receiver.requests('/there').length).toBeGreaterThan(1)
  })
  expect(methods(receiver.requests('/there')).slice(0, 2)).toEqual(['OPTIONS', 'POST'])
  await second.stop()
  const third = await sidecar({ WALHOOK_ORIGIN: 'another.example.com' })
  await publish(db)
  expect(await third.logs.waitFor('consent.refused')).toMatchObject({ reason: 'another_allowed_origin' })
})

test.for([
  ['hangs', hang(), 'timeout'],
  ['does not know the method', respond(405), 'status_405'],
  [
    'redirects with the headers',
    respond(302, { headers: { 'webhook-allowed-origin': '*', location: '/' } }),
    'status_302',
  ],
  [
    'consents to another',
    respond(200, { headers: { 'webhook-allowed-origin': 'evil.example' } }),
    'another_allowed_origin',
  ],
  [
    'allows no rate',
    respond(200, { headers: { 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '0' } }),
    'unreadable_allowed_rate',
  ],
] as const)('an endpoint that %s does not consent', async ([, reply, reason], { db, receiver, sidecar }) => {
  const { logs } = await sidecar()
  receiver.on('/hook', [reply])
  await subscribeWith(db, receiver.url('/hook'), { handshake: true, timeout: '300ms' })
  await publish(db)
  expect(await logs.waitFor('consent.refused')).toMatchObject({ reason })
  // Held, it would be due in a minute.
  await eventually(async () =>
    expect(
      await db.query(
        `select waits_as, attempts, next_attempt_at <= now() as "isGivenBack" from walhook.delivery_status`,
      ),
    ).toEqual([{ waits_as: 'awaiting consent', attempts: 0, isGivenBack: true }]),
  )
  expect(methods(receiver.requests('/hook'))).toEqual(['OPTIONS'])
})

test('the pause after refusals grows to an hour, and who died while asking costs a minute', async ({
  db,
}) => {
  const pauses = await db.query<{ minutes: number }>(
    `select extract(epoch from walhook.consent_pause(n))::integer / 60 as minutes from unnest('{0,1,2,3,6,7,100}'::integer[]) as n`,
  )
  expect(pauses.map(({ minutes }) => minutes)).toEqual([1, 1, 2, 4, 32, 60, 60])
})

test('the slower of the allowed rate and the subscription’s own limits it', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  receiver.on('/slow', consenting({ 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '30' }))
  receiver.on('/fast', consenting({ 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '60000' }))
  const [slow, fast] = [
    await subscribeWith(db, receiver.url('/slow'), { handshake: true, rateLimit: '10/s burst 50' }),
    await subscribeWith(db, receiver.url('/fast'), { handshake: true, rateLimit: '10/s burst 50' }),
  ]
  await publish(db)
  await receiver.waitFor((all) => all.filter(({ method }) => method === 'POST').length === 2)
  await using database = new Database({ url: db.url, maxConnections: 1 })
  const loaded = await loadSubscriptions(database, [slow.id, fast.id], [], () => undefined, {
    origin: 'walhook',
    now: Date.now(),
  })
  const limits = new Map(loaded.map(({ id, rateLimit }) => [id, rateLimit]))
  expect(limits.get(slow.id)).toEqual({ perSecond: 0.5, burst: 1 })
  expect(limits.get(fast.id)).toEqual({ perSecond: 10, burst: 50 })
})

test('what waited for a consent comes no faster than it allows, from all replicas together', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  await sidecar()
  receiver.on('/hook', consenting({ 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '120' }))
  await subscribeWith(db, receiver.url('/hook'), { handshake: true })
  await publishTogether(db, 8)
  await untilSettled(db, 8)
  const arrivals = receiver
    .requests()
    .filter(({ method }) => method === 'POST')
    .map(({ arrivedAtMs }) => arrivedAtMs)
  expect(arrivals).toHaveLength(8)
  // Two at once, and then two a second.
  expect((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)).toBeGreaterThan(2_700)
})
