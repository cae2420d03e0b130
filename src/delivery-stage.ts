/** Wires delivery/ to the store: the dispatcher and the loops that feed it, settle for it and give back what it holds. */
import { randomUUID } from 'node:crypto'
import { reportAttempt } from './attempt-report.ts'
import { watchAttempt } from './attempt-watch.ts'
import type { Config } from './config.ts'
import type { Counting } from './counting.ts'
import { attempt } from './delivery/attempt.ts'
import { Backlog } from './delivery/backlog.ts'
import { Dispatcher } from './delivery/dispatcher.ts'
import { type HeldDelivery, LEASE_MS, type Parcel } from './delivery/held-delivery.ts'
import { LeaseReturn } from './delivery/lease-return.ts'
import { RatePermits } from './delivery/rate-permits.ts'
import { waitForRoom } from './delivery/room-wait.ts'
import { RetryClock } from './delivery/retry-clock.ts'
import { type Outcome, Settler } from './delivery/settler.ts'
import { SubscriptionCache } from './delivery/subscription-cache.ts'
import { WebhookClient } from './delivery/webhook-client.ts'
import { endpointAccess } from './endpoint-access.ts'
import { freshDeliveries, type RelaySpans } from './fresh-deliveries.ts'
import { reportExpired, reportHealth } from './health-report.ts'
import type { LiveHints } from './live-hints.ts'
import type { Recorded } from './relay/record-batch.ts'
import { reportUnreadable } from './secrets-at-rest.ts'
import { type Database, isTransient } from './store/database.ts'
import type { Room } from './store/fan-out.ts'
import { abandonDeliveries, expireDeliveries } from './store/ended-deliveries.ts'
import { findWaiting, makeDue, releaseLeases } from './store/held-deliveries.ts'
import type { RetryJobs } from './store/jobs.ts'
import { claimUncontested, queueUp } from './store/key-order.ts'
import { reservePermits } from './store/rate-limits.ts'
import { settle, type SettledDelivery } from './store/settlement.ts'
import { loadSubscriptions } from './store/subscriptions.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'
import type { Tracing } from './telemetry/tracing.ts'
import { VERSION } from './version.ts'

export interface DeliveryStage extends AsyncDisposable {
  /** What fresh deliveries it can take now. */
  readonly room: () => Room
  /** Resolves when it can take so many more, or a moment later. */
  readonly untilRoom: (deliveries: number) => Promise<void>
  accept(recorded: Recorded, relayedBy: RelaySpans): void
  /** Deliveries wait for these subscriptions that were made without us. */
  expect(subscriptionIds: Iterable<string>): void
  /** Something of these subscriptions was changed, or of what they are owed. */
  wake(subscriptionIds: Iterable<string>): void
  /** Starts nothing more, lets attempts end within the grace, then aborts them; records what came of them. */
  stop(graceMs: number): Promise<void>
}

export interface DeliveryStageParts {
  readonly config: Config
  readonly database: Database
  readonly jobs: RetryJobs
  readonly counting: Counting
  /** Undefined where traces are off. */
  readonly tracing: Tracing | undefined
  readonly logger: Logger
  readonly metrics: Metrics
  readonly hints: LiveHints
}

const MAX_HELD = 10_000
const MAX_HELD_BYTES = 32 * 1024 * 1024
/** Half of a lease: later there would be no time for the attempt. */
const READ_PLAN_WITHIN_MS = LEASE_MS / 2
/** An event that is not visible yet is looked for again after this. */
const POSTPONE_MS = 1_000
/** For recording the last outcomes, and giving back leases, beyond what attempts left of the grace. */
const CLOSE_WITHIN_MS = 5_000

