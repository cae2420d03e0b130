/** Statistics: what psql says is what was counted, whoever counted it, and reading it costs the same however much there is. */
import { describe, expect } from 'vitest'
import { bucketOf } from '../../src/core/delivery-counts.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { publish, publishTogether, subscribe, untilSettled } from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

interface Counted {
  readonly attempts: number
  readonly failed_attempts: number
  readonly failure_rate: number | null
  readonly delivered: number
  readonly dead: number
  readonly cancelled: number
  readonly pending: number
  readonly [percentile: `${string}_ms`]: number | null
}

async function stats(
  db: TestDatabase,
  {
    period = '1 hour',
    subscription,
    tenant,
  }: { period?: string; subscription?: string; tenant?: string } = {},
): Promise<Counted> {
  const [row] = await db.query<Counted>(
    `select attempts::int, failed_attempts::int, failure_rate, delivered::int, dead::int, cancelled::int, pending::int,
       attempt_p50_ms, attempt_p99_ms, delivered_p50_ms, delivered_p99_ms
     from walhook.stats($1::interval, $2, $3)`,
    [period, subscription, tenant],
  )
  if (row === undefined) throw new Error('no statistics')
  return row
}

test('counts by outcome are those of the attempts, of each subscription, tenant and all together', async ({
  db,
  receiver,
  sidecar,
}) => {
  const running = await sidecar()
  const good = await subscribe(db, receiver.url('/good'), { tenant: 'acme' })
  const bad = await subscribe(db, receiver.url('/bad'), { retrySchedule: ['100ms'] })
  receiver.on('/bad', () => respond(500))
  for (let n = 0; n < 3; n++) await publish(db, { tenant: 'acme' })
  await untilSettled(db, 6)

  await eventually(async () => {
    expect(await stats(db)).toMatchObject({ attempts: 9, delivered: 3, dead: 3, cancelled: 0, pending: 0 })
  })
  expect(await stats(db, { subscription: bad.id })).toMatchObject({
    attempts: 6,
    failed_attempts: 6,
    failure_rate: 1,
    delivered: 0,
    dead: 3,
    delivered_p50_ms: null,
  })
  for (const scope of [
    { subscription: good.id },
    { tenant: 'acme' },
    { tenant: 'acme', subscription: good.id },
  ])
    for (const period of ['1 hour', '24 hours', '7 days'])
      expect(await stats(db, { ...scope, period })).toMatchObject({
        attempts: 3,
        failure_rate: 0,
        delivered: 3,
      })
  expect(await stats(db, { tenant: 'other' })).toMatchObject({ attempts: 0, failure_rate: null })
  expect(await stats(db, { tenant: 'acme', subscription: bad.id })).toMatchObject({ attempts: 0 })
  const { attempt_p50_ms: attempt, delivered_p50_ms: delivered, delivered_p99_ms: slowest } = await stats(db)
  expect(attempt).toBeGreaterThan(0)
  expect(delivered).toBeGreaterThan(0)
  expect(slowest).toBeLessThan(60_000)

  const series = await db.query<{ delivered: number }>(
    `select delivered::int from walhook.stats_series('1 hour') order by at`,
  )
  expect(series).toHaveLength(60)
  expect(series.reduce((sum, point) => sum + point.delivered, 0)).toBe(3)
  expect(
    await db.query(
      `select delivered::int, dead::int, pending::int from walhook.subscription_health order by url`,
    ),
  ).toEqual([
    { delivered: 0, dead: 3, pending: 0 },
    { delivered: 3, dead: 0, pending: 0 },
  ])

  // What came since the last write is written when it stops.
  await publish(db, { tenant: 'acme' })
  await untilSettled(db, 8)
  await running.stop()
  expect(await stats(db)).toMatchObject({ delivered: 4, dead: 4, attempts: 12 })
})

test('what SQL cancels is counted, and nobody waits for whoever does it', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  const parked = await subscribe(db, receiver.url('/parked'))
  const active = await subscribe(db, receiver.url('/hook'))
  await db.query('select walhook.pause($1)', [parked.id])
  const [first] = await publishTogether(db, 3)
  await untilSettled(db, 3, { subscription: active })

  const operator = await db.application()
  try {
    await operator.query('begin')
    await operator.query('select walhook.expunge($1)', [first])
    await operator.query("select walhook.cancel(min(id)) from walhook.deliveries where state = 'pending'")
    await operator.query('delete from walhook.subscriptions where id = $1', [parked.id])
    await publish(db)
    await eventually(async () => {
      expect(await stats(db)).toMatchObject({ delivered: 4, cancelled: 0 })
    })
    await operator.query('commit')
  } finally {
    await operator.end()
  }
  expect(await stats(db)).toMatchObject({ delivered: 4, cancelled: 3 })
})

describe('reading', () => {
  test('takes the counters and no table of deliveries or attempts', async ({ db }) => {
    const { id } = await subscribe(db, 'https://example.com/hook')
    await db.query(
      `insert into walhook.deliveries (event_id, subscription_id, state, attempts, finished_at, created_at)
       select gen_random_uuid(), $1, 'delivered', 1, now(), now() from generate_series(1, 50000)`,
      [id],
    )
    await db.query('analyze walhook.deliveries')
    for (const query of [
      `select * from walhook.stats('7 days')`,
      `select * from walhook.stats_series('7 days', '${id}')`,
      'select * from walhook.subscription_health',
      'select * from walhook.backlog',
      'select * from walhook.subscription_stats',
    ])
      expect(await buffersOf(db, query), query).toBeLessThan(300)
  })

  test('percentiles are exact to the bucket, and the buckets are those that are counted in', async ({
    db,
  }) => {
    const latencies = [0, 0.5, 1, 3, 9.9, 10, 14, 15, 15.9, 16, 100, 999, 5_000, 60_000, 86_400_000]
    const bounds = await db.query<{ bound: number }>(
      'select walhook.latency_bound(n) as bound from generate_series(0, 56) as n',
    )
    for (const ms of latencies) {
      const bucket = bucketOf(ms)
      expect(ms).toBeLessThan(bounds[bucket]?.bound ?? NaN)
      expect(ms).toBeGreaterThanOrEqual(bucket === 0 ? 0 : (bounds[bucket - 1]?.bound ?? NaN))
    }
    const buckets: number[] = Array.from({ length: 20 }, () => 0)
    for (let ms = 1; ms <= 500; ms++) buckets[bucketOf(ms)] = (buckets[bucketOf(ms)] ?? 0) + 1
    const [row] = await db.query<{ p50: number; p99: number; none: number | null }>(
      `select walhook.percentile_ms($1, 0.5) as p50, walhook.percentile_ms($1, 0.99) as p99, walhook.percentile_ms('{}', 0.5) as none`,
      [buckets],
    )
    expect(row?.p50).toBeCloseTo(250, -1)
    expect(row?.p99).toBeGreaterThan(450)
    expect(row?.none).toBeNull()
  })

  test('of a period that is none is refused', async ({ db }) => {
    for (const period of ['8 days', '10 seconds'])
      await expect(stats(db, { period })).rejects.toMatchObject({ column: 'period' })
  })
})

/** Pages that it looks at. */
async function buffersOf(db: TestDatabase, query: string): Promise<number> {
  await db.query(query)
  const [row] = await db.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
    `explain (analyze, buffers, format json) ${query}`,
  )
  const plan = row?.['QUERY PLAN'][0].Plan
  return (plan?.['Shared Hit Blocks'] ?? NaN) + (plan?.['Shared Read Blocks'] ?? NaN)
}
