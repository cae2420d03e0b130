/** How fast an endpoint is called: by the limits of its subscription, and by what it shows that it can take. */
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { type ReceivedRequest, respond } from '../support/receiver.ts'
import {
  deliveries,
  publish,
  publishTogether,
  subscribe,
  type Subscribed,
  untilRecorded,
  untilSettled,
} from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

const setOption = (db: TestDatabase, { id }: Subscribed, change: string): Promise<unknown> =>
  db.query(`update walhook.subscriptions set ${change} where id = $1`, [id])

/** The most arrivals in any stretch of so long. */
function mostWithin(requests: readonly ReceivedRequest[], stretchMs: number): number {
  const arrivals = requests.map(({ arrivedAtMs }) => arrivedAtMs)
  return Math.max(
    ...arrivals.map((from) => arrivals.filter((at) => at >= from && at < from + stretchMs).length),
  )
}

eachPlugin(() => {
  test('a rate limit is kept by two replicas together, to within 10 %, and nobody else waits for it', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await sidecar()
    const limited = await subscribe(db, receiver.url('/limited'), { eventTypes: ['order.*'] })
    await setOption(db, limited, `rate_limit = '50/s burst 10'`)
    await subscribe(db, receiver.url('/free'), { eventTypes: ['order.*'] })
    await publishTogether(db, 300)
    await receiver.waitFor(300, { path: '/free' })
    const already = receiver.requests('/limited').length
    expect(already).toBeLessThan(150)

    await untilSettled(db, 600)
    const requests = receiver.requests('/limited')
    expect(requests).toHaveLength(300)
    expect((await deliveries(db, limited)).every(({ attempts }) => attempts === 1)).toBe(true)
    const tookSeconds = ((requests.at(-1)?.arrivedAtMs ?? 0) - (requests[0]?.arrivedAtMs ?? 0)) / 1000
    const rate = (300 - 10) / tookSeconds
    expect(rate).toBeGreaterThan(45)
    expect(rate).toBeLessThan(55)
    // Three seconds' worth and a burst. On a busy machine requests catch up with one another on their way, within a shorter time.
    expect(mostWithin(requests, 3_000)).toBeLessThanOrEqual(160 * 1.1)
  })

  test('a rate of one a minute sends one at a time, and what has its turn far off waits in the database', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const subscription = await subscribe(db, receiver.url('/hook'), { eventTypes: ['order.*'] })
    await setOption(db, subscription, `rate_limit = '1/m'`)
    await publishTogether(db, 50)
    await receiver.waitFor(1)
    await untilRecorded(db)
    await eventually(async () => {
      const rows = await deliveries(db, subscription)
      expect(rows.filter(({ waits_as }) => waits_as === 'waiting')).toHaveLength(49)
    })
    expect(receiver.requests()).toHaveLength(1)
  })

  test('max_in_flight is how many requests there are at one time', async ({ db, receiver, sidecar }) => {
    await sidecar()
    let underWay = 0
    let most = 0
    receiver.on('/hook', () => {
      most = Math.max(most, ++underWay)
      const until = new Promise((resolve) => setTimeout(resolve, 50)).then(() => underWay--)
      return { kind: 'hold', until, reply: respond(200) }
    })
    const subscription = await subscribe(db, receiver.url('/hook'))
    await setOption(db, subscription, 'max_in_flight = 2')
    await publishTogether(db, 20)
    await untilSettled(db, 20)
    expect(most).toBe(2)
  })

  test('an endpoint that says 429 to more than it can take gets hardly more than that, and everything', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    let busy = 0
    receiver.on('/hook', () => {
      if (busy >= 4) return respond(429)
      busy++
      const done = new Promise((resolve) => setTimeout(resolve, 20)).then(() => busy--)
      return { kind: 'hold', until: done, reply: respond(200) }
    })
    const subscription = await subscribe(db, receiver.url('/hook'), {
      retrySchedule: Array.from({ length: 20 }, () => '200ms'),
    })
    await publishTogether(db, 400)
    await untilSettled(db, 400, { withinMs: 30_000 })
    expect((await deliveries(db, subscription)).every(({ state }) => state === 'delivered')).toBe(true)
    const refused = receiver.requests('/hook').length - 400
    expect(refused).toBeLessThan(100)
  })

  test('what one request is told by Retry-After is heeded for all of them', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const opensAt = performance.now() + 3_000
    receiver.on('/hook', () =>
      performance.now() < opensAt ? respond(429, { headers: { 'retry-after': '2' } }) : respond(200),
    )
    await subscribe(db, receiver.url('/hook'), { retrySchedule: ['5s', '5s', '5s'] })
    await publishTogether(db, 200)
    await untilSettled(db, 200, { withinMs: 30_000 })
    const refused = receiver.requests('/hook').filter(({ arrivedAtMs }) => arrivedAtMs < opensAt)
    expect(refused.length).toBeLessThan(20)
  })

  test('a backlog that resumes is drained oldest first, and fresh events come before it', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    receiver.on('/hook', () => respond(200, { delayMs: 20 }))
    const subscription = await subscribe(db, receiver.url('/hook'), { eventTypes: ['order.*'] })
    await db.query('select walhook.pause($1)', [subscription.id])
    const parked = await publishTogether(db, 2_000)
    await untilRecorded(db)
    await db.query('select walhook.resume($1)', [subscription.id])
    const first = await receiver.waitFor(100)
    // What goes out at one time may overtake, and no more.
    const oldest = new Set(parked.slice(0, 200))
    expect(first.slice(0, 100).filter(({ id }) => !oldest.has(id))).toEqual([])
    // Nothing is poured over it: the ninth waits for an answer, which takes twice as long as this.
    const [{ arrivedAtMs: begun } = { arrivedAtMs: 0 }] = first
    expect(first.filter(({ arrivedAtMs }) => arrivedAtMs < begun + 10).length).toBeLessThanOrEqual(8)

    const before = receiver.requests().length
    const fresh = await publish(db)
    const requests = await receiver.waitFor((all) => all.some(({ id }) => id === fresh))
    expect(requests.findIndex(({ id }) => id === fresh) - before).toBeLessThan(300)
    await untilSettled(db, 2_001, { withinMs: 30_000 })
  })
})
