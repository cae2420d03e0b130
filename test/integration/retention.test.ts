/** What is removed, and what never is: nothing that is owed, and no delivery before its event. */
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { auditEverything, replay, untilReplayed } from '../support/replays.ts'
import { deliveries, publish, subscribe, untilRecorded, untilSettled } from '../support/sql-surface.ts'

test('old events, deliveries and attempts go; what is owed stays, whatever its age', async ({
  db,
  receiver,
  sidecar,
}) => {
  const first = await sidecar()
  const subscription = await subscribe(db, receiver.url('/hook'), { retrySchedule: ['1h'] })
  receiver.on('/hook', (request) => respond(request.body.includes('owed') ? 500 : 200))
  const old = await publish(db, { payload: '"old"' })
  const owed = await publish(db, { payload: '"owed"' })
  const recent = await publish(db, { payload: '"recent"' })
  await expect.poll(async () => (await deliveries(db)).map(({ attempts }) => attempts)).toEqual([1, 1, 1])
  await first.stop()

  await db.query(`update walhook.outbox set created_at = now() - interval '3 days' where id = any ($1)`, [
    [old, owed],
  ])
  await db.query(
    `update walhook.deliveries set created_at = now() - interval '3 days', finished_at = now() - interval '3 days' where event_id = $1`,
    [old],
  )
  await db.query(`update walhook.deliveries set created_at = now() - interval '3 days' where event_id = $1`, [
    owed,
  ])
  await db.query(`insert into walhook.malformed (slot_name, lsn, row_in_transaction, reason, raw, created_at)
    values ('s', '0/1', 0, 'old', '{}', now() - interval '5 days'), ('s', '0/2', 0, 'recent', '{}', now())`)
  await db.query(
    `create table walhook.attempts_2020_01_01 partition of walhook.attempts for values from ('2020-01-01 00:00:00+00') to ('2020-01-02 00:00:00+00')`,
  )
  await db.query(
    `insert into walhook.attempts (delivery_id, number, started_at, duration_ms, response_status) values (1, 1, '2020-01-01 12:00:00+00', 1, 200)`,
  )

  // Everything has been compared with its deliveries, as it is within two minutes.
  await db.query('update walhook.relay set audited_to = pg_snapshot_xmax(pg_current_snapshot())')
  // Events are kept for two days, deliveries for four: the old event goes, and its delivery is still there.
  const second = await sidecar({ WALHOOK_RETENTION: 'outbox=2d,deliveries=4d,attempts=2d' })
  const report = await second.logs.waitFor('retention.applied')
  expect(report).toMatchObject({ events: 1, deliveries: 0, malformed: 1, attemptPartitions: 1 })
  await second.stop()
  expect(await db.query('select id from walhook.outbox order by id')).toEqual(
    [{ id: owed }, { id: recent }].sort((a, b) => (a.id < b.id ? -1 : 1)),
  )
  expect((await deliveries(db)).map(({ event_id, state }) => [event_id, state])).toEqual([
    [old, 'delivered'],
    [owed, 'pending'],
    [recent, 'delivered'],
  ])
  expect(await db.query(`select to_regclass('walhook.attempts_2020_01_01') as partition`)).toEqual([
    { partition: null },
  ])
  expect(await db.query('select reason from walhook.malformed')).toEqual([{ reason: 'recent' }])

  const third = await sidecar({ WALHOOK_RETENTION: '1d' })
  expect(await third.logs.waitFor('retention.applied')).toMatchObject({ events: 0, deliveries: 1 })
  expect((await deliveries(db)).map(({ event_id }) => event_id)).toEqual([owed, recent])

  // And the one that was owed all along is still delivered.
  receiver.on('/hook', () => respond(200))
  await db.query('select walhook.resend(id) from walhook.deliveries where event_id = $1', [owed])
  const rows = await untilSettled(db, 2, { subscription })
  expect(rows.map(({ state }) => state)).toEqual(['delivered', 'delivered'])
})

test('a delivery stays as long as its event is kept for another: it is what keeps the event from being sent again', async ({
  db,
  receiver,
  sidecar,
}) => {
  const first = await sidecar()
  receiver.on('/fails', () => respond(500))
  await subscribe(db, receiver.url('/accepts'))
  await subscribe(db, receiver.url('/fails'), { retrySchedule: ['1h'] })
  await publish(db)
  await expect.poll(async () => (await deliveries(db)).map(({ attempts }) => attempts)).toEqual([1, 1])
  await first.stop()
  await db.query(`update walhook.outbox set created_at = now() - interval '9 days'`)
  await db.query(
    `update walhook.deliveries set finished_at = now() - interval '9 days' where state = 'delivered'`,
  )

  const second = await sidecar({ WALHOOK_RETENTION: '1d' })
  expect(await second.logs.waitFor('retention.applied')).toMatchObject({ events: 0, deliveries: 0 })
  expect((await deliveries(db)).map(({ state }) => state).sort((a, b) => (a < b ? -1 : 1))).toEqual([
    'delivered',
    'pending',
  ])
})

