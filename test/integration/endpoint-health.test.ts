/** How long an endpoint may fail, and who hears of it: told, disabled, resumed, recovered; and nobody's failure feeds itself. */
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { type ReceivedRequest, type Receiver, respond } from '../support/receiver.ts'
import {
  deliveries,
  publish,
  subscribe,
  type Subscribed,
  untilRecorded,
  untilSettled,
} from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

/** Attempts follow one another at once, and a delivery outlives the test. */
const PATIENT = { retrySchedule: Array.from({ length: 100 }, () => '100ms') }
const ONCE = { retrySchedule: [] }

interface Told {
  readonly type: string
  readonly data: Readonly<Record<string, unknown>>
}

const told = (receiver: Receiver, path = '/operator'): readonly Told[] => receiver.requests(path).map(asTold)
const asTold = ({ body }: ReceivedRequest): Told => JSON.parse(body.toString()) as Told
const typesOf = (events: readonly Told[]): readonly string[] => events.map(({ type }) => type)

/**
 * An endpoint of the operator's, whose requests are checked by an outside verifier. What it is told of may come to it over the log
 * a moment before the same commit can be seen by a query.
 */
async function subscribeOperator(db: TestDatabase, receiver: Receiver): Promise<Subscribed> {
  const operator = await subscribe(db, receiver.url('/operator'), {
    tenant: 'walhook',
    eventTypes: ['walhook.*'],
  })
  receiver.verify('/operator', operator.secret)
  return operator
}

const operatorEvents = (db: TestDatabase): Promise<{ type: string }[]> =>
  db.query(`select type from walhook.outbox where type like 'walhook.%' order by created_at, id`)

const stateOf = (db: TestDatabase, { id }: Subscribed): Promise<unknown[]> =>
  db.query('select state, state_reason from walhook.subscriptions where id = $1', [id])

async function untilFailing(db: TestDatabase, { id }: Subscribed, failures = 5): Promise<void> {
  await eventually(async () => {
    const rows = await db.query(
      'select from walhook.subscription_health where id = $1 and failures_in_a_row >= $2',
      [id, failures],
    )
    expect(rows).toHaveLength(1)
  })
}

/** As if so much time had passed. */
async function age(db: TestDatabase, { id }: Subscribed, by: string): Promise<void> {
  await db.query(
    'update walhook.failing_endpoints set since = since - $2::interval where subscription_id = $1',
    [id, by],
  )
}

async function counted(url: string, metric: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const line = text.split('\n').find((each) => each.startsWith(`${metric} `)) ?? ''
  return Number(line.slice(metric.length + 1))
}

