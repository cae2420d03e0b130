/** What follows an attempt, on the wire and in the tables: schedules, Retry-After, error classes, the circuit. */
import { gzipSync } from 'node:zlib'
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { hang, type Receiver, type Reply, respond, type Script } from '../support/receiver.ts'
import {
  attemptsOf,
  deliveries,
  publish,
  subscribe,
  type SubscriptionWish,
  untilSettled,
} from '../support/sql-surface.ts'

/** Milliseconds between the arrivals at a path. */
function pausesMs(receiver: Receiver, path: string): readonly number[] {
  const arrivals = receiver.requests(path).map(({ arrivedAtMs }) => arrivedAtMs)
  return arrivals.slice(1).map((at, i) => at - (arrivals[i] ?? 0))
}

interface EvilEndpoint {
  readonly reply: Reply
  readonly wish?: SubscriptionWish
  readonly comesTo: {
    readonly state: string
    readonly last_status: number | null
    readonly last_error: string | null
  }
}

const BOMB = gzipSync(Buffer.alloc(50 * 1024 * 1024))
const once = { retrySchedule: [] }

/** What an endpoint may do, and what its attempt comes to. */
const EVIL: Readonly<Record<string, EvilEndpoint>> = {
  '/garbage': {
    reply: { kind: 'raw', bytes: '\u0001\u0002 this is not HTTP\r\n\r\n' },
    wish: once,
    comesTo: { state: 'dead', last_status: null, last_error: 'invalid_response' },
  },
  '/endless-headers': {
    reply: { kind: 'raw', bytes: `HTTP/1.1 200 OK\r\n${'x-padding: 0123456789\r\n'.repeat(5_000)}\r\n` },
    wish: once,
    comesTo: { state: 'dead', last_status: null, last_error: 'invalid_response' },
  },
  '/hangs-up': {
    reply: { kind: 'reset', after: 'request' },
    wish: once,
    comesTo: { state: 'dead', last_status: null, last_error: 'reset' },
  },
  '/never': {
    reply: hang(),
    wish: { ...once, timeout: '300ms' },
    comesTo: { state: 'dead', last_status: null, last_error: 'timeout' },
  },
  '/redirect': {
    reply: respond(302, { headers: { location: '/accepts' } }),
    wish: once,
    comesTo: { state: 'dead', last_status: 302, last_error: null },
  },
  // A status that was read stands, whatever the body does after it.
  '/drips': {
    reply: { kind: 'drip', bytes: 1_000, everyMs: 100 },
    wish: { ...once, timeout: '400ms' },
    comesTo: { state: 'delivered', last_status: 200, last_error: 'response_incomplete' },
  },
  '/breaks-off': {
    reply: { kind: 'reset', after: 'headers' },
    wish: once,
    comesTo: { state: 'delivered', last_status: 200, last_error: 'response_incomplete' },
  },
  '/twenty-megabytes': {
    reply: { kind: 'flood', bytes: 20 * 1024 * 1024 },
    wish: once,
    comesTo: { state: 'delivered', last_status: 200, last_error: 'response_too_large' },
  },
  '/bomb': {
    reply: respond(200, { headers: { 'content-encoding': 'gzip' }, body: BOMB.subarray(0, 60_000) }),
    wish: once,
    comesTo: { state: 'delivered', last_status: 200, last_error: null },
  },
  '/binary': {
    reply: respond(200, { body: Buffer.from([0, 255, 0, 254, 0x61]) }),
    wish: once,
    comesTo: { state: 'delivered', last_status: 200, last_error: null },
  },
}

