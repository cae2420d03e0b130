/**
 * What becomes of sources over time: added to a slot that was there, dropped and made anew, passed over by a lost slot, taken
 * out in the middle of a transaction.
 */
import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import { copies, DEBEZIUM, INSERT_DEBEZIUM, malformed } from '../support/other-outboxes.ts'
import {
  deliveries,
  dropSlot,
  publish,
  publishTogether,
  subscribe,
  terminateSidecarConnections,
  untilSettled,
} from '../support/sql-surface.ts'

eachPlugin(() => {
  test('a slot that was there goes on, with a source that was added later', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await db.query(DEBEZIUM)
    const before = await sidecar()
    await subscribe(db, receiver.url('/hook'))
    await publish(db)
    await untilSettled(db, 1)
    await before.stop()
    const { logs } = await sidecar({ WALHOOK_SOURCES: 'public.outbox=debezium,type:type' })
    await logs.waitFor('relay.streaming')
    const id = randomUUID()
    await db.query(INSERT_DEBEZIUM, [id, 'order', '1', 'order.created', '{}'])
    await untilSettled(db, 2)
    expect(receiver.requests().at(-1)?.id).toBe(id)
    expect(await copies(db)).toMatchObject([{ id, type: 'order.created' }])
  })

  test('a source that is dropped stops nobody else; made anew, it is read again after the next connection', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await db.query(DEBEZIUM)
    const { logs } = await sidecar({ WALHOOK_SOURCES: 'public.outbox=debezium' })
    await subscribe(db, receiver.url('/hook'))
    await logs.waitFor('relay.streaming')
    await db.query('drop table public.outbox')
    await terminateSidecarConnections(db)
    expect(await logs.waitFor('source.unfit')).toMatchObject({
      source: 'public.outbox',
      reason: 'there is no table public.outbox',
    })
    await publish(db)
    await untilSettled(db, 1)

    await db.query(DEBEZIUM)
    const streams = logs.all('relay.streaming').length
    await terminateSidecarConnections(db)
    await logs.waitFor('relay.streaming', () => logs.all('relay.streaming').length > streams)
    const id = randomUUID()
    await db.query(INSERT_DEBEZIUM, [id, 'order', '1', 'created', '{}'])
    await untilSettled(db, 2)
    expect(receiver.requests().at(-1)?.id).toBe(id)
  })

  test('after a lost slot the log names the sources that were not searched, and copying what is missing by hand sends it once', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await db.query(DEBEZIUM)
    const settings = { WALHOOK_SOURCES: 'public.outbox=debezium' }
    const first = await sidecar(settings)
    await subscribe(db, receiver.url('/hook'))
    const [known, missed] = [randomUUID(), randomUUID()]
    await db.query(INSERT_DEBEZIUM, [known, 'order', '1', 'created', '{}'])
    await untilSettled(db, 1)
    await first.stop()
    await dropSlot(db)
    await db.query(INSERT_DEBEZIUM, [missed, 'order', '1', 'created', '{}'])
    const { logs } = await sidecar(settings)
    expect(await logs.waitFor('slot.gap_found')).toMatchObject({ sources_not_searched: ['public.outbox'] })
    await logs.waitFor('relay.streaming')
    await db.query(`
      insert into walhook.outbox (id, type, key, payload)
      select id, aggregatetype || '.' || type, aggregateid, payload from public.outbox
      on conflict (id) do nothing`)
    await untilSettled(db, 2)
    expect(receiver.requests().map((request) => request.id)).toEqual([known, missed])
  })

  test('a large transaction that was recorded in part is complete, though the sources are others when it is read again', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    await db.query(DEBEZIUM)
    const first = await sidecarProcess({ WALHOOK_SOURCES: 'public.outbox=debezium' })
    await first.waitForLog('relay.streaming')
    const subscription = await subscribe(db, receiver.url('/hook'))
    // Parked: this is about what is recorded.
    await db.query('select walhook.pause($1)', [subscription.id])
    const application = await db.application()
    await application.query('begin')
    await application.query(`
      insert into public.outbox select gen_random_uuid(), 'order', n, 'created', '{}' from generate_series(1, 3000) as n`)
    const ids = await publishTogether(application, 3_000)
    // A delivery that nobody has committed yet makes the fan-out of that row wait: in the middle of the transaction.
    const blocker = await db.application()
    await blocker.query('begin')
    await blocker.query(
      'insert into walhook.deliveries (event_id, subscription_id, next_attempt_at) values ($1, $2, now())',
      [ids[1_500], subscription.id],
    )
    await application.query('commit')
    const recorded = async (): Promise<number> => (await deliveries(db)).length
    await expect.poll(recorded, { timeout: 20_000 }).toBe(4_000)
    await first.kill('SIGKILL')
    await terminateSidecarConnections(db)
    await blocker.query('rollback')

    const second = await sidecarProcess()
    await second.waitForLog('relay.streaming')
    await expect.poll(recorded, { timeout: 20_000 }).toBe(6_000)
    const ours = new Set(ids)
    const events = (await deliveries(db)).map(({ event_id }) => event_id)
    expect(events.filter((id) => ours.has(id))).toEqual(ids)
    expect(await copies(db)).toHaveLength(3_000)
    expect(await malformed(db)).toEqual([])
  })
})
