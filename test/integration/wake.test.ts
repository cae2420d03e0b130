/** What a person does to deliveries in psql is acted on through the log: at once, and not at the next look. */
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { deliveries, publish, publishTogether, subscribe, untilSettled } from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

/** What was ended last was ended a second ago: for so long a process may go by what it read before. */
async function untilKnownEverywhere(db: TestDatabase): Promise<void> {
  await eventually(async () => {
    const [row] = await db.query<{ known: boolean }>(
      `select now() > max(finished_at) + interval '1100 milliseconds' as known from walhook.deliveries`,
    )
    expect(row?.known).toBe(true)
  })
}

eachPlugin(() => {
  test('resend does not wait for the next look', async ({ db, receiver, sidecar }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'))
    await publish(db)
    const [delivery] = await untilSettled(db, 1)

    // Found by looking, each of them would wait for the look after the one that found the last: a second.
    const took: number[] = []
    for (let n = 2; n <= 5; n++) {
      const before = performance.now()
      await db.query('select walhook.resend($1)', [delivery?.id])
      await receiver.waitFor(n)
      took.push(performance.now() - before)
      await untilSettled(db, 1)
    }
    expect(Math.min(...took.slice(1))).toBeLessThan(500)
  })

  test('what says wake and means nothing stops nothing, and is nobody’s row', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'))
    await db.query(`
      begin;
      select pg_logical_emit_message(true, 'walhook.wake', 'what?');
      select walhook.publish('order.created', '1');
      select pg_logical_emit_message(true, 'walhook.wake', '');
      select pg_logical_emit_message(true, 'walhook.wake', '\\xff00ff'::bytea);
      select pg_logical_emit_message(true, 'walhook.wake', gen_random_uuid()::text);
      select pg_logical_emit_message(false, 'walhook.wake', gen_random_uuid()::text);
      select walhook.publish('order.created', '2');
      commit`)
    await publish(db, { payload: '3' })
    await untilSettled(db, 3)
    expect(await db.query('select from walhook.malformed')).toEqual([])
  })

  test('an attempt that has not begun when its delivery is cancelled does not begin, and resend brings it back', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar({ WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT: '1' })
    await subscribe(db, receiver.url('/hook'))
    const answer = Promise.withResolvers<void>()
    receiver.on('/hook', [{ kind: 'hold', until: answer.promise, reply: respond(204) }, respond(204)])
    const ids = await publishTogether(db, 3)
    await receiver.waitFor(1)
    const [first, second, third] = await eventually(async () => {
      const rows = await deliveries(db)
      expect(rows.map(({ waits_as }) => waits_as)).toEqual(['in flight', 'in flight', 'in flight'])
      return rows
    })

    for (const delivery of [first, third]) await db.query('select walhook.cancel($1)', [delivery?.id])
    await untilKnownEverywhere(db)
    answer.resolve()
    await eventually(async () => {
      // What was under way ended as it did, and a 2xx counts.
      expect((await deliveries(db)).map(({ state, last_error }) => ({ state, last_error }))).toEqual([
        { state: 'delivered', last_error: null },
        { state: 'delivered', last_error: null },
        { state: 'cancelled', last_error: 'cancelled' },
      ])
    })
    expect(receiver.requests('/hook').map(({ id }) => id)).toEqual(ids.slice(0, 2))

    await db.query('select walhook.resend($1)', [third?.id])
    const [, , last] = await receiver.waitFor(3)
    expect(last?.id).toBe(ids[2])
    expect(second?.event_id).toBe(ids[1])
  })
})

test('whichever replica has them in memory, what is cancelled is not begun', async ({
  db,
  receiver,
  sidecar,
}) => {
  for (let n = 0; n < 2; n++) await sidecar({ WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT: '1' })
  const { id } = await subscribe(db, receiver.url('/hook'))
  await db.query('select walhook.pause($1)', [id])
  await publishTogether(db, 20)
  await eventually(async () => expect(await deliveries(db)).toHaveLength(20))
  const answer = Promise.withResolvers<void>()
  receiver.on('/hook', () => ({ kind: 'hold', until: answer.promise, reply: respond(204) }))
  await db.query('select walhook.resume($1)', [id])
  await receiver.waitFor(1)

  await db.query(`select walhook.cancel(id) from walhook.deliveries where state = 'pending'`)
  await untilKnownEverywhere(db)
  answer.resolve()
  await eventually(async () => {
    const accepted = (await deliveries(db)).filter(({ state }) => state === 'delivered')
    // What had begun: one request of each replica at most.
    expect(accepted.map(({ event_id }) => event_id).toSorted()).toEqual(
      receiver
        .requests('/hook')
        .map((request) => request.id)
        .toSorted(),
    )
    expect(accepted.length).toBeLessThanOrEqual(2)
  })
})

test('what stood behind a cancelled delivery goes on', async ({ db, receiver, sidecar }) => {
  await sidecar()
  await subscribe(db, receiver.url('/hook'), { ordering: 'key', retrySchedule: ['1h'] })
  receiver.on('/hook', [respond(500), respond(204)])
  const stuck = await publish(db, { key: 'k' })
  await eventually(async () =>
    expect((await deliveries(db))[0]).toMatchObject({ waits_as: 'retry scheduled' }),
  )
  const behind = await publish(db, { key: 'k' })
  const [first] = await eventually(async () => {
    const rows = await deliveries(db)
    expect(rows.map(({ waits_as }) => waits_as)).toEqual(['retry scheduled', 'behind its key'])
    return rows
  })

  await db.query('select walhook.cancel($1)', [first?.id])
  const [, next] = await receiver.waitFor(2)
  expect(receiver.requests('/hook').map(({ id }) => id)).toEqual([stuck, behind])
  expect(next?.id).toBe(behind)
  await untilSettled(db, 2)
})

test('only what is pending can be cancelled, once or twice', async ({ db }) => {
  const insert = `insert into walhook.deliveries (event_id, subscription_id, state, next_attempt_at, finished_at)
    values (gen_random_uuid(), gen_random_uuid(), $1, $2, $3) returning id`
  const [dead] = await db.query(insert, ['dead', null, new Date()])
  const [pending] = await db.query(insert, ['pending', new Date(), null])
  await expect(db.query('select walhook.cancel($1)', [dead?.['id']])).rejects.toMatchObject({ code: '55000' })
  await expect(db.query('select walhook.cancel(404)')).rejects.toMatchObject({ code: 'P0002' })
  for (let n = 0; n < 2; n++)
    expect(await db.query('select state from walhook.cancel($1)', [pending?.['id']])).toEqual([
      { state: 'cancelled' },
    ])
})

test('whoever may not write messages to the log can do everything else', async ({ db }) => {
  await db.query(`
    create role ${db.slot}_operator;
    grant usage on schema walhook to ${db.slot}_operator;
    grant all on all tables in schema walhook to ${db.slot}_operator;
    grant execute on all functions in schema walhook to ${db.slot}_operator`)
  try {
    const { id } = await subscribe(db, 'https://example.com/hook')
    await db.query(`
      do $$ declare f regprocedure; begin
        for f in select oid from pg_proc where proname = 'pg_logical_emit_message' loop
          execute format('revoke execute on function %s from public', f);
        end loop;
      end $$`)
    const client = await db.application()
    await client.query(`set role ${db.slot}_operator`)
    await client.query('select walhook.pause($1)', [id])
    await client.query('reset role')
    expect(await db.query('select state from walhook.subscriptions')).toEqual([{ state: 'paused' }])
  } finally {
    await db.query(`drop owned by ${db.slot}_operator; drop role ${db.slot}_operator`)
  }
})