eachPlugin(() => {
  test('an endpoint that answers badly costs itself an attempt with its error class, and nobody else anything', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar()
    await subscribe(db, receiver.url('/accepts'))
    for (const [path, { reply, wish }] of Object.entries(EVIL)) {
      receiver.on(path, () => reply)
      await subscribe(db, receiver.url(path), wish)
    }
    // Nobody listens there.
    await subscribe(db, 'http://127.0.0.1:1/nobody', once)
    await subscribe(db, 'http://name.invalid/', once)
    const started = performance.now()
    const id = await publish(db)
    await receiver.waitFor(1, { path: '/accepts' })
    expect(performance.now() - started).toBeLessThan(5_000)

    const rows = await untilSettled(db, Object.keys(EVIL).length + 3)
    const outcome = (url: string): unknown => {
      const row = rows.find((each) => each.url === url)
      return row && { state: row.state, last_status: row.last_status, last_error: row.last_error }
    }
    for (const [path, { comesTo }] of Object.entries(EVIL))
      expect(outcome(receiver.url(path)), path).toEqual(comesTo)
    expect(outcome('http://127.0.0.1:1/nobody')).toMatchObject({
      state: 'dead',
      last_error: 'connect_refused',
    })
    expect(outcome('http://name.invalid/')).toMatchObject({ state: 'dead', last_error: 'dns' })
    expect(outcome(receiver.url('/accepts'))).toMatchObject({ state: 'delivered' })

    const attempts = await attemptsOf(db, id)
    expect(attempts).toHaveLength(rows.length)
    for (const { response_body } of attempts)
      expect(Buffer.byteLength(response_body ?? '')).toBeLessThanOrEqual(4_096 * 3)
    expect(attempts.filter(({ response_body }) => (response_body ?? '').length > 4_096)).toEqual([])
    expect(receiver.requests('/accepts')).toHaveLength(1)
    expect(logs.all('settlement.failed')).toEqual([])
  })

  test("an attempt ends by the subscription's own timeout", async ({ db, receiver, sidecar }) => {
    await sidecar()
    receiver.on('/hook', () => hang())
    await subscribe(db, receiver.url('/hook'), { timeout: '250ms', retrySchedule: ['20ms'] })
    const id = await publish(db)
    await untilSettled(db, 1)
    const attempts = await attemptsOf(db, id)
    expect(attempts.map(({ error }) => error)).toEqual(['timeout', 'timeout'])
    for (const { duration_ms } of attempts) {
      expect(duration_ms).toBeGreaterThanOrEqual(245)
      expect(duration_ms).toBeLessThan(2_500)
    }
  })

  test('Retry-After is waited for after 429 and 503, in seconds or as a date, up to the longest delay, and never shortens one', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const asks = (status: number, after: string): Script => [
      respond(status, { headers: { 'retry-after': after } }),
      respond(200),
    ]
    const inTwoSeconds = new Date(Date.now() + 2_900).toUTCString()
    const retrySchedule = ['200ms', '1200ms']
    const scripts: Readonly<Record<string, Script>> = {
      '/seconds': asks(429, '1'),
      '/date': asks(503, inTwoSeconds),
      '/too-long': asks(429, '86400'),
      '/sooner': asks(429, '0'),
      '/past': asks(503, new Date(0).toUTCString()),
      '/nonsense': asks(503, 'in a while'),
      '/not-asked-for': asks(500, '86400'),
    }
    for (const [path, script] of Object.entries(scripts)) {
      receiver.on(path, script)
      await subscribe(db, receiver.url(path), { retrySchedule })
    }
    await publish(db)
    await untilSettled(db, Object.keys(scripts).length)

    const pause = (path: string): number => pausesMs(receiver, path)[0] ?? 0
    expect(pause('/seconds')).toBeGreaterThanOrEqual(995)
    expect(pause('/date')).toBeGreaterThanOrEqual(995)
    // Capped at the longest delay, which is all that keeps a day away.
    expect(pause('/too-long')).toBeGreaterThanOrEqual(1_195)
    for (const path of ['/sooner', '/past', '/nonsense', '/not-asked-for'])
      expect(pause(path), path).toBeGreaterThanOrEqual(155)
  })

  test('with retry_on transient, what is not of the moment is dead at once', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const wish: SubscriptionWish = { retryOn: 'transient', retrySchedule: ['20ms', '20ms'] }
    const transient = [408, 425, 429, 500, 503]
    const lasting = [400, 401, 404, 422, 302]
    for (const status of [...transient, ...lasting]) {
      receiver.on(`/${status}`, () => respond(status))
      await subscribe(db, receiver.url(`/${status}`), wish)
    }
    receiver.on('/reset', () => ({ kind: 'reset', after: 'request' }))
    await subscribe(db, receiver.url('/reset'), wish)
    await publish(db)

    const rows = await untilSettled(db, transient.length + lasting.length + 1)
    expect(new Set(rows.map(({ state }) => state))).toEqual(new Set(['dead']))
    const attempts = Object.fromEntries(rows.map((row) => [new URL(row.url).pathname, row.attempts]))
    for (const status of transient) expect(attempts[`/${status}`], String(status)).toBe(3)
    for (const status of lasting) expect(attempts[`/${status}`], String(status)).toBe(1)
    expect(attempts['/reset']).toBe(3)
  })

  test('a dead endpoint is left alone but for a probe, uses up no attempts, and gets everything once it recovers', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar({ WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT: '1' })
    const subscription = await subscribe(db, receiver.url('/hook'), { retrySchedule: ['1h'] })
    receiver.on('/hook', () => respond(503))
    const events = 60
    for (let n = 0; n < events; n++) await publish(db)

    // Ten failures in a row open the circuit; then a second passes, and another two, before each probe.
    await receiver.waitFor(12, { withinMs: 20_000 })
    const pauses = pausesMs(receiver, '/hook')
    expect(pauses[9]).toBeGreaterThanOrEqual(950)
    expect(pauses[10]).toBeGreaterThanOrEqual(1_900)
    const rows = await deliveries(db, subscription)
    expect(rows).toHaveLength(events)
    expect(new Set(rows.map(({ state }) => state))).toEqual(new Set(['pending']))
    expect(rows.filter(({ attempts }) => attempts === 0).length).toBeGreaterThanOrEqual(events - 12)

    receiver.on('/hook', () => respond(200))
    await expect
      .poll(
        async () => (await deliveries(db, subscription)).filter(({ state }) => state === 'delivered').length,
        { timeout: 20_000 },
      )
      .toBe(events - 12)
    // The twelve that failed wait for their own retry.
    const waiting = (await deliveries(db, subscription)).filter(({ state }) => state === 'pending')
    expect(waiting.map(({ attempts, waits_as }) => [attempts, waits_as])).toEqual(
      waiting.map(() => [1, 'retry scheduled']),
    )
  })

  test('what is changed of a subscription is what its next attempt goes by', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    receiver.on('/old', () => respond(500))
    const { id } = await subscribe(db, receiver.url('/old'), { retrySchedule: ['1500ms'] })
    await publish(db)
    await receiver.waitFor(1, { path: '/old' })
    await db.query('update walhook.subscriptions set url = $2 where id = $1', [id, receiver.url('/new')])
    await receiver.waitFor(1, { path: '/new' })
    expect(await untilSettled(db, 1)).toMatchObject([{ state: 'delivered', attempts: 2 }])
    expect(receiver.requests('/old')).toHaveLength(1)
  })
})

test('a retry whose job somebody deleted is made all the same, a minute late, and counted', async ({
  db,
  receiver,
  sidecar,
}) => {
  const { logs, url } = await sidecar()
  await subscribe(db, receiver.url('/hook'), { retrySchedule: ['1h'] })
  receiver.on('/hook', [respond(500), respond(200)])
  await publish(db)
  await eventually(async () => expect(await deliveries(db)).toMatchObject([{ attempts: 1 }]))
  await db.query('delete from walhook_jobs.job')
  await db.query(`update walhook.deliveries set next_attempt_at = now() - interval '1 minute'`)
  await untilSettled(db, 1)
  expect(receiver.requests()).toHaveLength(2)
  await logs.waitFor('jobs.lost', ({ retries }) => retries === 1)
  expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/^walhook_jobs_lost_total 1$/m)
})