export function deliveryStage({
  config,
  database,
  jobs,
  counting,
  tracing,
  logger,
  metrics,
  hints,
}: DeliveryStageParts): DeliveryStage {
  const now = (): number => performance.now()
  const stopping = new AbortController()
  const aborting = new AbortController()
  const closing = new AbortController()

  const client = new WebhookClient({
    policy: { allowHttp: config.allowHttp, allowNetworks: config.allowNetworks },
    proxy: config.proxy,
  })
  const subscriptions = new SubscriptionCache({
    load: (ids) =>
      loadSubscriptions(database, ids, config.encryptionKeys, (secret) => reportUnreadable(logger, secret), {
        origin: config.origin,
        now: Date.now(),
      }),
    onError: (err) => logger.warn({ err }, 'subscriptions.unreadable'),
    signal: aborting.signal,
    now,
  })
  const userAgent = `walhook/${VERSION}`
  const leases = new LeaseReturn({
    release: (deliveries) => releaseLeases(database, deliveries, 0),
    onReturned: (subscriptionIds) => backlog.expect(subscriptionIds),
    onError: (err) => logger.warn({ err }, 'leases.not_returned'),
  })
  const settler = new Settler({
    settle: async (settlements) => {
      const { deliveries, changes } = await settle(database, jobs, settlements)
      metrics.deliveries.settled(settlements.length)
      for (const change of changes) reportHealth(change, logger, metrics, hints)
      return deliveries
    },
    isTransient,
    onSettled: (outcome, settled) => report(outcome, settled),
    onError: (err, outcomes) => logger.warn({ err, outcomes }, 'settlement.failed'),
    onDrained: () => dispatcher.pump(),
  })
  const permits = new RatePermits({
    reserve: (wishes) => reservePermits(database, wishes),
    onChanged: (subscriptionId) => dispatcher.callBack(subscriptionId),
    onError: (err) => logger.warn({ err }, 'rates.unreadable'),
    now,
  })
  const dispatcher: Dispatcher = new Dispatcher(
    {
      maxInFlight: config.maxInFlight,
      maxInFlightPerEndpoint: config.maxInFlightPerEndpoint,
      maxHeld: MAX_HELD,
      maxHeldBytes: MAX_HELD_BYTES,
    },
    {
      plan: (subscriptionId) => subscriptions.peek(subscriptionId),
      readPlan: (subscriptionId) => subscriptions.get(subscriptionId, now() + READ_PLAN_WITHIN_MS),
      permit: (subscriptionId, rate, waiting) => permits.take(subscriptionId, rate, waiting),
      attempt: (parcel) => attempt(parcel, attemptPorts),
      giveBack: (deliveries) => leases.giveBack(deliveries),
      mayStart: () => !settler.isFull,
      onBug: (err, [delivery]) => logger.error({ err, delivery_id: delivery.id }, 'delivery.attempt_threw'),
      onRoom: (subscriptionId) => backlog.roomFor(subscriptionId),
      now,
    },
  )
  const attemptPorts = {
    known: subscriptions.peekYoung.bind(subscriptions),
    load: subscriptions.get.bind(subscriptions),
    ...endpointAccess({
      config,
      database,
      logger,
      client,
      subscriptions,
      userAgent,
      signal: aborting.signal,
      now,
    }),
    watch: (parcel: Parcel, request: { url: string; batchId: string | undefined }) =>
      watchAttempt(parcel, request, metrics, tracing),
    record: settler.record.bind(settler),
    giveBack: leases.giveBack.bind(leases),
    expire: (deliveries: readonly HeldDelivery[]) => expire(deliveries),
    userAgent,
    signal: aborting.signal,
    now,
    clock: () => Date.now(),
    random: () => Math.random(),
    batchId: () => randomUUID(),
  }
  const backlog = new Backlog({
    findWaiting: (cursor, limit) => findWaiting(database, cursor, limit),
    // One that is not known yet may be.
    queueUp: (ids) =>
      queueUp(
        database,
        ids.filter((id) => subscriptions.peekYoung(id)?.ordering !== 'none'),
      ),
    claim: (request) => claimUncontested(database, request),
    abandon: async (deliveries) => {
      const dead = await abandonDeliveries(database, deliveries, 'event_missing')
      metrics.deliveries.ended('dead', dead.length)
      counting.ended('dead', dead)
    },
    postpone: (deliveries) => releaseLeases(database, deliveries, POSTPONE_MS),
    expire: (deliveries) => expire(deliveries),
    dispatcher,
    unsettled: () => settler.unsettled,
    onJobsLost: (count) => {
      metrics.jobsLost(count)
      logger.warn({ retries: count }, 'jobs.lost')
    },
    onError: (err) => logger.warn({ err }, 'backlog.unreadable'),
    now,
  })
  const clock = new RetryClock({
    ring: (limit) =>
      database.transaction(async (tx) => {
        const due = await jobs.takeDue(tx, limit)
        return { jobs: due.length, subscriptionIds: due.length === 0 ? [] : await makeDue(tx, due) }
      }),
    onDue: (subscriptionIds) => backlog.expect(subscriptionIds),
    onError: (err) => logger.warn({ err }, 'jobs.unreadable'),
    clock: () => Date.now(),
  })

  const report = (outcome: Outcome, settled: SettledDelivery | undefined): void => {
    if (settled?.letsGoOn === true) backlog.expect([outcome.settlement.subscriptionId])
    if (settled?.nextAttemptAt != null) clock.expect(settled.nextAttemptAt)
    reportAttempt(outcome, settled, logger, metrics, counting)
    hints.delivery(outcome.settlement.subscriptionId, outcome.delivery.event.tenant)
  }

  /** What could not be cancelled is free again when its lease lapses, and expires then. */
  const expire = async (deliveries: readonly HeldDelivery[]): Promise<void> => {
    if (deliveries.length === 0) return
    try {
      const cancelled = new Set(await expireDeliveries(database, deliveries))
      const expired = deliveries.filter(({ id }) => cancelled.has(id))
      reportExpired(expired, logger, metrics)
      counting.ended('cancelled', expired)
      // What stood behind them in the order of a key may go on.
      backlog.expect(deliveries.map(({ subscriptionId }) => subscriptionId))
    } catch (err) {
      logger.warn({ err, deliveries: deliveries.length }, 'deliveries.not_cancelled')
    }
  }

  metrics.observe({
    inFlight: () => dispatcher.inFlight,
    waitingInMemory: () => dispatcher.waiting,
    openCircuits: () => dispatcher.openCircuits,
    unrecordedOutcomes: () => settler.unsettled.size,
  })
  const loops = [backlog.run(stopping.signal), clock.run(stopping.signal)]

  let stopped: Promise<void> | undefined
  const stop = (graceMs: number): Promise<void> =>
    (stopped ??= (async () => {
      stopping.abort()
      const graceEndsAt = now() + graceMs
      const grace = setTimeout(() => aborting.abort(), graceMs)
      await dispatcher.stop()
      clearTimeout(grace)
      const close = setTimeout(() => closing.abort(), CLOSE_WITHIN_MS + Math.max(0, graceEndsAt - now()))
      await Promise.all([...loops, settler.drain(closing.signal)])
      await leases.drain()
      clearTimeout(close)
      await client[Symbol.asyncDispose]()
    })())

  return {
    room: () => ({
      deliveries: dispatcher.room,
      fullSubscriptions: dispatcher.fullSubscriptions(),
      leaseMs: LEASE_MS,
    }),
    untilRoom: (deliveries) => waitForRoom(deliveries, { dispatcher, now }),
    accept: (recorded, relayedBy) => {
      for (const { delivery, event } of recorded.held) hints.delivery(delivery.subscriptionId, event.tenant)
      dispatcher.offer(freshDeliveries(recorded, relayedBy))
      if (recorded.waitingSubscriptions.size > 0) backlog.expect(recorded.waitingSubscriptions)
    },
    expect: (subscriptionIds) => backlog.expect(subscriptionIds),
    wake: (subscriptionIds) => {
      for (const id of subscriptionIds) subscriptions.forget(id)
      backlog.expect(subscriptionIds)
    },
    stop,
    [Symbol.asyncDispose]: () => stop(0),
  }
}
