/**
 * Transactions of every shape that an application can commit: many at once, in parts, in two phases, by COPY. For
 * very large ones see experiments/large-transaction.
 */
import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { deliveries, publish, publishTogether, subscribe, untilSettled } from '../support/sql-surface.ts'

eachPlugin(() => {
  test('a thousand transactions that are open at once, by turns, and end in another order: what committed arrives', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar({ WALHOOK_LOG_LEVEL: 'info' })
    await logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    const applications = await Promise.all(Array.from({ length: 50 }, () => db.application()))
    const committed: string[] = []
    for (let round = 0; round < 20; round++) {
      const open = await Promise.all(
        applications.map(async (application) => {
          await application.query('begin')
          return { application, ids: [await publish(application), await publish(application)] }
        }),
      )
      // Backwards, and every fifth is taken back.
      for (const [i, { application, ids }] of open.reverse().entries()) {
        const isKept = i % 5 !== 0
        await application.query(isKept ? 'commit' : 'rollback')
        if (isKept) committed.push(...ids)
      }
    }
    const rows = await untilSettled(db, committed.length)
    // The order of the commits, though it is the reverse of that of the inserts.
    expect(rows.map(({ event_id: id }) => id)).toEqual(committed)
    expect(receiver.requests()).toHaveLength(committed.length)
  })

  test('a thousand subtransactions, every second one rolled back: the others arrive, in order', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar({ WALHOOK_LOG_LEVEL: 'info' })
    await logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    const application = await db.application()
    // Each block with an exception handler is a subtransaction; so many of them no longer fit into shared memory.
    await application.query(`
      do $$ begin
        for n in 1..1000 loop
          begin
            perform walhook.publish('order.created', json_build_object('n', n));
            if n % 2 = 0 then raise exception 'taken back'; end if;
          exception when raise_exception then null;
          end;
        end loop;
      end $$`)
    await untilSettled(db, 500)
    const sent = receiver.requests().map(({ body }) => JSON.parse(body.toString()) as { data: { n: number } })
    expect(sent.map(({ data }) => data.n).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 500 }, (_, i) => 2 * i + 1),
    )
  })

  test('an event that its own transaction deletes again is delivered all the same: it was published', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar({ WALHOOK_LOG_LEVEL: 'info' })
    await logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    const application = await db.application()
    await application.query('begin')
    const ids = await publishTogether(application, 20)
    await application.query('delete from walhook.outbox')
    await application.query('commit')
    await untilSettled(db, 20)
    expect(
      receiver
        .requests()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(ids.toSorted())
    expect(new Set((await deliveries(db)).map(({ state }) => state))).toEqual(new Set(['delivered']))
  })

  test('what is copied into the outbox is delivered, each row once', async ({ db, receiver, sidecar }) => {
    const { logs } = await sidecar({ WALHOOK_LOG_LEVEL: 'info' })
    await logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    const count = 2_000
    // COPY in the server: its rows share positions in the log.
    await db.query(
      `copy walhook.outbox (id, type, payload) from program
         'i=0; while [ $i -lt ${count} ]; do printf "%08x-0000-4000-8000-000000000000\\torder.created\\t{\\"n\\": %d}\\n" $i $i; i=$((i+1)); done'`,
    )
    await untilSettled(db, count, { withinMs: 20_000 })
    const sent = receiver.requests().map(({ id }) => id)
    expect(sent).toHaveLength(count)
    expect(new Set(sent).size).toBe(count)
  })

  test('a transaction in two phases is delivered when it is committed, and not when it is prepared or taken back', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar({ WALHOOK_LOG_LEVEL: 'info' })
    await logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    const prepare = async (name: string): Promise<string> => {
      const application = await db.application()
      await application.query('begin')
      const id = await publish(application)
      await application.query(`prepare transaction '${name}'`)
      return id
    }
    const [kept, takenBack] = [`${db.slot}_kept`, `${db.slot}_taken_back`]
    const id = await prepare(kept)
    await prepare(takenBack)
    const between = await publish(db)
    await untilSettled(db, 1)
    await db.query(`rollback prepared '${takenBack}'`)
    await db.query(`commit prepared '${kept}'`)
    const after = await publish(db)
    const rows = await untilSettled(db, 3)
    expect(rows.map(({ event_id }) => event_id)).toEqual([between, id, after])
    expect(receiver.requests()).toHaveLength(3)
  })
})

test('a partitioned outbox is streamed by pgoutput under its own name, partitions that come later included', async ({
  db,
  receiver,
  sidecar,
}) => {
  await db.query(`
    begin;
    alter table walhook.outbox rename to outbox_before;
    create table walhook.outbox (like walhook.outbox_before including defaults) partition by range (created_at);
    alter table walhook.outbox add primary key (id, created_at);
    create table walhook.outbox_old partition of walhook.outbox for values from (minvalue) to ('2020-01-01');
    create table walhook.outbox_now partition of walhook.outbox for values from ('2020-01-01') to ('2100-01-01');
    commit`)
  const { logs } = await sidecar()
  expect(await logs.waitFor('relay.streaming')).toMatchObject({ plugin: 'pgoutput' })
  await subscribe(db, receiver.url('/hook'))
  const ids = [await publish(db), await publish(db)]
  await db.query(
    `create table walhook.outbox_later partition of walhook.outbox for values from ('2100-01-01') to (maxvalue)`,
  )
  for (const year of ['2019', '2101']) {
    const id = randomUUID()
    ids.push(id)
    await db.query(
      `insert into walhook.outbox (id, type, payload, created_at) values ($1, 'order.created', '{}', $2)`,
      [id, `${year}-06-01`],
    )
  }
  const rows = await untilSettled(db, ids.length)
  expect(rows.map(({ event_id }) => event_id)).toEqual(ids)
  await eventually(() => expect(receiver.requests()).toHaveLength(ids.length))
  await db.query('alter table walhook.outbox detach partition walhook.outbox_now')
})
