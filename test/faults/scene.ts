/**
 * Where a fault experiment takes place: a database of its own, endpoints that write down what they get, an application
 * that writes down what it does, sidecars in processes of their own, and a log of what is done to them.
 *
 *   await using scene = await Scene.open(run, 'kill-at-random')
 *   const sidecar = await scene.startSidecar()          // makes the slot: before the application
 *   await scene.startApplication({ perSecond: 200 })
 *   await scene.kill(sidecar)                           // noted in scene.faults
 *   await scene.faults.during('database', 'a lock', …)  // what the scene does not know of is noted by hand
 *   …                                                   // at the end at least one sidecar runs
 *   const verdict = await scene.judge()                 // stops the application, waits until it is quiet, checks
 *
 * `judge` gives up waiting after a while and checks all the same: what is still pending is told as unsettled.
 */
import { parseDuration } from '../../src/core/duration.ts'
import { eventually } from '../support/eventually.ts'
import { type Environment, sidecarEnvironment } from '../support/sidecar-environment.ts'
import { SidecarProcess } from '../support/sidecar-process.ts'
import { lapseLeases, subscribe, type SubscriptionWish } from '../support/sql-surface.ts'
import { TestDatabase } from '../support/test-database.ts'
import type { Run } from './experiment.ts'
import { Application, type Workload } from './history/application.ts'
import { checkHistory, type Verdict } from './history/check.ts'
import { isQuiet, readAttempts, readDeliveries } from './history/delivery-rows.ts'
import { FaultLog } from './history/fault-log.ts'
import type { HistorySubscription, WrittenEvent } from './history/history.ts'
import { Random } from './history/random.ts'
import { ReceiverLog } from './history/receiver-log.ts'

export interface SceneEndpoint {
  readonly path: string
  readonly eventTypes: readonly string[]
  readonly matches: (event: WrittenEvent) => boolean
  /** Options of its subscription that are not the scene's. */
  readonly wish?: Pick<SubscriptionWish, 'ordering' | 'onDead' | 'retrySchedule'>
  readonly batch?: { readonly maxEvents: number; readonly maxWait: string }
}

export const EVERYTHING: SceneEndpoint = { path: '/everything', eventTypes: ['*'], matches: () => true }
const ORDERS: SceneEndpoint = {
  path: '/orders',
  eventTypes: ['order.*'],
  matches: ({ type }) => type.startsWith('order.'),
}

export interface SceneOptions {
  /** Default: one that gets everything, and one that gets orders. */
  readonly endpoints?: readonly SceneEndpoint[]
  /** Settings of every sidecar. */
  readonly environment?: Environment
  readonly timeout?: string
  /** Default true. False: a signature is good whatever time it bears, for sidecars whose clock is made to lie. */
  readonly verifiesTimestamps?: boolean
}

/** What a killed process held in memory is free after its lease: a minute, and some to spare. */
const QUIET_WITHIN_MS = 80_000
/** Failures are made good within the run; and there are enough tries for any outage that an experiment makes. */
const RETRIES = Array.from({ length: 100 }, (_, i) => (i < 5 ? '1s' : '5s'))
const MAX_IN_FLIGHT = 64
/** What a process can lose of what was accepted: attempts in flight, and a batch of outcomes that is being recorded. */
export const LOST_WITH_A_PROCESS = MAX_IN_FLIGHT + 500
const KEEP_LINES = 200
const LAST_WORDS = 10

export class Scene implements AsyncDisposable {
  readonly db: TestDatabase
  readonly receivers: ReceiverLog
  readonly subscriptions: readonly HistorySubscription[]
  readonly faults = new FaultLog()
  /** For the schedule of faults. */
  readonly random: Random
  readonly #run: Run
  readonly #environment: Environment
  readonly #opened: AsyncDisposableStack
  readonly #sidecars: SidecarProcess[] = []
  readonly #addresses = new WeakMap<SidecarProcess, string>()
  #application: Application | undefined

  private constructor(
    run: Run,
    environment: Environment,
    opened: AsyncDisposableStack,
    parts: { db: TestDatabase; receivers: ReceiverLog; subscriptions: readonly HistorySubscription[] },
  ) {
    this.#run = run
    this.#environment = environment
    this.#opened = opened
    this.random = Random.of(run.seed, 'faults')
    this.db = parts.db
    this.receivers = parts.receivers
    this.subscriptions = parts.subscriptions
  }

