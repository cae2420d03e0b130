/** /v1/stats and /v1/subscriptions/{id}/stats: how deliveries went, from walhook.stats and walhook.stats_series. */
import { z } from 'zod'
import type { Queryable } from '../store/database.ts'
import {
  isSubscription,
  readStats,
  readStatsSeries,
  type Stats,
  STATS_WINDOWS,
  type StatsPoint,
  type StatsScope,
  type StatsWindow,
} from '../store/stats.ts'
import type { ApiApp } from './app.ts'
import { notFound } from './problem.ts'
import { shownTime, shownTimeOrNull, timestamp, uuid } from './schemas.ts'

const count = z.number().int().nonnegative()
const milliseconds = z.number().nonnegative().nullable()

const latency = z
  .object({ p50: milliseconds, p95: milliseconds, p99: milliseconds })
  .describe('In milliseconds; null where nothing was counted.')

const point = z
  .object({
    at: timestamp.describe('Where the step begins. The last one is under way.'),
    attempts: count,
    failed_attempts: count,
    delivered: count,
    dead: count,
    cancelled: count,
    attempt_p50_ms: milliseconds,
    attempt_p95_ms: milliseconds,
    delivered_p50_ms: milliseconds,
    delivered_p95_ms: milliseconds,
  })
  .meta({ id: 'StatsPoint' })

export const stats = z
  .object({
    window: z.enum(STATS_WINDOWS),
    from: timestamp.describe('Where the first step begins.'),
    counts: z.object({
      attempts: count.describe('Attempts that were recorded.'),
      failed_attempts: count.describe('Those of them that were not answered with a 2xx.'),
      delivered: count,
      dead: count,
      cancelled: count,
    }),
    failure_rate: z
      .number()
      .min(0)
      .max(1)
      .nullable()
      .describe('The share of attempts that failed; null where there were none.'),
    latency: z.object({
      attempt: latency,
      delivered: latency.describe('From the commit of an event to its delivery, in milliseconds.'),
    }),
    backlog: z.object({
      pending: count.describe('What is owed now.'),
      oldest_at: timestamp.nullable().describe('Since when the oldest of it is owed.'),
      drained_in: z
        .number()
        .nonnegative()
        .nullable()
        .describe(
          'In how many seconds it is delivered at the rate of the last five minutes, the slowest endpoint that moves; null while nothing does.',
        ),
    }),
    series: z
      .array(point)
      .describe('A minute apart for 1h, a quarter of an hour for 24h, an hour for 7d; the oldest first.'),
  })
  .meta({
    id: 'Stats',
    description: 'Counted as deliveries end, and a few seconds old. What is owed is counted now.',
  })

const query = z.strictObject({
  window: z.enum(STATS_WINDOWS, `has to be ${STATS_WINDOWS.join(', ')}`).default('24h'),
})

export function addStatsRoutes(app: ApiApp, { database }: { readonly database: Queryable }): void {
  app.get(
    '/v1/stats',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getStats',
        tags: ['statistics'],
        summary: 'How deliveries went',
        description: "Of all subscriptions; with a tenant's key, of that tenant's.",
        querystring: query,
        response: { 200: stats },
      },
    },
    ({ query: { window }, principal: { tenant } }) =>
      read(database, window, { subscriptionId: null, tenant }),
  )
  app.get(
    '/v1/subscriptions/:id/stats',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getSubscriptionStats',
        tags: ['statistics'],
        summary: "How a subscription's deliveries went",
        params: z.strictObject({ id: uuid }),
        querystring: query,
        response: { 200: stats },
      },
    },
    async ({ params: { id }, query: { window }, principal: { tenant } }) => {
      const scope = { subscriptionId: id, tenant }
      if (!(await isSubscription(database, scope))) throw notFound('subscription')
      return read(database, window, scope)
    },
  )
}

async function read(
  database: Queryable,
  window: StatsWindow,
  scope: StatsScope,
): Promise<z.output<typeof stats>> {
  const [row, series] = await Promise.all([
    readStats(database, window, scope),
    readStatsSeries(database, window, scope),
  ])
  return shown(window, row, series)
}

function shown(window: StatsWindow, row: Stats, series: readonly StatsPoint[]): z.output<typeof stats> {
  const { attempts, failed_attempts, delivered, dead, cancelled } = row
  return {
    window,
    from: shownTime(row.from_at),
    counts: { attempts, failed_attempts, delivered, dead, cancelled },
    failure_rate: row.failure_rate,
    latency: {
      attempt: { p50: row.attempt_p50_ms, p95: row.attempt_p95_ms, p99: row.attempt_p99_ms },
      delivered: { p50: row.delivered_p50_ms, p95: row.delivered_p95_ms, p99: row.delivered_p99_ms },
    },
    backlog: {
      pending: row.pending,
      oldest_at: shownTimeOrNull(row.oldest_pending_at),
      drained_in: row.drained_in,
    },
    series: series.map((each) => ({ ...each, at: shownTime(each.at) })),
  }
}
