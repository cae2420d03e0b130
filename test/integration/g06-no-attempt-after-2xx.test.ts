/**
 * G6: a 2xx is never followed by another attempt while the process lives, whatever the database does then.
 *
 * Each test lets the lease lapse while the outcome cannot be recorded: then any process may take the delivery, and the
 * one that knows better must not. Another delivery that is claimed meanwhile shows that it did look.
 */
import { expect, inject } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { type Receiver, respond } from '../support/receiver.ts'
import {
  attemptsOf,
  deliveries,
  lapseLeases,
  publish,
  subscribe,
  terminateSidecarConnections,
  untilSettled,
} from '../support/sql-surface.ts'
import { administer, type TestDatabase } from '../support/test-database.ts'

/** A delivery whose request has arrived and is not answered yet, and one to another endpoint that is done. */
async function awaitAnswer(
  db: TestDatabase,
  receiver: Receiver,
): Promise<{ answer: () => void; event: string; other: string }> {
  const held = Promise.withResolvers<void>()
  receiver.on('/hook', [{ kind: 'hold', until: held.promise, reply: respond(202) }, respond(200)])
  await subscribe(db, receiver.url('/other'), { eventTypes: ['other'] })
  await subscribe(db, receiver.url('/hook'), { eventTypes: ['order.*'], timeout: '30s' })
  await publish(db, { type: 'other' })
  const [other] = await untilSettled(db, 1)
  const event = await publish(db)
  await receiver.waitFor(1, { path: '/hook' })
  return { answer: held.resolve, event, other: other?.id ?? '' }
}

async function expectAcceptedOnce(db: TestDatabase, receiver: Receiver, event: string): Promise<void> {
  await eventually(async () => {
    const rows = await deliveries(db)
    expect(rows.find((row) => row.event_id === event)).toMatchObject({
      state: 'delivered',
      attempts: 1,
      last_status: 202,
    })
    expect(rows.filter((row) => row.state === 'pending')).toEqual([])
  })
  expect(await attemptsOf(db, event)).toMatchObject([{ number: 1, response_status: 202 }])
  expect(receiver.requests('/hook')).toHaveLength(1)
}

eachPlugin(() => {
  test('not by a resend of what is in flight', async ({ db, receiver, sidecar }) => {
    await sidecar()
    const { answer, event } = await awaitAnswer(db, receiver)
    await db.query('select walhook.resend(id) from walhook.deliveries where event_id = $1', [event])
    // It did look for what waits meanwhile.
    await publish(db, { type: 'other' })
    await receiver.waitFor(2, { path: '/other' })
    await db.query(`select walhook.resend(id) from walhook.deliveries where state = 'delivered'`)
    await receiver.waitFor(3, { path: '/other' })
    answer()
    await expectAcceptedOnce(db, receiver, event)
  })

  test('not while a lock keeps the outcome from being recorded and the lease lapses', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const { answer, event, other } = await awaitAnswer(db, receiver)
    const lock = await db.application()
    await lock.query('begin')
    await lock.query('lock table walhook.attempts in share mode')
    answer()
    await eventually(async () =>
      expect(
        await db.query(`select from pg_locks where relation = 'walhook.attempts'::regclass and not granted`),
      ).toHaveLength(1),
    )

    await lapseLeases(db)
    await db.query('select walhook.resend($1)', [other])
    await receiver.waitFor(2, { path: '/other' })
    await lock.query('commit')
    await expectAcceptedOnce(db, receiver, event)
  })

  test('not while the database lets nobody in and the lease lapses', async ({ db, receiver, sidecar }) => {
    const { logs } = await sidecar()
    const { answer, event, other } = await awaitAnswer(db, receiver)
    const insider = await db.application()
    const { url } = inject('postgres')
    const allowConnections = (allowed: boolean): Promise<unknown> =>
      administer(url, (admin) => admin.query(`alter database "${db.slot}" with allow_connections ${allowed}`))

    await allowConnections(false)
    await insider.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'walhook'`,
    )
    answer()
    await logs.waitFor('settlement.failed', () => logs.all('settlement.failed').length >= 3)
    await insider.query(`update walhook.deliveries set next_attempt_at = now() where state = 'pending'`)
    await insider.query('select walhook.resend($1)', [other])
    await allowConnections(true)

    await receiver.waitFor(2, { path: '/other' })
    await expectAcceptedOnce(db, receiver, event)
  })

  test('not though the connection breaks again and again while outcomes are recorded', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'))
    const events = 300
    for (let n = 0; n < events; n++) {
      await publish(db)
      if (n % 30 === 29) await terminateSidecarConnections(db)
    }
    await untilSettled(db, events, { withinMs: 40_000 })
    expect(receiver.requests()).toHaveLength(events)
  })

  test('not though the database refuses to record what was answered', async ({ db, receiver, sidecar }) => {
    const { logs } = await sidecar()
    const { answer, event, other } = await awaitAnswer(db, receiver)
    // Somebody altered the table by hand.
    await db.query(
      'alter table walhook.attempts add constraint nobody_says_202 check (response_status <> 202)',
    )
    answer()
    await logs.waitFor('settlement.failed', () => logs.all('settlement.failed').length >= 3)
    await lapseLeases(db)
    await db.query('select walhook.resend($1)', [other])
    await receiver.waitFor(2, { path: '/other' })
    expect(receiver.requests('/hook')).toHaveLength(1)

    await db.query('alter table walhook.attempts drop constraint nobody_says_202')
    await expectAcceptedOnce(db, receiver, event)
  })
})