test('what has to stay, more of it than is looked at at once, does not keep what comes after it', async ({
  db,
  receiver,
  sidecar,
}) => {
  const first = await sidecar()
  const owed = await subscribe(db, receiver.url('/parked'), { eventTypes: ['no.such'] })
  const other = await subscribe(db, receiver.url('/delivered'), { eventTypes: ['no.such'] })
  await db.query('select walhook.pause($1)', [owed.id])
  await first.stop()
  // 12,000 events that all came at the same time; the last 2,000 are owed to nobody any more.
  await db.query(
    `with event as (
       insert into walhook.outbox (id, type, payload, created_at)
       select lpad(to_hex(n), 32, '0')::uuid, 'order.created', '{}', date_trunc('day', now()) - interval '9 days'
       from generate_series(1, 12000) as n
       returning id, created_at
     ),
     finished as (
       insert into walhook.deliveries (event_id, subscription_id, state, attempts, created_at, finished_at)
       select id, $2::uuid, 'delivered', 1, created_at, created_at from event
     )
     insert into walhook.deliveries (event_id, subscription_id, next_attempt_at)
     select id, $1::uuid, created_at from event where id <= lpad(to_hex(10000), 32, '0')::uuid`,
    [owed.id, other.id],
  )
  await auditEverything(db)
  const second = await sidecar({ WALHOOK_RETENTION: '1d' })
  expect(await second.logs.waitFor('retention.applied')).toMatchObject({ events: 2000, deliveries: 2000 })
  expect(
    await db.query(
      'select state, count(*)::int as count from walhook.deliveries group by state order by state',
    ),
  ).toEqual([
    { state: 'delivered', count: 10_000 },
    { state: 'pending', count: 10_000 },
  ])
})

test('partitions for the coming days are there before they are needed', async ({ db, sidecar }) => {
  await db.query(`do $$ declare p text; begin
    for p in select inhrelid::regclass::text from pg_inherits where inhparent = 'walhook.attempts'::regclass loop
      execute 'drop table ' || p;
    end loop; end $$`)
  const { logs } = await sidecar()
  await logs.waitFor('retention.applied')
  const [ahead] = await db.query<{ days: number }>(
    `select count(*)::int as days from generate_series(0, 7) as n
     where to_regclass(format('walhook.attempts_%s', to_char((now() at time zone 'utc')::date + n, 'YYYY_MM_DD'))) is not null`,
  )
  expect(ahead).toEqual({ days: 8 })
})

test('an attempt on a day without a partition makes one', async ({ db, receiver, sidecar }) => {
  const { logs } = await sidecar()
  await logs.waitFor('retention.applied')
  await db.query(`do $$ declare p text; begin
    for p in select inhrelid::regclass::text from pg_inherits where inhparent = 'walhook.attempts'::regclass loop
      execute 'drop table ' || p;
    end loop; end $$`)
  await subscribe(db, receiver.url('/hook'))
  await publish(db)
  await untilSettled(db, 1)
  expect(receiver.requests()).toHaveLength(1)
  expect(await db.query('select number, response_status from walhook.attempts')).toEqual([
    { number: 1, response_status: 204 },
  ])
})