  static async open(run: Run, name: string, options: SceneOptions = {}): Promise<Scene> {
    await using opened = new AsyncDisposableStack()
    const db = await TestDatabase.clone(run.postgres.url, run.postgres.template, name)
    opened.defer(() => db.drop())
    const receivers = opened.use(await ReceiverLog.start())
    const subscriptions: HistorySubscription[] = []
    for (const { path, eventTypes, matches, wish: own, batch } of options.endpoints ?? [EVERYTHING, ORDERS]) {
      const wish = {
        eventTypes,
        retrySchedule: RETRIES,
        timeout: options.timeout ?? '15s',
        ...own,
        ...(batch && { batch: { max_events: batch.maxEvents, max_wait: batch.maxWait } }),
      }
      const made = await subscribe(db, receivers.url(path), wish)
      receivers.belongsTo(path, made, options.verifiesTimestamps ?? true)
      const isOrdered = own?.ordering === 'key'
      subscriptions.push({
        id: made.id,
        name: path,
        matches,
        isOrdered,
        timeoutMs: parseDuration(wish.timeout) ?? Infinity,
        batching: batch,
      })
    }
    const environment = {
      ...sidecarEnvironment(db, run.plugin),
      WALHOOK_LOG_LEVEL: 'info',
      WALHOOK_SHUTDOWN_GRACE: '25s',
      WALHOOK_MAX_IN_FLIGHT: String(MAX_IN_FLIGHT),
      WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT: String(MAX_IN_FLIGHT / 2),
      ...options.environment,
    }
    return new Scene(run, environment, opened.move(), { db, receivers, subscriptions })
  }

  /** Resolves once it has said that it started. */
  async startSidecar(environment: Environment = {}): Promise<SidecarProcess> {
    const sidecar = await SidecarProcess.start({ ...this.#environment, ...environment }, KEEP_LINES)
    this.#sidecars.push(sidecar)
    this.#addresses.set(sidecar, String(sidecar.logs.all('sidecar.started')[0]?.['address']))
    return sidecar
  }

  /** The first sidecar has made the slot by then: what is committed before is nobody's. */
  async startApplication(workload: Omit<Workload, 'url' | 'seed'> = {}): Promise<Application> {
    const [slot] = await this.db.query('select from pg_replication_slots where slot_name = $1', [
      this.db.slot,
    ])
    if (slot === undefined) throw new Error('start a sidecar first: it makes the slot')
    const perSecond = this.#run.perSecond === undefined ? {} : { perSecond: this.#run.perSecond }
    this.#application = await Application.start({
      url: this.db.url,
      seed: this.#run.seed,
      ...workload,
      ...perSecond,
    })
    return this.#application
  }

  async kill(sidecar: SidecarProcess): Promise<void> {
    await this.faults.during('killed', `sidecar ${sidecar.pid}`, () => sidecar.kill('SIGKILL'))
  }

  /** SIGTERM, with all the time it needs. Returns how long it took to exit, and with what. */
  async stop(sidecar: SidecarProcess): Promise<{ readonly code: number | null; readonly tookMs: number }> {
    const askedAt = performance.now()
    await this.faults.during('stopped', `sidecar ${sidecar.pid}`, () => sidecar.kill('SIGTERM'))
    const { code } = await sidecar.exit()
    return { code, tookMs: performance.now() - askedAt }
  }

  /** SIGSTOP, `meanwhile`, SIGCONT. */
  async freeze(sidecar: SidecarProcess, meanwhile: () => Promise<void>): Promise<void> {
    await this.faults.during('frozen', `sidecar ${sidecar.pid}`, async () => {
      await sidecar.kill('SIGSTOP')
      await meanwhile()
      await sidecar.kill('SIGCONT')
    })
  }

  /** As if a minute had passed: what dead processes held is free. Only while none lives: it would lose what it holds. */
  async lapseLeases(): Promise<void> {
    await lapseLeases(this.db)
  }

  /** The process of the server's that streams now; undefined while none does. */
  async walsender(): Promise<number | undefined> {
    const [slot] = await this.db.query<{ pid: number | null }>(
      'select active_pid as pid from pg_replication_slots where slot_name = $1',
      [this.db.slot],
    )
    return slot?.pid ?? undefined
  }

  /** How long it took, from now, until a process of the server's other than `before` streamed. */
  async untilTakenOver(before: number | undefined, withinMs: number): Promise<number> {
    const from = performance.now()
    await eventually(
      async () => {
        const now = await this.walsender()
        if (now === undefined || now === before) throw new Error(`nobody took over\n${this.lastWords()}`)
      },
      { withinMs, everyMs: 20 },
    )
    return performance.now() - from
  }

