/**
 * G1: a committed event reaches every matching active subscription at least once, or ends as a visible dead letter.
 * What only the death of the process shows is in test/faults/.
 */
import fc from 'fast-check'
import { expect } from 'vitest'
import { applicationPlan, carryOut } from '../support/application-program.ts'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import {
  attemptsOf,
  deliveries,
  publish,
  subscribe,
  terminateSidecarConnections,
  untilSettled,
} from '../support/sql-surface.ts'

const CONNECTIONS = 8

eachPlugin((plugin) => {
  test('whatever many connections commit at once arrives at every subscription, and nothing that they took back', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/one'))
    await subscribe(db, receiver.url('/two'))
    await subscribe(db, receiver.url('/never'), { eventTypes: ['invoice.*'] })
    const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => db.application()))
    let total = 0

    await fc.assert(
      fc.asyncProperty(applicationPlan(CONNECTIONS, 12), async (plan) => {
        const { committed } = await carryOut(plan, connections)
        total += committed.length
        await untilSettled(db, total * 2)
        for (const path of ['/one', '/two']) {
          const received = receiver.requests(path).slice(total - committed.length)
          expect(received.map(({ id }) => id).sort()).toEqual(committed.toSorted())
        }
      }),
      { numRuns: 4, endOnFailure: true },
    )
    expect(receiver.requests('/never')).toEqual([])
    const [slot] = await db.query('select plugin::text from pg_replication_slots where slot_name = $1', [
      db.slot,
    ])
    expect(slot).toEqual({ plugin })
  })

  test('events arrive, once each, though every connection of the sidecar is cut again and again', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'))
    const connections = await Promise.all(Array.from({ length: 4 }, () => db.application()))
    const committed: string[] = []
    let cuts = 0

    await Promise.all([
      ...connections.map(async (connection) => {
        while (cuts < 5) committed.push(await publish(connection))
      }),
      (async () => {
        // Each time once something new has come through: so that it is cut at work, and not while it reconnects.
        for (; cuts < 5; cuts++) {
          const seen = receiver.requests().length
          await receiver.waitFor(seen + 20)
          await eventually(async () => expect(await terminateSidecarConnections(db)).toBeGreaterThan(0))
        }
      })(),
    ])

    const rows = await untilSettled(db, committed.length, { withinMs: 40_000 })
    expect(new Set(rows.map(({ state }) => state))).toEqual(new Set(['delivered']))
    // The process lived: a delivery that was accepted is not sent again, whatever happened to its connections.
    expect(
      receiver
        .requests()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(committed.toSorted())
  })

  test('an endpoint that fails is tried again by its schedule until it accepts', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const retrySchedule = ['100ms', '300ms', '200ms', '5s']
    await subscribe(db, receiver.url('/hook'), { retrySchedule })
    receiver.on('/hook', [
      { kind: 'reset', after: 'request' },
      respond(500),
      respond(404, { body: 'not here' }),
      respond(200),
    ])
    const id = await publish(db)

    const [delivery] = await untilSettled(db, 1)
    expect(delivery).toMatchObject({ state: 'delivered', attempts: 4, last_status: 200 })
    const attempts = await attemptsOf(db, id)
    expect(attempts).toMatchObject([
      { number: 1, response_status: null, error: 'reset' },
      { number: 2, response_status: 500, error: null },
      { number: 3, response_status: 404, response_body: 'not here' },
      { number: 4, response_status: 200 },
    ])
    const arrivals = receiver.requests('/hook').map(({ arrivedAtMs }) => arrivedAtMs)
    const pausesMs = arrivals.slice(1).map((at, i) => at - (arrivals[i] ?? 0))
    for (const [i, delayMs] of [100, 300, 200].entries())
      expect(pausesMs[i]).toBeGreaterThanOrEqual(delayMs * 0.8 - 5)
  })

  test('an event whose schedule is used up is a dead letter that an operator sees, and can send again', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar()
    const subscription = await subscribe(db, receiver.url('/hook'), { retrySchedule: ['20ms', '20ms'] })
    receiver.on('/hook', [respond(500), respond(500), respond(503), respond(500), respond(204)])
    const id = await publish(db, { key: 'order-1' })

    const [dead] = await untilSettled(db, 1)
    expect(dead).toMatchObject({
      state: 'dead',
      attempts: 3,
      last_status: 503,
      event_id: id,
      event_type: 'order.created',
      key: 'order-1',
      url: receiver.url('/hook'),
      subscription_id: subscription.id,
      waits_as: null,
    })
    const line = await logs.waitFor('delivery.attempted', ({ outcome }) => outcome === 'dead')
    expect(line).toMatchObject({ level: 'error', event_id: id, attempt: 3, status: 503 })

    await db.query('select walhook.resend($1)', [dead?.id])
    // Its whole schedule is before it again: the next failure is followed by another attempt.
    const [sent] = await eventually(async () => {
      const rows = await deliveries(db)
      expect(rows).toMatchObject([{ state: 'delivered' }])
      return rows
    })
    expect(sent).toMatchObject({ attempts: 5, last_status: 204 })
    expect(receiver.requests().map((request) => request.id)).toEqual(Array.from({ length: 5 }, () => id))
    expect(receiver.requests().map((request) => request.headers['walhook-attempt'])).toEqual([
      '1',
      '2',
      '3',
      '4',
      '5',
    ])
  })
})