eachPlugin(() => {
  test('an endpoint that goes on failing is told of once, and once more when it recovers', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar()
    await subscribeOperator(db, receiver)
    const url = receiver.url('/hook/token?key=hunter2')
    const failing = await subscribe(db, url, { ...PATIENT, eventTypes: ['order.*'], tenant: 'acme' })
    // None that opens the circuit.
    let status = 403
    receiver.on('/hook/token?key=hunter2', () => respond(status))
    await publish(db, { tenant: 'acme' })
    await untilFailing(db, failing)
    expect(await operatorEvents(db)).toEqual([])

    await age(db, failing, '1 hour')
    const [request] = await receiver.waitFor(1, { path: '/operator' })
    expect(request?.forged).toBeUndefined()
    expect(told(receiver)).toMatchObject([
      {
        type: 'walhook.subscription.failing',
        data: {
          subscription_id: failing.id,
          tenant: 'acme',
          origin: new URL(url).origin,
          last_status: 403,
          last_error: null,
          failures: expect.any(Number),
          failing_since: expect.any(String),
          disabled_at: expect.any(String),
        },
      },
    ])
    // What is in an URL may be a secret.
    expect(String(request?.body)).not.toMatch(/hunter2|token/)
    await untilFailing(db, failing, Number(told(receiver)[0]?.data['failures']) + 2)
    expect(await operatorEvents(db)).toHaveLength(1)

    status = 200
    await receiver.waitFor(2, { path: '/operator' })
    expect(typesOf(told(receiver))).toEqual([
      'walhook.subscription.failing',
      'walhook.subscription.recovered',
    ])
    expect(told(receiver)[1]?.data).toMatchObject({
      subscription_id: failing.id,
      failing_since: told(receiver)[0]?.data['failing_since'],
    })
    await untilSettled(db, 3)
    expect(
      await db.query(
        'select failing_since, failures_in_a_row from walhook.subscription_health where id = $1',
        [failing.id],
      ),
    ).toEqual([{ failing_since: null, failures_in_a_row: null }])
    expect(await db.query('select from walhook.failing_endpoints')).toEqual([])
    for (const name of ['subscription.failing', 'subscription.recovered']) {
      await logs.waitFor(name)
      expect(logs.all(name)).toMatchObject([{ subscription_id: failing.id }])
    }
  })

  test('failing for disable_after disables; what it is owed waits; and resuming it begins anew', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs, url } = await sidecar()
    await subscribeOperator(db, receiver)
    const failing = await subscribe(db, receiver.url('/hook'), { ...PATIENT, eventTypes: ['order.*'] })
    await db.query(`update walhook.subscriptions set disable_after = '1m' where id = $1`, [failing.id])
    let status = 422
    receiver.on('/hook', () => respond(status))
    const first = await publish(db)
    await untilFailing(db, failing)
    await age(db, failing, '1 minute')
    await receiver.waitFor(2, { path: '/operator' })
    expect(told(receiver)).toMatchObject([
      { type: 'walhook.subscription.failing', data: { subscription_id: failing.id } },
      {
        type: 'walhook.subscription.disabled',
        data: { subscription_id: failing.id, reason: 'failing', last_status: 422 },
      },
    ])
    await eventually(async () => {
      expect(await stateOf(db, failing)).toEqual([
        { state: 'disabled', state_reason: 'failing for 1m: last 422' },
      ])
      expect(logs.all('subscription.disabled')).toMatchObject([
        { subscription_id: failing.id, reason: 'failing' },
      ])
      expect(await counted(url, 'walhook_subscriptions_disabled_total{reason="failing"}')).toBe(1)
    })

    const second = await publish(db)
    await untilRecorded(db)
    expect(await deliveries(db, failing)).toMatchObject([
      { event_id: first, state: 'pending', waits_as: 'parked' },
      { event_id: second, state: 'pending', waits_as: 'parked', attempts: 0 },
    ])
    expect(
      await db.query(
        "select pending::int, parked::int, oldest_age > interval '0' as ages, drained_in from walhook.backlog where subscription_id = $1",
        [failing.id],
      ),
    ).toEqual([{ pending: 2, parked: 2, ages: true, drained_in: null }])

    // Whatever it did before it was resumed is not held against it.
    const before = receiver.requests('/hook').length
    await db.query('select walhook.resume($1)', [failing.id])
    await receiver.waitFor(before + 6, { path: '/hook' })
    await untilFailing(db, failing)
    expect(await stateOf(db, failing)).toEqual([{ state: 'active', state_reason: null }])

    status = 204
    await receiver.waitFor(3, { path: '/operator' })
    expect(typesOf(told(receiver)).slice(2)).toEqual(['walhook.subscription.recovered'])
    await untilSettled(db, 2, { subscription: failing })
    expect(await deliveries(db, failing)).toMatchObject([{ state: 'delivered' }, { state: 'delivered' }])
  })

  test('a few failures long ago do not disable, and a success in between begins anew', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const seldom = await subscribe(db, receiver.url('/hook'), ONCE)
    receiver.on('/hook', [respond(500), respond(500), respond(200), respond(500)])
    for (let n = 1; n <= 2; n++) {
      await publish(db)
      await untilSettled(db, n)
      await age(db, seldom, '10 days')
    }
    expect(await stateOf(db, seldom)).toEqual([{ state: 'active', state_reason: null }])
    const health = (): Promise<unknown[]> =>
      db.query(
        `select failures_in_a_row as failures, now() - failing_since < interval '1 minute' as young
         from walhook.subscription_health`,
      )
    expect(await health()).toEqual([{ failures: 2, young: false }])
    await publish(db)
    await untilSettled(db, 3)
    expect(await health()).toEqual([{ failures: null, young: null }])
    await publish(db)
    await untilSettled(db, 4)
    expect(await health()).toEqual([{ failures: 1, young: true }])
  })

  test('a dead letter is told, unless nobody asks for it', async ({ db, receiver, sidecar }) => {
    await sidecar()
    receiver.on('/hook', () => respond(404))
    const failing = await subscribe(db, receiver.url('/hook'), { ...ONCE, eventTypes: ['order.*'] })
    // "*" alone is no wish for what Walhook itself has to say.
    await subscribe(db, receiver.url('/everything'))
    await publish(db)
    await untilSettled(db, 2)
    expect(await operatorEvents(db)).toEqual([])

    await subscribeOperator(db, receiver)
    const id = await publish(db, { key: 'order 17' })
    const [request] = await receiver.waitFor(1, { path: '/operator' })
    const [dead] = (await deliveries(db, failing)).slice(-1)
    expect({ ...(request && asTold(request)), forged: request?.forged }).toMatchObject({
      type: 'walhook.delivery.dead',
      data: {
        subscription_id: failing.id,
        delivery_id: dead?.id,
        event_id: id,
        event_type: 'order.created',
        event_key: 'order 17',
        attempts: 1,
        last_status: 404,
        last_error: null,
      },
      forged: undefined,
    })
  })

  test('an operator endpoint that is dead itself is told of nothing more for it', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    receiver.on('/operator', () => respond(500))
    receiver.on('/nameless', () => respond(500))
    receiver.on('/hook', () => respond(404))
    const operator = await subscribe(db, receiver.url('/operator'), { ...ONCE, tenant: 'walhook' })
    const nameless = await subscribe(db, receiver.url('/nameless'), { ...ONCE, eventTypes: ['walhook.*'] })
    await subscribe(db, receiver.url('/hook'), { ...ONCE, eventTypes: ['order.*'] })
    for (let n = 0; n < 6; n++) await publish(db)
    await untilSettled(db, 3 * 6)
    expect(await operatorEvents(db)).toHaveLength(6)

    // They fail on, for days.
    await age(db, operator, '6 days')
    await age(db, nameless, '6 days')
    await publish(db)
    await eventually(async () => {
      expect(await stateOf(db, operator)).toMatchObject([{ state: 'disabled' }])
      expect(await stateOf(db, nameless)).toMatchObject([{ state: 'disabled' }])
    })
    await untilRecorded(db)
    expect(typesOf((await operatorEvents(db)) as Told[])).toEqual([
      ...Array.from({ length: 7 }, () => 'walhook.delivery.dead'),
      // Of the one that is nobody's in particular.
      'walhook.subscription.disabled',
    ])
  })

  test('an endpoint that answers webhook-delivery: disable is disabled, and its outcome stands', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar()
    await subscribeOperator(db, receiver)
    const asks = (status: number) => respond(status, { headers: { 'webhook-delivery': 'Disable' } })
    receiver.on('/accepts', [asks(200), respond(200)])
    receiver.on('/refuses', [asks(500), respond(200)])
    const accepts = await subscribe(db, receiver.url('/accepts'), { ...PATIENT, eventTypes: ['order.*'] })
    const refuses = await subscribe(db, receiver.url('/refuses'), { ...PATIENT, eventTypes: ['order.*'] })
    await publish(db)
    await receiver.waitFor(2, { path: '/operator' })
    expect(new Set(told(receiver).map(({ data }) => data['reason']))).toEqual(new Set(['asked']))
    await eventually(async () => {
      for (const each of [accepts, refuses])
        expect(await stateOf(db, each)).toEqual([
          { state: 'disabled', state_reason: 'the endpoint asked for it' },
        ])
      expect(logs.all('subscription.disabled')).toMatchObject([{ reason: 'asked' }, { reason: 'asked' }])
    })
    expect(await deliveries(db, accepts)).toMatchObject([{ state: 'delivered', attempts: 1 }])
    expect(await deliveries(db, refuses)).toMatchObject([
      { state: 'pending', waits_as: 'parked', attempts: 1 },
    ])

    await db.query('select walhook.resume($1)', [refuses.id])
    await untilSettled(db, 1, { subscription: refuses })
    expect(await deliveries(db, refuses)).toMatchObject([{ state: 'delivered', attempts: 2 }])
  })

  test('an endpoint that answers webhook-delivery: abort does not get that delivery again, but others', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const abort = { headers: { 'webhook-delivery': 'abort' } }
    receiver.on('/hook', [respond(503, abort), respond(200, abort), respond(200)])
    const subscription = await subscribe(db, receiver.url('/hook'), PATIENT)
    await publish(db)
    await untilSettled(db, 1)
    await publish(db)
    await untilSettled(db, 2)
    expect(await deliveries(db)).toMatchObject([
      { state: 'dead', attempts: 1, last_status: 503, last_error: 'aborted_by_endpoint' },
      { state: 'delivered', attempts: 1, last_status: 200, last_error: null },
    ])
    expect(await stateOf(db, subscription)).toEqual([{ state: 'active', state_reason: null }])
  })
})
