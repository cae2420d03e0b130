/**
 * `walhook demo`: a shop, three endpoints and the sidecar between them, on a throwaway Postgres; then a look at whether
 * the story came true. Nothing of the environment's settings reaches it.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { type Config, parseConfig } from '../config.ts'
import { WalhookError } from '../lifecycle/errors.ts'
import { Database } from '../store/database.ts'
import { pageOfDeliveries } from '../store/delivery-pages.ts'
import { countDeliveries } from '../store/delivery-reports.ts'
import { createSubscription } from '../store/subscription-changes.ts'
import type { CommandContext } from './command.ts'
import { Shop, type WrittenEvent } from './demo/application.ts'
import { checkStory, debtsOf } from './demo/check.ts'
import { commitToReceipt } from './demo/latency.ts'
import { Narrator } from './demo/narrator.ts'
import { Receiver } from './demo/receiver.ts'
import { ENDPOINT_NAMES, ENDPOINTS, TOLD_ORDERS, trafficOrders } from './demo/story.ts'
import { startEmbeddedPostgres } from './embedded-postgres.ts'
import { loadSidecar } from './load-sidecar.ts'
import { readableLog } from './readable-log.ts'
import { withProgress } from './terminal.ts'

const TRAFFIC_ORDERS = 200
/** Four connections: 200 orders a second. */
const ORDER_EVERY_MS = 20
/** Everything arrives within a fraction of it; past it the story has failed, and says where. */
const PATIENCE_MS = 12_000
const MOST_DELIVERIES = 10_000

export function addDemo(walhook: Command, context: CommandContext): void {
  walhook
    .command('demo')
    .description(
      'Watch committed orders arrive as verified webhooks, on a throwaway Postgres. Takes seconds.',
    )
    .option('--json', 'print JSON at the end, and no story')
    .action((options: { readonly json?: true }) => demo(context, options.json === true))
}

async function demo(context: CommandContext, asJson: boolean): Promise<void> {
  const { terminal } = context
  const stopped = context.stopped()
  const narrator = new Narrator(terminal, context.programName, asJson)
  narrator.opens()
  await using postgres = await withProgress(terminal, 'starting Postgres', startEmbeddedPostgres())
  const { startSidecar, createLogger } = await loadSidecar()
  // PGSSLMODE of the environment is meant for other servers.
  const url = `${postgres.url}?sslmode=disable`
  const config = settings(url)
  const logger = createLogger('warn', readableLog(terminal.note, terminal.paintNote))
  await using sidecar = await withProgress(terminal, 'starting the sidecar', startSidecar(config, logger))
  await using database = new Database({ url, maxConnections: 2 })
  await using shop = await Shop.open(url)
  await using receiver = await Receiver.open((receipt) => narrator.received(receipt))
  refuseToGoOn(stopped)
  narrator.groundIsLaid(postgres.port)

  await subscribeEndpoints(database, receiver)
  narrator.shopOpens()
  const told = await shop.sell(TOLD_ORDERS, (events) => narrator.sold(events))
  const toldDeliveries = debtsOf(told).length
  await untilDelivered(database, toldDeliveries, stopped)

  narrator.trafficBegins(TRAFFIC_ORDERS)
  const traffic = await withProgress(
    terminal,
    'selling',
    shop.sellSteadily(trafficOrders(TRAFFIC_ORDERS), ORDER_EVERY_MS, stopped),
  )
  const written: readonly WrittenEvent[] = [...told, ...traffic]
  await untilDelivered(database, debtsOf(written).length, stopped)

  const deliveries = (await pageOfDeliveries(database, {}, { limit: MOST_DELIVERIES })).rows.toReversed()
  const claims = checkStory({ written, receipts: receiver.receipts, deliveries })
  narrator.ends({
    deliveries,
    toldDeliveries,
    counts: await countDeliveries(database),
    latency: commitToReceipt(traffic, receiver.receipts),
    claims,
  })
  await sidecar.stop()
  const failed = claims.filter(({ against }) => against.length > 0)
  if (failed.length > 0)
    throw new WalhookError(
      'story_failed',
      `it is not so that ${failed.map(({ text }) => text).join('; nor that ')}`,
    )
}

function settings(url: string): Config {
  return parseConfig({
    DATABASE_URL: url,
    WALHOOK_LISTEN: '127.0.0.1:0',
    WALHOOK_ALLOW_HTTP: 'true',
    WALHOOK_ALLOW_NETWORKS: '127.0.0.0/8',
  })
}

async function subscribeEndpoints(database: Database, receiver: Receiver): Promise<void> {
  for (const name of ENDPOINT_NAMES) {
    const { eventTypes, filter, retrySchedule } = ENDPOINTS[name]
    const { secret } = await createSubscription(database, {
      url: receiver.url(name),
      event_types: eventTypes,
      filter,
      retry_schedule: retrySchedule,
      description: `demo: ${name}`,
    })
    receiver.trust(name, secret)
  }
}

/** Until so many deliveries are delivered and none is pending, or patience ends: the check says what is missing. */
async function untilDelivered(database: Database, expected: number, stopped: AbortSignal): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (performance.now() < deadline) {
    refuseToGoOn(stopped)
    const counts = await countDeliveries(database)
    const delivered = counts.find(({ state }) => state === 'delivered')?.deliveries ?? 0
    const isPending = counts.some(({ state }) => state === 'pending')
    if (delivered >= expected && !isPending) return
    await delay(20)
  }
}

/** What is open is closed on the way out. */
function refuseToGoOn(stopped: AbortSignal): void {
  if (stopped.aborted) throw new WalhookError('story_failed', 'the demo was stopped before its end')
}
