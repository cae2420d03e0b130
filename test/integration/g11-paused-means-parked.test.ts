/** G11: paused means parked. Nothing is dropped because an endpoint was paused, or disabled by failure. */
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { deliveries, publish, subscribe, untilRecorded, untilSettled } from '../support/sql-surface.ts'

eachPlugin(() => {
  test('what is committed while a subscription is paused is recorded, waits, and is delivered in order when it resumes', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar({ WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT: '1' })
    const paused = await subscribe(db, receiver.url('/paused'), { eventTypes: ['order.*'] })
    await subscribe(db, receiver.url('/active'), { eventTypes: ['order.*'] })
    await db.query('select walhook.pause($1, $2)', [paused.id, 'they are moving house'])
    const ids: string[] = []
    for (let n = 0; n < 20; n++) ids.push(await publish(db))
    await untilSettled(db, 20, { subscription: { id: (await activeId()) ?? '' } })

    const parked = await deliveries(db, paused)
    expect(parked.map(({ event_id }) => event_id)).toEqual(ids)
    expect(
      new Set(parked.map(({ state, waits_as, attempts }) => `${state}, ${waits_as}, ${attempts}`)),
    ).toEqual(new Set(['pending, parked, 0']))
    expect(receiver.requests('/paused')).toEqual([])
    expect(
      await db.query(
        'select state, state_reason, pending::int from walhook.subscription_health where id = $1',
        [paused.id],
      ),
    ).toEqual([{ state: 'paused', state_reason: 'they are moving house', pending: 20 }])

    await db.query('select walhook.resume($1)', [paused.id])
    await untilSettled(db, 40)
    expect(receiver.requests('/paused').map(({ id }) => id)).toEqual(ids)

    async function activeId(): Promise<string | undefined> {
      const [row] = await db.query<{ id: string }>(
        `select id from walhook.subscriptions where state = 'active'`,
      )
      return row?.id
    }
  })

  test('a retry that falls due while its subscription is paused waits, and is made after it resumes', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const subscription = await subscribe(db, receiver.url('/hook'), { retrySchedule: ['1s'] })
    receiver.on('/hook', [respond(500), respond(200)])
    await publish(db)
    await receiver.waitFor(1)
    await db.query('select walhook.pause($1)', [subscription.id])
    // Its job has rung: it is due, and waits.
    await eventually(async () => {
      const rows = await db.query(
        'select from walhook.deliveries where not scheduled and next_attempt_at <= now() and attempts = 1',
      )
      expect(rows).toHaveLength(1)
    })
    expect(await deliveries(db)).toMatchObject([{ state: 'pending', waits_as: 'parked' }])
    // Whatever is claimed after that leaves it alone.
    await subscribe(db, receiver.url('/other'), { retrySchedule: ['20ms'], eventTypes: ['other'] })
    receiver.on('/other', [respond(500), respond(200)])
    await publish(db, { type: 'other' })
    await receiver.waitFor(2, { path: '/other' })
    expect(receiver.requests('/hook')).toHaveLength(1)

    await db.query('select walhook.resume($1)', [subscription.id])
    await receiver.waitFor(2, { path: '/hook' })
    // The other event is owed to the first subscription as well.
    await untilSettled(db, 3)
  })

  test('an endpoint that says it is gone is disabled; what it was owed since waits until somebody resumes it', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const subscription = await subscribe(db, receiver.url('/hook'))
    receiver.on('/hook', [respond(410), respond(200)])
    const first = await publish(db)
    await untilSettled(db, 1)
    expect(await deliveries(db)).toMatchObject([
      { event_id: first, state: 'dead', attempts: 1, last_status: 410 },
    ])
    const state = (): Promise<unknown> =>
      db.query('select state, state_reason from walhook.subscriptions where id = $1', [subscription.id])
    expect(await state()).toEqual([{ state: 'disabled', state_reason: 'gone' }])

    const second = await publish(db)
    await untilRecorded(db)
    expect((await deliveries(db)).slice(1, 2)).toMatchObject([
      { event_id: second, state: 'pending', waits_as: 'parked' },
    ])
    expect(receiver.requests()).toHaveLength(1)

    await db.query('select walhook.resume($1)', [subscription.id])
    expect(await state()).toEqual([{ state: 'active', state_reason: null }])
    await untilSettled(db, 3)
    // The dead letter stays dead until it is sent again.
    expect(receiver.requests().map(({ id }) => id)).toEqual([first, second, expect.any(String)])
  })

  test('what a deleted subscription was owed is cancelled and stays visible', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const subscription = await subscribe(db, receiver.url('/hook'))
    await db.query('select walhook.pause($1)', [subscription.id])
    const id = await publish(db)
    await eventually(async () => expect(await deliveries(db)).toHaveLength(1))
    await db.query('delete from walhook.subscriptions where id = $1', [subscription.id])
    await untilRecorded(db)
    expect(await deliveries(db)).toMatchObject([{ event_id: id, state: 'cancelled', attempts: 0 }])
    expect(receiver.requests()).toEqual([])
  })
})