  /** Which of them streams, as they say themselves. */
  async streamer(sidecars: readonly SidecarProcess[]): Promise<SidecarProcess> {
    return eventually(
      async () => {
        for (const sidecar of sidecars) {
          const address = this.#addresses.get(sidecar) ?? ''
          const { role } = (await (await fetch(`${address}/readyz`)).json()) as { role: string }
          if (role === 'streaming') return sidecar
        }
        throw new Error(`none of ${sidecars.length} replicas streams\n${this.lastWords()}`)
      },
      { withinMs: 20_000, everyMs: 50 },
    )
  }

  /** Resolves once there have been so many more requests. */
  async untilReceived(more: number, withinMs = 30_000): Promise<void> {
    const wanted = this.receivers.count + more
    await eventually(
      () => {
        const { count } = this.receivers
        if (count < wanted) throw new Error(`${count} requests of ${wanted}\n${this.lastWords()}`)
      },
      { withinMs, everyMs: 5 },
    )
  }

  /** Stops the application, waits until nothing is on its way any more, and checks what there is. */
  async judge(quietWithinMs = QUIET_WITHIN_MS): Promise<Verdict> {
    const application = this.#application
    if (application === undefined) throw new Error('no application has run: there is nothing to judge')
    await application.stop()
    const refusals = application.refusals
    if (refusals.count > 0)
      this.#run.say(`the application was refused ${refusals.count} times, last: ${refusals.last}`)
    await this.#untilQuiet(application, quietWithinMs)
    await this.#assertNoHoles()
    const verdict = checkHistory({
      written: application.written,
      subscriptions: this.subscriptions,
      requests: this.receivers.requests,
      deliveries: await readDeliveries(this.db),
      faults: this.faults.all,
    })
    if (verdict.violations.length > 0) await this.#tellOf(verdict)
    return verdict
  }

  /** What there is to be known of the events at fault, for whoever looks for the reason. */
  async #tellOf({ violations }: Verdict): Promise<void> {
    const { say } = this.#run
    const ids = new Set(violations.flatMap(({ examples }) => examples.map((example) => example.slice(0, 36))))
    for (const attempt of await readAttempts(this.db, [...ids])) say(`attempt ${JSON.stringify(attempt)}`)
    for (const request of this.receivers.requests.filter(({ eventId }) => ids.has(eventId)))
      say(`request ${JSON.stringify(request)}`)
    for (const fault of this.faults.all) say(`fault ${JSON.stringify(fault)}`)
    say(`the receivers stood still for ${this.receivers.longestStandstillMs} ms at most`)
    say(`the sidecars' last lines:\n${this.lastWords()}`)
  }

  /** What the last two sidecars said last, but for their attempts. */
  lastWords(): string {
    return this.#sidecars
      .slice(-2)
      .map(({ pid, logs, stderr }) => {
        const lines = logs.all().filter(({ msg }) => msg !== 'delivery.attempted')
        const last = lines.slice(-LAST_WORDS).map((line) => `  ${JSON.stringify(line)}`)
        return [`sidecar ${pid}:`, ...last, stderr].join('\n')
      })
      .join('\n')
  }

  /** Nothing that the relay should have recorded was left for the audit to find. */
  async #assertNoHoles(): Promise<void> {
    for (const sidecar of this.#sidecars.filter(({ isRunning }) => isRunning)) {
      const metrics = await (await fetch(`${this.#addresses.get(sidecar) ?? ''}/metrics`)).text()
      const found = /^walhook_events_recovered_total\{reason="audit"\} (\d+)$/m.exec(metrics)?.[1]
      if (found !== '0') throw new Error(`the audit found ${found} events without their deliveries`)
    }
  }

  async #untilQuiet(application: Application, withinMs: number): Promise<void> {
    let owed = 0
    for (const event of application.written.values())
      if (event.fate === 'committed')
        owed += this.subscriptions.filter(({ matches }) => matches(event)).length
    const deadline = performance.now() + withinMs
    while (performance.now() < deadline && !(await isQuiet(this.db, owed)))
      await new Promise((resolve) => setTimeout(resolve, 250))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#application?.stop()
    await Promise.all(this.#sidecars.map((sidecar) => sidecar[Symbol.asyncDispose]()))
    await this.#opened.disposeAsync()
  }
}
