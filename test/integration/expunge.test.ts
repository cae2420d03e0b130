/** Privacy: of an expunged event nothing is left but the record that there was one, in no table; and nobody sends it any more. */
import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { walhook, walhookJson } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { hang, respond } from '../support/receiver.ts'
import { auditEverything, replay } from '../support/replays.ts'
import {
  attemptsOf,
  deliveries,
  lapseLeases,
  publish,
  subscribe,
  untilRecorded,
  untilSettled,
} from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

/** Where in any table of ours a text stands. */
async function tablesWith(db: TestDatabase, text: string): Promise<string[]> {
  const tables = await db.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class as c
     where c.relnamespace in ('walhook'::regnamespace, 'walhook_jobs'::regnamespace) and c.relkind = 'r'`,
  )
  const found: string[] = []
  for (const { name } of tables) {
    const rows = await db.query(`select from ${name} as t where position($1 in t::text) > 0 limit 1`, [text])
    if (rows.length > 0) found.push(name)
  }
  return found
}

eachPlugin(() => {
  test('an expunged event leaves its record, and what it said stands in no table', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const personal = `person-${randomUUID()}`
    receiver.on('/echo', (request) => respond(200, { body: `got ${request.body.toString()}` }))
    receiver.on('/fails', (request) => respond(500, { body: `no: ${request.body.toString()}` }))
    await subscribe(db, receiver.url('/echo'))
    await subscribe(db, receiver.url('/fails'), { retrySchedule: ['1h'] })
    const headers = `{"traceparent": "00-${personal}"}`
    const event = await publish(db, { payload: `{"name": "${personal}"}`, headers, key: 'order 17' })
    const other = await publish(db, { payload: `{"name": "somebody else"}` })
    await expect
      .poll(async () => (await deliveries(db)).map(({ attempts }) => attempts))
      .toEqual([1, 1, 1, 1])
    await db.query(
      `insert into walhook.malformed (slot_name, lsn, row_in_transaction, reason, raw)
       values ('s', '0/1', 0, 'r', $1), ('s', '0/2', 0, 'r', $2)`,
      [
        JSON.stringify({ id: event, payload: personal }),
        JSON.stringify({ id: other, payload: `about "id":"${event}"` }),
      ],
    )
    expect((await tablesWith(db, personal)).length).toBeGreaterThanOrEqual(3)

    expect(await walhookJson(['expunge', event], { DATABASE_URL: db.url })).toEqual({
      event_id: event,
      expunged_at: expect.stringMatching(/^20/),
      cancelled: 1,
      response_bodies: 2,
      malformed: 1,
    })
    expect(await tablesWith(db, personal)).toEqual([])
    expect(await tablesWith(db, 'somebody else')).toContain('walhook.outbox')
    expect(
      await db.query(
        'select type, key, payload, headers, expunged_at is not null as is_expunged from walhook.outbox where id = $1',
        [event],
      ),
    ).toEqual([{ type: 'order.created', key: 'order 17', payload: null, headers: {}, is_expunged: true }])
    const rows = (await deliveries(db)).filter(({ event_id: id }) => id === event)
    expect(new Map(rows.map(({ state, attempts, last_error }) => [state, [attempts, last_error]]))).toEqual(
      new Map([
        ['cancelled', [1, 'expunged']],
        ['delivered', [1, null]],
      ]),
    )
    expect(new Set((await attemptsOf(db, event)).map((attempt) => attempt.response_status))).toEqual(
      new Set([200, 500]),
    )
    expect(await attemptsOf(db, other)).toMatchObject([
      { response_body: expect.stringContaining('somebody else') },
      { response_body: expect.stringContaining('somebody else') },
    ])
    expect(await db.query('select raw from walhook.malformed order by id')).toMatchObject([
      { raw: expect.not.stringContaining(personal) },
      { raw: expect.stringContaining('about') },
    ])
  })
})

test('an expunged event cannot be sent any more: not by a resend, a replay, a backfill, nor from the table', async ({
  db,
  receiver,
  sidecar,
}) => {
  const first = await sidecar()
  receiver.on('/hook', () => respond(400))
  const subscription = await subscribe(db, receiver.url('/hook'), { retrySchedule: [] })
  const event = await publish(db)
  const [delivery] = await untilSettled(db, 1)
  await db.query('select walhook.expunge($1)', [event])

  await expect(db.query('select walhook.resend($1)', [delivery?.id])).rejects.toThrow(
    `delivery_id ${delivery?.id} cannot be sent again: its event was expunged`,
  )
  const refused = await walhook(['resend', delivery?.id ?? ''], { DATABASE_URL: db.url })
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('was expunged (invalid_input)') })
  expect(await replay(db, 'subscription_id => $1', [subscription.id])).toMatchObject([
    { id: null, total: '0' },
  ])
  await auditEverything(db)
  const later = await subscribe(db, receiver.url('/later'))
  expect(await replay(db, 'subscription_id => $1, backfill => true', [later.id])).toMatchObject([
    { id: null, total: '0' },
  ])
  await first.stop()

  // Recorded after it was expunged, by a relay that reads the log again: what waits is not sent as null.
  await db.query(
    `insert into walhook.deliveries (event_id, subscription_id, next_attempt_at, created_at)
     values ($1, $2, now(), now() - interval '1 hour')`,
    [event, later.id],
  )
  await sidecar()
  const rows = await untilSettled(db, 2)
  expect(rows.map(({ state, last_error }) => [state, last_error])).toContainEqual(['dead', 'event_missing'])
  expect(receiver.requests('/later')).toEqual([])
})

test('what an endpoint answers after the expunge is the truth, and its body is removed by retention', async ({
  db,
  receiver,
  sidecar,
}) => {
  const first = await sidecar()
  let answer = (): void => undefined
  const asked = new Promise<void>((resolve) => (answer = resolve))
  receiver.on('/hook', () => {
    answer()
    return respond(200, { body: 'dear person', delayMs: 1_000 })
  })
  await subscribe(db, receiver.url('/hook'))
  const event = await publish(db)
  await asked
  expect(await db.query('select * from walhook.expunge($1)', [event])).toMatchObject([{ cancelled: 1 }])
  await eventually(async () =>
    expect(await deliveries(db)).toMatchObject([{ state: 'delivered', attempts: 1 }]),
  )
  expect(await attemptsOf(db, event)).toMatchObject([{ response_body: 'dear person' }])
  await first.stop()
  const second = await sidecar()
  await second.logs.waitFor('retention.applied')
  expect(await attemptsOf(db, event)).toMatchObject([{ response_body: null, response_status: 200 }])
  expect(await tablesWith(db, 'dear person')).toEqual([])
})

test('an expunge may come again, and of what nothing is known it says so', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  receiver.on('/hook', [hang()])
  const event = await publish(db)
  await untilRecorded(db)
  const [first] = await db.query('select * from walhook.expunge($1)', [event])
  expect(await db.query('select * from walhook.expunge($1)', [event])).toEqual([first])
  await lapseLeases(db)
  const unknown = await walhook(['expunge', randomUUID()], { DATABASE_URL: db.url })
  expect(unknown).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/there is no event .*\(not_found\)/),
  })
})