test('an event that a replay has still to come by stays, one that it has passed or does not ask for goes', async ({
  db,
  receiver,
  sidecar,
}) => {
  const first = await sidecar()
  receiver.on('/hook', () => respond(400))
  const subscription = await subscribe(db, receiver.url('/hook'), { retrySchedule: [] })
  const wanted = await publish(db, { type: 'order.created' })
  await untilSettled(db, 1)
  const unwanted = await publish(db, { type: 'invoice.issued' })
  await untilSettled(db, 2)
  await first.stop()
  await db.query(`update walhook.outbox set created_at = now() - interval '3 days'`)
  await db.query(`update walhook.deliveries set finished_at = now() - interval '3 days'`)
  await auditEverything(db)
  await db.query('select walhook.pause($1)', [subscription.id])
  const later = await subscribe(db, receiver.url('/later'), { eventTypes: ['order.*'] })
  await db.query('select walhook.pause($1)', [later.id])

  const kept = async (): Promise<unknown[]> =>
    (await db.query<{ id: string }>('select id from walhook.outbox')).map(({ id }) => id)
  // Paused, neither of the two can go on.
  const [resending] = await replay(db, 'subscription_id => $1', [subscription.id])
  await db.query(`update walhook.replays set last_id = 1`)
  const [backfilling] = await replay(db, `subscription_id => $1, backfill => true`, [later.id])
  await db.query(`select walhook.stop_replay($1)`, [backfilling?.id])
  const second = await sidecar({ WALHOOK_RETENTION: '1d' })
  expect(await second.logs.waitFor('retention.applied')).toMatchObject({ events: 1 })
  expect(await kept()).toEqual([wanted])
  expect(unwanted).not.toBe(wanted)
  await second.stop()

  await db.query(`select walhook.stop_replay($1)`, [resending?.id])
  await db.query(`select walhook.continue_replay($1)`, [backfilling?.id])
  const third = await sidecar({ WALHOOK_RETENTION: '1d' })
  expect(await third.logs.waitFor('retention.applied')).toMatchObject({ events: 0 })
  await third.stop()

  await db.query(`update walhook.replays set state = 'done', finished_at = now() - interval '2 days'`)
  const fourth = await sidecar({ WALHOOK_RETENTION: '1d' })
  expect(await fourth.logs.waitFor('retention.applied')).toMatchObject({ events: 1, replays: 2 })
  expect(await kept()).toEqual([])
})

test('the subscription of a replay to another URL goes once nothing tells of it any more, and no other does', async ({
  db,
  receiver,
  sidecar,
}) => {
  const first = await sidecar()
  const subscription = await subscribe(db, receiver.url('/hook'))
  await publish(db)
  await untilSettled(db, 1)
  const [asked] = await replay(db, `subscription_id => $1, states => '{delivered}', to_url => $2`, [
    subscription.id,
    receiver.url('/bin'),
  ])
  await eventually(async () => expect(await deliveries(db)).toHaveLength(2))
  await untilSettled(db, 2)
  await untilReplayed(db, asked?.id)
  await first.stop()
  const age = async (table: string, column: string): Promise<unknown> =>
    db.query(`update walhook.${table} set ${column} = now() - interval '3 days'`)
  await age('subscriptions', 'created_at')
  await age('outbox', 'created_at')
  await age('replays', 'finished_at')
  await auditEverything(db)
  const second = await sidecar({ WALHOOK_RETENTION: '1d' })
  expect(await second.logs.waitFor('retention.applied')).toMatchObject({
    events: 1,
    deliveries: 0,
    replays: 1,
  })
  await second.stop()
  expect(await db.query('select from walhook.subscriptions')).toHaveLength(2)
  await age('deliveries', 'finished_at')
  const third = await sidecar({ WALHOOK_RETENTION: '1d' })
  expect(await third.logs.waitFor('retention.applied')).toMatchObject({ deliveries: 2 })
  expect(await db.query('select id from walhook.subscriptions')).toEqual([{ id: subscription.id }])
})

test('the space that each table takes is shown, by partition, with how long it is kept, and as a metric', async ({
  db,
  receiver,
  sidecar,
}) => {
  const { logs, url } = await sidecar({ WALHOOK_RETENTION: 'outbox=3d,deliveries=9d,attempts=5d' })
  await logs.waitFor('retention.applied')
  await subscribe(db, receiver.url('/hook'))
  await publish(db)
  await untilRecorded(db)
  await untilSettled(db, 2)
  const rows = await db.query<{ table_name: string; partition_name: string | null }>(
    `select table_name, partition_name, total_bytes > 0 as has_bytes, total_bytes = table_bytes + index_bytes as adds_up,
       extract(day from kept_for)::int as days, oldest_at > now() - interval '1 hour' as is_young
     from walhook.space order by 1, 2`,
  )
  const one = (table: string): unknown => rows.find(({ table_name: name }) => name === table)
  expect(one('outbox')).toMatchObject({ has_bytes: true, adds_up: true, days: 3, is_young: true })
  expect(one('deliveries')).toMatchObject({ has_bytes: true, adds_up: true, days: 9, is_young: true })
  expect(one('jobs')).toMatchObject({ has_bytes: true, partition_name: null, days: null })
  const partitions = rows.filter(({ table_name: name }) => name === 'attempts')
  expect(partitions.length).toBeGreaterThan(7)
  expect(partitions[0]).toMatchObject({ partition_name: expect.stringMatching(/^attempts_\d/), days: 5 })
  const text = await eventually(async () => {
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(metrics).toMatch(/^walhook_table_bytes\{table="outbox"\} [1-9]\d+$/m)
    return metrics
  })
  expect(text).toMatch(/^walhook_table_bytes\{table="attempts"\} [1-9]\d+$/m)
})
