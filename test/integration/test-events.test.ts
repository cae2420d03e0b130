/** Test events: one to the subscription that was asked about, and to nobody else, through everything that an event goes through. */
import { expect } from 'vitest'
import { walhookHere, walhookHereJson } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import {
  deliveries,
  dropSlot,
  publish,
  publishTogether,
  subscribe,
  untilRecorded,
  untilSettled,
} from '../support/sql-surface.ts'

const BACKLOG = 40

interface Sent {
  readonly event_id: string
  readonly delivery_id: string
}

test('a test arrives at its subscription alone, signed and at once, whatever it asks for; nothing finds it again', async ({
  db,
  receiver,
  sidecar,
}) => {
  const { logs } = await sidecar()
  const others = [
    await subscribe(db, receiver.url('/all')),
    await subscribe(db, receiver.url('/own'), { eventTypes: ['walhook.*'], tenant: 'acme' }),
  ]
  const { id, secret } = await subscribe(db, receiver.url('/hook'), {
    eventTypes: ['order.created'],
    tenant: 'acme',
    filter: '$.amount > 100',
    batch: { max_events: 100, max_wait: '30s' },
  })
  receiver.verify('/hook', secret)
  const [sent] = await db.query<Sent>(
    'select event_id, delivery_id::text from walhook.test_subscription($1)',
    [id],
  )
  const [request] = await receiver.waitFor(1)
  expect(request).toMatchObject({ path: '/hook', id: sent?.event_id, forged: undefined })
  expect(JSON.parse(request?.body.toString() ?? '')).toEqual({
    id: sent?.event_id,
    type: 'walhook.test',
    timestamp: expect.any(String),
    data: { subscription_id: id, message: expect.any(String) },
  })
  expect(request?.headers['walhook-event-type']).toBe('walhook.test')
  expect(await untilSettled(db, 1)).toMatchObject([
    { id: sent?.delivery_id, state: 'delivered', attempts: 1, subscription_id: id, last_status: 204 },
  ])

  // Whatever looks for somebody who is owed an event: the search after a gap, a backfill, a replay, and who asks.
  expect(
    await db.query(`select from walhook.matching_subscriptions('walhook.test', 'acme', '{}'::json)`),
  ).toEqual([])
  for (const other of others) {
    const [asked] = await db.query<{ total: string }>(
      'select total from walhook.replay(subscription_id => $1, backfill => true, dry_run => true)',
      [other.id],
    )
    expect(asked?.total).toBe('0')
  }
  const [again] = await db.query<{ total: string }>(
    `select total from walhook.replay(subscription_id => $1, states => '{delivered}', dry_run => true)`,
    [id],
  )
  expect(again?.total).toBe('0')
  // As retention leaves it: the event without its delivery.
  await db.query('delete from walhook.deliveries')
  await dropSlot(db)
  await eventually(() =>
    expect(
      logs.all().filter(({ msg, reason }) => msg === 'outbox.rescanned' && reason === 'slot_missing'),
    ).toHaveLength(1),
  )
  await untilRecorded(db)
  expect((await deliveries(db)).filter(({ event_id }) => event_id === sent?.event_id)).toEqual([])
  expect(receiver.requests('/own')).toEqual([])
  expect(receiver.requests('/hook')).toHaveLength(1)
})

test('the command waits for the outcome, tells it, and ends with 1 where the endpoint did not accept it', async ({
  db,
  receiver,
  sidecar,
}) => {
  const env = { DATABASE_URL: db.url }
  await sidecar()
  const { id } = await subscribe(db, receiver.url('/hook'), { eventTypes: ['a.b'], retrySchedule: [] })
  receiver.on('/hook', [respond(200, { body: 'hello\u001b[31m' }), respond(500, { body: 'sorry' })])
  const test = (...flags: readonly string[]) => walhookHere(['subscriptions', 'test', id, ...flags], env)
  const accepted = await test('--wait', '30s')
  expect(accepted).toMatchObject({ code: 0, stderr: '' })
  expect(accepted.stdout).toMatch(
    /^delivered: status 200 after \d+ ms; delivery \d+, webhook-id [0-9a-f-]{36}\n/,
  )
  expect(accepted.stdout).toContain('hello\\u001b[31m')
  const refused = await test('--wait', '30s', '--json')
  expect(refused).toMatchObject({
    code: 1,
    stderr: 'walhook: the test was not accepted: status 500 (test_failed)\n',
  })
  expect(JSON.parse(refused.stdout)).toMatchObject({
    test: {
      state: 'dead',
      attempt: { number: 1, response_status: 500, error: null, response_body: 'sorry' },
    },
  })

  await db.query(`select walhook.pause($1, 'they move')`, [id])
  expect(await test()).toMatchObject({
    code: 2,
    stdout: '',
    stderr: 'walhook: state has to be active for a test, and is paused (they move) (invalid_input)\n',
  })
  expect(await db.query('select from walhook.deliveries')).toHaveLength(2)
  const [overview] = await db.query<{ recent: readonly { outcome: string }[] }>(
    'select recent from walhook.subscription_overview',
  )
  expect(overview?.recent.map(({ outcome }) => outcome)).toEqual(['failed', 'delivered'])
})

