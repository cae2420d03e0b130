/** An outbox that is emptied while it is streamed: what could not be sent before ends as a dead letter that says so. */
import { expect } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'

eachPlugin(() => {
  test('TRUNCATE takes nothing from what is on its way, and makes dead letters of what waited', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar({ WALHOOK_LOG_LEVEL: 'info' })
    await logs.waitFor('relay.streaming')
    const served = await subscribe(db, receiver.url('/served'))
    const parked = await subscribe(db, receiver.url('/parked'))
    await db.query('select walhook.pause($1)', [parked.id])
    const application = await db.application()
    const committed: string[] = []
    for (let times = 0; times < 3; times++) {
      for (let n = 0; n < 50; n++) committed.push(await publish(application))
      await application.query('truncate walhook.outbox')
    }
    committed.push(await publish(application))
    await untilSettled(db, committed.length, { subscription: served })
    const received = receiver.requests('/served').map(({ id }) => id)
    expect(received.toSorted()).toEqual(committed.toSorted())

    // What is gone is looked for during a minute, in case it is only not visible yet: as if that had passed.
    await db.query(
      `update walhook.deliveries set created_at = created_at - interval '1 hour' where state = 'pending'`,
    )
    await db.query('select walhook.resume($1)', [parked.id])
    const rows = await untilSettled(db, committed.length, { subscription: parked })
    expect(rows.map(({ event_id: id, state, last_error: error }) => ({ id, state, error }))).toEqual(
      committed.map((id, i) =>
        i === committed.length - 1
          ? { id, state: 'delivered', error: null }
          : { id, state: 'dead', error: 'event_missing' },
      ),
    )
    expect(receiver.requests('/parked')).toHaveLength(1)
  })
})
