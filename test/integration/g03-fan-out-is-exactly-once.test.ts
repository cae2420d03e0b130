/**
 * G3: one delivery per event and subscription, however often the write-ahead log is read again. The log is made to be
 * read again by a proxy that holds back what Walhook confirms: Postgres then sends it all a second time.
 */
import { expect } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import {
  confirmedLsn,
  currentLsn,
  deliveries,
  publish,
  publishTogether,
  subscribe,
  untilSettled,
} from '../support/sql-surface.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import type { TestDatabase } from '../support/test-database.ts'

async function countPerPair(db: TestDatabase): Promise<{ pairs: number; deliveries: number }> {
  const [counts] = await db.query<{ pairs: number; deliveries: number }>(
    `select count(distinct (event_id, subscription_id))::int as pairs, count(*)::int as deliveries from walhook.deliveries`,
  )
  return counts ?? { pairs: 0, deliveries: 0 }
}

eachPlugin(() => {
  test('what is read again after it was recorded makes no second delivery and no second request', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await using proxy = await TcpProxy.before(db.url)
    const { logs } = await sidecar({ WALHOOK_REPLICATION_URL: proxy.through(db.url) })
    await logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/one'))
    await subscribe(db, receiver.url('/two'))

    proxy.pause('to-server')
    const before = await currentLsn(db)
    const ids = [await publish(db), ...(await publishTogether(db, 50)), await publish(db)]
    await untilSettled(db, ids.length * 2)
    expect(await confirmedLsn(db)).toBeLessThanOrEqual(before)

    proxy.cut()
    proxy.heal()
    await logs.waitFor('relay.interrupted')
    const after = await publish(db)
    const rows = await untilSettled(db, (ids.length + 1) * 2)

    expect(new Set(rows.map(({ event_id }) => event_id))).toEqual(new Set([...ids, after]))
    for (const path of ['/one', '/two'])
      expect(
        receiver
          .requests(path)
          .map(({ id }) => id)
          .sort(),
      ).toEqual([...ids, after].toSorted())
    expect(new Set(rows.map(({ attempts }) => attempts))).toEqual(new Set([1]))
  })

  test('rows of one COPY, which share an LSN, are each an event', async ({ db, receiver, sidecar }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'))
    await db.query(String.raw`
      copy walhook.outbox (type, payload)
      from program 'seq 1 700 | while read n; do printf "order.copied\t{\"n\": %s}\n" $n; done'`)

    await untilSettled(db, 700)
    const received = receiver
      .requests()
      .map(({ body }) => JSON.parse(body.toString()) as { data: { n: number } })
    expect(received.map(({ data }) => data.n).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 700 }, (_, i) => i + 1),
    )
  })

  test('a large transaction that is recorded in pieces is taken up in the middle, row by row', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar()
    const subscription = await subscribe(db, receiver.url('/hook'))
    // Parked: this is about what is recorded.
    await db.query('select walhook.pause($1)', [subscription.id])
    const application = await db.application()
    await application.query('begin')
    const ids = await publishTogether(application, 5_000)

    // A delivery that nobody has committed yet makes the fan-out of that row wait: in the middle of the transaction.
    const blocker = await db.application()
    await blocker.query('begin')
    await blocker.query(
      'insert into walhook.deliveries (event_id, subscription_id, next_attempt_at) values ($1, $2, now())',
      [ids[2_500], subscription.id],
    )
    await application.query('commit')
    await expect.poll(async () => (await deliveries(db)).length, { timeout: 20_000 }).toBe(2_000)
    const interruptions = logs.all('relay.interrupted').length
    await db.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name = 'walhook'`,
    )
    await logs.waitFor('relay.interrupted', () => logs.all('relay.interrupted').length > interruptions)
    await blocker.query('rollback')

    await expect.poll(async () => (await deliveries(db)).length, { timeout: 20_000 }).toBe(5_000)
    expect(await countPerPair(db)).toEqual({ pairs: 5_000, deliveries: 5_000 })
    expect((await deliveries(db)).map(({ event_id }) => event_id)).toEqual(ids)
  })

  test('an event that is inserted twice under one id cannot be: the application is told', async ({ db }) => {
    const id = await publish(db)
    await expect(publish(db, { id })).rejects.toMatchObject({ code: '23505', constraint: 'outbox_pkey' })
  })
})
