/** Events that come too late are not sent, and those that ask for time are not sent before it. */
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import {
  attemptsOf,
  deliveries,
  publish,
  subscribe,
  untilRecorded,
  untilSettled,
} from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

/** As if it had been written that long ago. */
async function publishOld(db: TestDatabase, age: string): Promise<string> {
  const [row] = await db.query<{ id: string }>(
    `insert into walhook.outbox (type, payload, created_at) values ('order.created', '{}', now() - $1::interval) returning id`,
    [age],
  )
  return row?.id ?? ''
}

const setTtl = (db: TestDatabase, ttl: string): Promise<unknown> =>
  db.query('update walhook.subscriptions set ttl = $1', [ttl])

async function counted(url: string, metric: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(new RegExp(`^${metric} (\\d+)$`, 'm').exec(text)?.[1])
}

eachPlugin(() => {
  test('an event that is older than its ttl is cancelled without an attempt, fresh or parked; a younger one is sent', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs, url } = await sidecar()
    const subscription = await subscribe(db, receiver.url('/hook'))
    await setTtl(db, '1h')
    const late = await publishOld(db, '61 minutes')
    const young = await publishOld(db, '59 minutes')
    await untilSettled(db, 2)
    await db.query('select walhook.pause($1)', [subscription.id])
    const parked = await publishOld(db, '30 minutes')
    await eventually(async () => expect(await deliveries(db)).toHaveLength(3))
    // As if half an hour had passed.
    await db.query(
      `update walhook.outbox set created_at = created_at - interval '31 minutes' where id = $1`,
      [parked],
    )
    expect(await deliveries(db)).toMatchObject([{}, {}, { state: 'pending', waits_as: 'parked' }])
    await db.query('select walhook.resume($1)', [subscription.id])
    const rows = await untilSettled(db, 3)

    const expired = { state: 'cancelled', attempts: 0, last_status: null, last_error: 'expired' }
    expect(rows).toMatchObject([
      { event_id: late, ...expired },
      { event_id: young, state: 'delivered' },
      { event_id: parked, ...expired },
    ])
    expect(receiver.requests().map(({ id }) => id)).toEqual([young])
    expect(await attemptsOf(db, late)).toEqual([])
    expect(logs.all('delivery.expired').map(({ event_id }) => event_id)).toEqual([late, parked])
    expect(await counted(url, 'walhook_deliveries_expired_total')).toBe(2)

    // A resend is under the same rule, until somebody changes it.
    await db.query('select walhook.resend(id) from walhook.deliveries where event_id = $1', [late])
    await untilSettled(db, 3)
    expect(await deliveries(db)).toMatchObject([{ event_id: late, ...expired }, {}, {}])
    await setTtl(db, '1d')
    await db.query('select walhook.resend(id) from walhook.deliveries where event_id = $1', [late])
    await receiver.waitFor(2)
  })

  test('a retry that falls due after the ttl is not made', async ({ db, receiver, sidecar }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'), { retrySchedule: ['2s', '2s', '2s'] })
    await setTtl(db, '1s')
    receiver.on('/hook', () => respond(500))
    const id = await publish(db)
    expect(await untilSettled(db, 1)).toMatchObject([
      { state: 'cancelled', attempts: 1, last_status: 500, last_error: 'expired' },
    ])
    expect(await attemptsOf(db, id)).toHaveLength(1)
    expect(receiver.requests()).toHaveLength(1)
  })

  test('deliver_after delays an event, over a restart, and a parked one too', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const first = await sidecar()
    const subscription = await subscribe(db, receiver.url('/hook'))
    const headers = (deliverAfter: unknown): { headers: string } => ({
      headers: JSON.stringify({ deliver_after: deliverAfter }),
    })
    const publishedAt = Date.now()
    const byDuration = await publish(db, headers('4s'))
    const byTime = await publish(db, headers(new Date(publishedAt + 5_000).toISOString()))
    const past = await publish(db, headers('2001-01-01T00:00:00+02:00'))
    const nextYear = await publish(db, headers('9999-12-31T23:59:59Z'))
    await receiver.waitFor(1)
    await eventually(async () =>
      expect(await deliveries(db)).toMatchObject([
        { event_id: byDuration, state: 'pending', waits_as: 'delayed', attempts: 0 },
        { event_id: byTime, state: 'pending', waits_as: 'delayed', attempts: 0 },
        { event_id: past, state: 'delivered' },
        { event_id: nextYear, state: 'pending', waits_as: 'delayed' },
      ]),
    )
    expect(
      await db.query(
        `select next_attempt_at > now() + interval '364 days' as far, next_attempt_at < now() + interval '366 days' as capped
         from walhook.deliveries where event_id = $1`,
        [nextYear],
      ),
    ).toEqual([{ far: true, capped: true }])
    await first.stop()
    await db.query('select walhook.pause($1)', [subscription.id])
    await sidecar()
    await db.query('select walhook.resume($1)', [subscription.id])

    const requests = await receiver.waitFor(3)
    expect(requests.map(({ id }) => id)).toEqual([past, byDuration, byTime])
    const [, duration, time] = requests
    expect(duration?.arrivedAt).toBeGreaterThanOrEqual(publishedAt + 3_990)
    expect(time?.arrivedAt).toBeGreaterThanOrEqual(publishedAt + 4_990)
    await eventually(async () =>
      expect((await deliveries(db)).filter(({ state }) => state === 'delivered')).toHaveLength(3),
    )
    for (const each of [byDuration, byTime]) expect(await attemptsOf(db, each)).toHaveLength(1)

    // Who resends it wants it now.
    await db.query('select walhook.resend(id) from walhook.deliveries where event_id = $1', [nextYear])
    await receiver.waitFor(4)
    await untilSettled(db, 4)
  })

  test('a deliver_after that is neither a duration nor a time delays nothing, and is told', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs, url } = await sidecar()
    await subscribe(db, receiver.url('/hook'))
    const wrong = [
      'tomorrow',
      '10 minutes',
      '2026-13-01T00:00:00Z',
      '2026-11-22 15:00',
      10,
      { in: '5m' },
      'infinity',
      '\u0000',
    ]
    const ids: string[] = []
    for (const value of wrong)
      ids.push(await publish(db, { headers: JSON.stringify({ deliver_after: value }) }))
    const none = await publish(db, { headers: '{"deliver_after": null}' })
    await receiver.waitFor(wrong.length + 1)
    await untilSettled(db, wrong.length + 1)
    expect(new Set(receiver.requests().map(({ id }) => id))).toEqual(new Set([...ids, none]))
    expect(logs.all('relay.delay_ignored').map(({ event_id }) => event_id)).toEqual(ids)
    expect(await counted(url, 'walhook_delays_ignored_total')).toBe(wrong.length)
  })

  test('a delayed event that the log did not bring is found in the outbox, and delayed all the same', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await subscribe(db, receiver.url('/hook'))
    const publishedAt = Date.now()
    // Written before there is a slot.
    const id = await publish(db, { headers: '{"deliver_after": "3s"}' })
    await sidecar()
    await untilRecorded(db)
    expect(await deliveries(db)).toMatchObject([{ event_id: id, waits_as: 'delayed' }, {}])
    const requests = await receiver.waitFor(2)
    expect(requests[1]?.id).toBe(id)
    expect(requests[1]?.arrivedAt).toBeGreaterThanOrEqual(publishedAt + 2_990)
  })

  test('in the order of a key, what has expired lets the next one go, and what is delayed holds it', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const subscription = await subscribe(db, receiver.url('/hook'))
    await db.query(`update walhook.subscriptions set ordering = 'key', ttl = '1h'`)
    await db.query('select walhook.pause($1)', [subscription.id])
    const ofKey = { key: 'order 17' }
    const old = await publish(db, ofKey)
    const delayed = await publish(db, { ...ofKey, headers: '{"deliver_after": "3s"}' })
    const last = await publish(db, ofKey)
    await eventually(async () => expect(await deliveries(db)).toHaveLength(3))
    await db.query(`update walhook.outbox set created_at = created_at - interval '2 hours' where id = $1`, [
      old,
    ])
    await db.query('select walhook.resume($1)', [subscription.id])
    expect(await untilSettled(db, 3)).toMatchObject([
      { event_id: old, state: 'cancelled', last_error: 'expired' },
      { event_id: delayed, state: 'delivered' },
      { event_id: last, state: 'delivered' },
    ])
    expect(receiver.requests().map(({ id }) => id)).toEqual([delayed, last])
  })

  test('the backlog says how long it will take, once something moves', async ({ db, receiver, sidecar }) => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    await sidecar({ WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT: '1' })
    await subscribe(db, receiver.url('/hook'))
    receiver.on('/hook', ({ number }) =>
      number <= 3 ? respond(200) : { kind: 'hold', until: released, reply: respond(200) },
    )
    for (let n = 0; n < 5; n++) await publish(db)
    await receiver.waitFor(4)
    const backlog = await eventually(async () => {
      const rows = await db.query<{ pending: number; parked: number; fast: boolean; soon: boolean }>(`
        select pending::int, parked::int, delivered_per_second > 0 as fast, drained_in between '0' and '1 hour' as soon
        from walhook.backlog`)
      expect(rows).toMatchObject([{ pending: 2, fast: true }])
      return rows
    })
    expect(backlog).toEqual([{ pending: 2, parked: 0, fast: true, soon: true }])
    release()
    await untilSettled(db, 5)
  })
})