test('a test does not wait behind a backlog', async ({ db, receiver, sidecar }) => {
  await sidecar()
  const { id } = await subscribe(db, receiver.url('/hook'))
  await db.query('update walhook.subscriptions set max_in_flight = 1, timeout = $1', ['30s'])
  await db.query('select walhook.pause($1)', [id])
  await publishTogether(db, BACKLOG)
  await eventually(async () => expect(await deliveries(db)).toHaveLength(BACKLOG))
  const released = Promise.withResolvers<void>()
  receiver.on('/hook', [{ kind: 'hold', until: released.promise, reply: respond(200) }, respond(200)])
  await db.query('select walhook.resume($1)', [id])
  const untilLeased = (count: number) =>
    eventually(async () =>
      expect(
        await db.query(
          `select from walhook.deliveries where next_attempt_at > created_at + interval '10 seconds'`,
        ),
      ).toHaveLength(count),
    )
  await receiver.waitFor(1)
  await untilLeased(BACKLOG)
  const [sent] = await db.query<Sent>('select * from walhook.test_subscription($1)', [id])
  await untilLeased(BACKLOG + 1)
  released.resolve()
  const requests = await receiver.waitFor(BACKLOG + 1)
  expect(requests.findIndex((request) => request.id === sent?.event_id)).toBeLessThan(BACKLOG / 2)
  await untilSettled(db, BACKLOG + 1)
})

test('without a sidecar a test is under way, and goes out once there is one', async ({
  db,
  receiver,
  sidecar,
}) => {
  const env = { DATABASE_URL: db.url }
  const first = await sidecar()
  await first.stop()
  const { id } = await subscribe(db, receiver.url('/hook'), { eventTypes: ['a.b'] })
  const underWay = await walhookHere(['subscriptions', 'test', id, '--wait', '0s'], env)
  expect(underWay).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^delivery 1 is under way /),
  })
  await sidecar()
  await receiver.waitFor(1)
  await untilSettled(db, 1)
})

test('a filter is tried on what was published lately: it says which would pass, and a broken one is named', async ({
  db,
}) => {
  const env = { DATABASE_URL: db.url }
  for (const [amount, tenant, type] of [
    [50, 'acme', 'order.created'],
    [150, 'acme', 'order.paid'],
    [250, 'other', 'order.created'],
  ] as const)
    await publish(db, { type, tenant, payload: `{"amount": ${amount}}` })
  await db.query(`insert into walhook.outbox (type, payload) values ('odd.one', '{"amount": "\\u0000"}')`)
  const { id } = await subscribe(db, 'https://example.com/')
  await db.query('select walhook.test_subscription($1)', [id])
  const tryOut = async (...args: readonly string[]): Promise<readonly unknown[]> => {
    const { events } = (await walhookHereJson(
      ['subscriptions', 'try-filter', '$.amount > 100', ...args],
      env,
    )) as {
      events: readonly { type: string; tenant: string | null; matches: boolean }[]
    }
    return events.map(({ type, tenant, matches }) => `${type} ${tenant} ${matches}`)
  }
  const all = [
    'odd.one null false',
    'order.created other true',
    'order.paid acme true',
    'order.created acme false',
  ]
  expect(await tryOut()).toEqual(all)
  expect(await tryOut('--limit', '2')).toEqual(all.slice(0, 2))
  expect(await tryOut('--tenant', 'acme')).toEqual(all.slice(2))
  expect(await tryOut('--event-types', 'order.created')).toEqual([all[1], all[3]])
  // What is older than any stretch is found too.
  await db.query(`update walhook.outbox set created_at = created_at - interval '3 years'`)
  await eventually(async () => expect(await tryOut()).toEqual(all))
  for (const [args, says] of [
    [['$.amount >'], /filter cannot be read: syntax error/],
    [['$.amount'], /filter has to be a predicate/],
    [['$.amount > 1', '--event-types', 'or der'], /event_types has to be/],
  ] as const)
    expect(await walhookHere(['subscriptions', 'try-filter', ...args], env)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(says),
    })
})
