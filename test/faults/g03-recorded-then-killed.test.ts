/** G3 across the death of the process: between recording and confirming, and in the middle of a large transaction. */
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import {
  confirmedLsn,
  currentLsn,
  deliveries,
  lapseLeases,
  publish,
  publishTogether,
  subscribe,
  untilSettled,
} from '../support/sql-surface.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

eachPlugin(() => {
  test('killed after it recorded and before it could confirm: nothing is recorded or sent twice', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    await using proxy = await TcpProxy.before(db.url)
    const first = await sidecarProcess({ WALHOOK_REPLICATION_URL: proxy.through(db.url) })
    await first.waitForLog('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    proxy.pause('to-server')
    const before = await currentLsn(db)
    const ids = [await publish(db), ...(await publishTogether(db, 30)), await publish(db)]
    await untilSettled(db, ids.length)
    await first.kill('SIGKILL')
    expect(await confirmedLsn(db)).toBeLessThanOrEqual(before)
    proxy.cut()

    await sidecarProcess()
    const after = await publish(db)
    await receiver.waitFor(ids.length + 1)
    const rows = await untilSettled(db, ids.length + 1)
    expect(rows.map(({ event_id }) => event_id)).toEqual([...ids, after])
    expect(receiver.requests()).toHaveLength(ids.length + 1)
  })

  test('killed in the middle of a transaction of 20,000 events: each has one delivery, in order', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    const first = await sidecarProcess({ WALHOOK_LOG_LEVEL: 'info', WALHOOK_SHUTDOWN_GRACE: '0ms' })
    const subscription = await subscribe(db, receiver.url('/hook'))
    // Parked: this is about what is recorded.
    await db.query('select walhook.pause($1)', [subscription.id])
    const application = await db.application()
    await application.query('begin')
    const ids = await publishTogether(application, 20_000)
    // A delivery that nobody has committed yet makes the fan-out of that event wait: the middle can be waited for.
    const blocker = await db.application()
    await blocker.query('begin')
    await blocker.query(
      'insert into walhook.deliveries (event_id, subscription_id, next_attempt_at) values ($1, $2, now())',
      [ids[10_500], subscription.id],
    )
    await application.query('commit')
    const counted = async (): Promise<unknown> =>
      db.query(
        'select count(*)::int as rows, count(distinct event_id)::int as events from walhook.deliveries',
      )
    await eventually(async () => expect(await counted()).toEqual([{ rows: 10_000, events: 10_000 }]), {
      withinMs: 30_000,
    })
    await first.kill('SIGKILL')
    await blocker.query('rollback')

    await sidecarProcess({ WALHOOK_LOG_LEVEL: 'info' })
    await eventually(async () => expect(await counted()).toEqual([{ rows: 20_000, events: 20_000 }]), {
      withinMs: 30_000,
    })
    expect((await deliveries(db)).map(({ event_id }) => event_id)).toEqual(ids)
  })

  test('killed while requests are under way: they are made again under the same id, and nothing else is', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    const first = await sidecarProcess({ WALHOOK_LOG_LEVEL: 'info' })
    await subscribe(db, receiver.url('/hook'))
    const done = await publishTogether(db, 20)
    await untilSettled(db, done.length)
    receiver.on('/hook', () => ({ kind: 'hang' }))
    // As many as an endpoint gets at one time before it has answered.
    const underWay = await publishTogether(db, 8)
    await receiver.waitFor(done.length + underWay.length)
    await first.kill('SIGKILL')
    receiver.on('/hook', () => ({ kind: 'respond', status: 200 }))

    await sidecarProcess({ WALHOOK_LOG_LEVEL: 'info' })
    await lapseLeases(db)
    await untilSettled(db, done.length + underWay.length)
    const requests = receiver.requests().map(({ id }) => id)
    expect(requests.slice(-underWay.length).sort()).toEqual(underWay.toSorted())
    expect(requests).toHaveLength(done.length + 2 * underWay.length)
    // An attempt whose outcome nobody knows is not counted against the endpoint.
    expect((await deliveries(db)).map(({ attempts }) => attempts)).toEqual(
      [...done, ...underWay].map(() => 1),
    )
  })
})
