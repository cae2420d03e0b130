/**
 * A row that cannot be an event never stops the stream. Through our own table every row is one; these tests alter the
 * table by hand, as somebody will.
 */
import { expect } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import {
  confirmedLsn,
  currentLsn,
  publish,
  publishTogether,
  subscribe,
  untilRecorded,
  untilSettled,
} from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

interface MalformedRow {
  readonly reason: string
  readonly raw: string
  readonly row_in_transaction: string
  readonly slot_name: string
}

function malformedRows(db: TestDatabase): Promise<MalformedRow[]> {
  return db.query<MalformedRow>('select * from walhook.malformed order by id')
}

eachPlugin(() => {
  test("an error that is no row's fault holds events back and blames none of them", async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar()
    await logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    await db.query(
      `alter function walhook.matching_subscriptions(text, text, text) rename to matching_subscriptions_of_yesterday`,
    )
    const id = await publish(db)
    await logs.waitFor('relay.interrupted')
    await db.query(
      `alter function walhook.matching_subscriptions_of_yesterday(text, text, text) rename to matching_subscriptions`,
    )
    await receiver.waitFor(1)
    expect(receiver.requests()[0]?.id).toBe(id)
    expect(await malformedRows(db)).toEqual([])
  })

  test('what is no event is kept with its reason, told, and passed: its neighbours are delivered', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await db.query(`
      drop view walhook.space;
      alter table walhook.outbox
        drop constraint outbox_type_must_be_a_dotted_name_like_order_created,
        drop constraint outbox_payload_must_be_at_most_1_mib,
        drop constraint outbox_headers_must_be_an_object_of_at_most_16_kib,
        alter column payload type text,
        alter column payload drop not null,
        alter column headers type text,
        alter column created_at type text`)
    await db.query(`alter table walhook.outbox alter column created_at set default '2026-11-22 15:30:09+00'`)
    const { logs } = await sidecar()
    await subscribe(db, receiver.url('/hook'))

    const application = await db.application()
    await application.query('begin')
    const neighbours = [await publish(application, { payload: '{"n": 1}' })]
    await publish(application, { payload: '{"n": ' })
    await publish(application, { type: 'not a type!' })
    await publish(application, { headers: '[]' })
    await application.query(`insert into walhook.outbox (type, payload) values ('order.created', null)`)
    await application.query(
      `insert into walhook.outbox (type, payload, created_at) values ('order.created', '{}', 'infinity')`,
    )
    neighbours.push(await publish(application, { payload: '{"n": 2}' }))
    await application.query('commit')
    neighbours.push(await publish(db, { payload: '{"n": 3}' }))

    await untilSettled(db, neighbours.length)
    expect(receiver.requests().map(({ id }) => id)).toEqual(neighbours)
    const rows = await malformedRows(db)
    expect(rows.map(({ reason, row_in_transaction }) => [Number(row_in_transaction), reason])).toEqual([
      [1, 'payload is not JSON'],
      [2, 'type is not a dotted name like order.created'],
      [3, 'headers is not a JSON object'],
      [4, 'payload is missing'],
      [5, 'created_at is not a point in time'],
    ])
    expect(JSON.parse(rows[0]?.raw ?? '')).toMatchObject({ type: 'order.created', payload: '{"n": ' })
    expect(new Set(rows.map(({ slot_name }) => slot_name))).toEqual(new Set([db.slot]))
    expect(logs.all('relay.malformed_row')).toHaveLength(5)
    expect(logs.all('relay.malformed_row').map(({ level }) => level)).toEqual(
      Array.from({ length: 5 }, () => 'error'),
    )
    expect(logs.all('relay.interrupted')).toEqual([])
  })

  test('columns that are not ours, and a type that prints the same, do not matter', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await db.query(`
      alter table walhook.outbox
        add column amount numeric default 12345678901234567890.123456789,
        add column flag boolean default true,
        add column bytes bytea default '\\x00ff',
        add column "odd ""name""" int default 1,
        drop constraint outbox_headers_must_be_an_object_of_at_most_16_kib,
        alter column headers drop default,
        alter column headers type jsonb`)
    await sidecar()
    await subscribe(db, receiver.url('/hook'))
    const id = await publish(db, { payload: '{"n": 1}' })
    // Altered again, in the middle of the stream.
    await db.query('alter table walhook.outbox drop column amount')
    await db.query('alter table walhook.outbox rename column flag to banner')
    const second = await publish(db, { payload: '{"n": 2}' })
    await untilSettled(db, 2)
    expect(receiver.requests().map((request) => request.id)).toEqual([id, second])
    expect(await malformedRows(db)).toEqual([])
  })

  test('a row that makes the fan-out fail is found among thousands and set aside', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar()
    const subscription = await subscribe(db, receiver.url('/hook'))
    await db.query('select walhook.pause($1)', [subscription.id])
    const application = await db.application()
    await application.query('begin')
    const ids = await publishTogether(application, 3_000)
    const culprits = [ids[0], ids[1_234], ids[2_999]]
    // Stands for whatever the database may refuse that a check of ours does not.
    await db.query(
      `alter table walhook.deliveries add constraint refuses check (event_id not in (${culprits.map((id) => `'${id}'`).join(', ')}))`,
    )
    await application.query('commit')
    await untilRecorded(db)

    const rows = await malformedRows(db)
    expect(rows.map(({ reason, raw }) => [reason, (JSON.parse(raw) as { id: string }).id])).toEqual(
      culprits.map((id) => ['the fan-out refused it: SQLSTATE 23514', id]),
    )
    const [counted] = await db.query<{ events: number; deliveries: number }>(
      `select count(distinct event_id)::int as events, count(*)::int as deliveries from walhook.deliveries as d
       where event_id = any ($1::uuid[])`,
      [ids],
    )
    expect(counted).toEqual({ events: 2_997, deliveries: 2_997 })
    expect(logs.all('relay.interrupted')).toEqual([])
    const end = await currentLsn(db)
    await publish(db)
    await expect.poll(async () => (await confirmedLsn(db)) > end, { timeout: 10_000 }).toBe(true)
  })

  test('a payload that jsonb cannot hold passes every subscription without a filter, and stops nothing', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/all'))
    await subscribe(db, receiver.url('/filtered'), { filter: '$.amount > 1' })
    const payloads = [
      '{"amount": 2, "text": "\\u0000"}',
      '{"amount": 2, "text": "\\ud800"}',
      `{"amount": 1e400}`,
      '{"amount": 3}',
    ]
    for (const payload of payloads) await publish(db, { payload })
    // jsonb does hold 1e400, and the last one.
    await untilSettled(db, payloads.length + 2)
    expect(receiver.requests('/all')).toHaveLength(payloads.length)
    expect(receiver.requests('/filtered')).toHaveLength(2)
    expect(await malformedRows(db)).toEqual([])
  })
})
