/**
 * G2: rolled-back work is never sent. An event that is committed after it is the witness: the log comes in commit
 * order, so once the witness is recorded, whatever else was going to be recorded has been.
 */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { expect } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import { deliveries, publish, subscribe, untilSettled } from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

/** Each leaves an event behind that was inserted and must not be sent. */
const WAYS_NOT_TO_COMMIT: Readonly<
  Record<string, (application: pg.Client, db: TestDatabase) => Promise<void>>
> = {
  'a rollback': async (application) => {
    await application.query('begin')
    await publish(application)
    await application.query('rollback')
  },
  'walhook.publish in a transaction that rolls back': async (application) => {
    await application.query('begin')
    await application.query(`select walhook.publish('order.created', '{}')`)
    await application.query('rollback')
  },
  'a savepoint that is rolled back to, in a transaction that commits': async (application) => {
    await application.query('begin')
    await application.query('savepoint s')
    await publish(application)
    await application.query('rollback to savepoint s')
    await application.query('commit')
  },
  'an exception block of PL/pgSQL that fails': async (application) => {
    await application.query(`
      do $$ begin
        perform walhook.publish('order.created', '{}');
        perform 1 / 0;
      exception when division_by_zero then null;
      end $$`)
  },
  'a statement that fails later in the transaction': async (application) => {
    await application.query('begin')
    await publish(application)
    await expect(application.query('select 1 / 0')).rejects.toThrow('division by zero')
    // The application does not notice, and commits; Postgres rolls back.
    expect(await application.query('commit')).toMatchObject({ command: 'ROLLBACK' })
  },
  'a deferred constraint that fails at the commit itself': async (application) => {
    await application.query(`
      create temporary table line (id int primary key, follows int references line deferrable initially deferred)`)
    await application.query('begin')
    await publish(application)
    await application.query('insert into line values (1, 2)')
    await expect(application.query('commit')).rejects.toMatchObject({ code: '23503' })
  },
  'a second event that its constraint refuses': async (application) => {
    await application.query('begin')
    await publish(application)
    await expect(publish(application, { type: 'not a type' })).rejects.toMatchObject({ code: '23514' })
    await application.query('commit')
  },
  'an application that is gone before it commits': async (application, db) => {
    await application.query('begin')
    await publish(application)
    const { rows } = await application.query<{ pid: number }>('select pg_backend_pid() as pid')
    await db.query('select pg_terminate_backend($1)', [rows[0]?.pid])
  },
}

eachPlugin(() => {
  test('events of transactions that did not commit are neither recorded nor sent', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'))
    for (const leaveUncommitted of Object.values(WAYS_NOT_TO_COMMIT))
      await leaveUncommitted(await db.application(), db)

    const witness = randomUUID()
    await publish(db, { id: witness })
    await untilSettled(db, 1)
    expect((await deliveries(db)).map((delivery) => delivery.event_id)).toEqual([witness])
    expect(receiver.requests().map(({ id }) => id)).toEqual([witness])
    expect(await db.query('select * from walhook.malformed')).toEqual([])
  })

  test('an event is not sent before its transaction has committed, however long that takes', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'))
    const slow = await db.application()
    await slow.query('begin')
    const held = await publish(slow)

    const others = [await publish(db), await publish(db)]
    await receiver.waitFor(2)
    expect(receiver.requests().map(({ id }) => id)).toEqual(others)

    await slow.query('commit')
    await receiver.waitFor(3)
    expect(receiver.requests().at(-1)?.id).toBe(held)
    await untilSettled(db, 3)
  })
})
