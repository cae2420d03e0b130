/**
 * Where one round is played: a fresh database, an application, endpoints, and as many sidecars as the scenario starts.
 * What it measures is kept with the round. Everything ends with it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { latenciesOf, latenciesOverTime } from '../figures/latency.ts'
import type { Measurement } from '../figures/measurement.ts'
import { NoFigure } from '../figures/no-figure.ts'
import { clock } from '../load/answering.ts'
import type { ApplicationAnswers, Paced } from '../load/application.ts'
import type { EventShape } from '../load/events.ts'
import type { PosterAnswers } from '../load/poster.ts'
import type { Count, ReceiverAnswers } from '../load/receiver.ts'
import { Child } from './child.ts'
import { measure, type Measured } from './gauge.ts'
import { untilReceived, untilRecorded } from './receipts.ts'
import type { BenchDatabase, Server } from './server.ts'
import { Sidecar } from './sidecar.ts'

export interface StageOptions {
  readonly plugin: 'auto' | 'pgoutput' | 'wal2json'
  /** Of what a scenario would take by itself: 0.1 is a tenth of the events, seconds and subscriptions. */
  readonly scale: number
  /** Give figures though others use the machine. */
  readonly besideOthers: boolean
  readonly progress: (text: string) => void
}

export interface Subscription {
  readonly path?: string
  readonly types?: readonly string[]
  readonly ordering?: 'none' | 'key'
  readonly retrySchedule?: readonly string[]
}

const AT_ONCE = 64
/** An application that committed less of its rate than this was starved, and what was measured is another rate. */
const LEAST_OF_RATE = 0.97

export class Stage implements AsyncDisposable {
  readonly server: Server
  readonly database: BenchDatabase
  readonly receiver: Child<ReceiverAnswers>
  readonly #application: Child<ApplicationAnswers>
  readonly options: StageOptions
  readonly measurements: Measurement[] = []
  /** When what is measured now began, by the database's clock. */
  #begunAt = 'infinity'
  readonly #sidecars: Sidecar[] = []
  readonly #port: number
  readonly #stack: AsyncDisposableStack

  private constructor(
    parts: Pick<Stage, 'server' | 'database' | 'receiver' | 'options'> & {
      application: Child<ApplicationAnswers>
      port: number
      stack: AsyncDisposableStack
    },
  ) {
    this.server = parts.server
    this.database = parts.database
    this.receiver = parts.receiver
    this.options = parts.options
    this.#application = parts.application
    this.#port = parts.port
    this.#stack = parts.stack
  }

  /** With the schema, the slot and the publication there, and no sidecar running. */
  static async open(server: Server, options: StageOptions): Promise<Stage> {
    await using stack = new AsyncDisposableStack()
    const database = stack.use(await server.makeDatabase())
    const receiver = stack.use(new Child<ReceiverAnswers>(new URL('../load/receiver.ts', import.meta.url)))
    const application = stack.use(
      new Child<ApplicationAnswers>(new URL('../load/application.ts', import.meta.url)),
    )
    const port = await receiver.ask('port')
    const stage = new Stage({ server, database, receiver, application, options, port, stack: stack.move() })
    try {
      await application.ask('open', database.url)
      await stage.startWalhook()
      await stage.stopWalhook()
      return stage
    } catch (error) {
      await stage[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Of `count`, what the scale leaves of it. */
  scaled(count: number, least = 1): number {
    return Math.max(least, Math.round(count * this.options.scale))
  }

  urlOf(path: string): string {
    return `http://127.0.0.1:${this.#port}${path}`
  }

  async subscribe({
    path = '/ok/0',
    types = ['*'],
    ordering,
    retrySchedule,
  }: Subscription = {}): Promise<void> {
    await this.database.query(
      `select from walhook.subscribe($1, event_types => $2, ordering => $3, retry_schedule => $4)`,
      [this.urlOf(path), types, ordering ?? null, retrySchedule ?? null],
    )
  }

  async startWalhook(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const sidecar = await Sidecar.start({
      DATABASE_URL: this.database.url,
      WALHOOK_PLUGIN: this.options.plugin,
      // A slot belongs to one database, and its name to the whole server.
      WALHOOK_SLOT: this.database.name,
      WALHOOK_ALLOW_HTTP: 'true',
      WALHOOK_ALLOW_NETWORKS: '127.0.0.0/8',
      WALHOOK_LISTEN: '127.0.0.1:0',
      ...settings,
    })
    this.#sidecars.push(sidecar)
    this.#stack.use(sidecar)
  }

  /**
   * So that the log of what was just prepared is not decoded in what is measured next: until the slot needs none of it even
   * for its next start. Nothing is removed meanwhile. Wants a subscription to every event.
   */
  async readUpTheLog(shape: EventShape = {}): Promise<void> {
    this.options.progress('reading up the log')
    const [prepared] = await this.database.query<{ lsn: string }>(`select pg_current_wal_lsn()::text as lsn`)
    await this.receiver.ask('begin')
    await this.startWalhook({ WALHOOK_RETENTION: '3650d' })
    for (let events = 1; ; events++) {
      // With it Postgres notes what runs, which is where a slot may begin anew. By itself it does so every 15 s.
      if (this.server.mayCheckpoint) await this.database.query('checkpoint')
      await this.#application.ask('commit', 1, shape)
      await this.untilReceived(events)
      const [slot] = await this.database.query<{ isPast: boolean }>(
        `select restart_lsn >= $1::pg_lsn as "isPast" from pg_replication_slots where slot_name = $2`,
        [prepared?.lsn, this.database.name],
      )
      if (slot?.isPast === true) break
      await sleep(500)
    }
    await this.stopWalhook()
  }

  async stopWalhook(): Promise<void> {
    for (const sidecar of this.#sidecars.splice(0)) await sidecar[Symbol.asyncDispose]()
  }

  async commit(events: number, shape: EventShape = {}): Promise<void> {
    this.options.progress(`committing ${events} events, one a transaction`)
    await this.#application.ask('commit', events, shape)
  }

  async commitBulk(events: number, perTransaction: number, shape: EventShape = {}): Promise<void> {
    this.options.progress(`committing ${events} events, ${perTransaction} a transaction`)
    await this.#application.ask('commitBulk', events, perTransaction, shape)
  }

  /** Throws `NoFigure` where the application could not keep to its rate. */
  async pace(perSecond: number, seconds: number, shape: EventShape = {}): Promise<Paced> {
    this.options.progress(`committing ${perSecond} events/s for ${seconds} s`)
    const paced = await this.#application.ask('pace', perSecond, seconds, shape)
    if (paced.perSecond < perSecond * LEAST_OF_RATE && !this.options.besideOthers)
      throw new NoFigure(
        `the application committed ${Math.round(paced.perSecond)} events/s where ${perSecond} were wanted: the machine is too slow for this rate, or busy with other work`,
      )
    return paced
  }

  /** A process that posts by itself, for as long as the stage is there. */
  poster(): Child<PosterAnswers> {
    return this.#stack.use(new Child<PosterAnswers>(new URL('../load/poster.ts', import.meta.url)))
  }

  /** Of the client that Walhook delivers with, after its code is warm. */
  async ceiling(
    shape: EventShape = {},
    count = 50_000,
    by: 'flatOut' | 'flatOutWithFetch' = 'flatOut',
  ): Promise<number> {
    this.options.progress('ceiling: signed POSTs, nothing else running')
    await using poster = new Child<PosterAnswers>(new URL('../load/poster.ts', import.meta.url))
    await poster.ask(by, this.urlOf('/ok/0'), this.scaled(count / 10, 50), AT_ONCE, shape)
    return await poster.ask(by, this.urlOf('/ok/0'), this.scaled(count, 500), AT_ONCE, shape)
  }

  /**
   * Measures from the end of `begin` until endpoints have got so many events, each endpoint's counted for itself, and they
   * are recorded.
   */
  async drain(
    label: string,
    deliveries: number,
    begin: () => Promise<unknown>,
  ): Promise<Measurement & { readonly perSecond: number }> {
    let begunAt = NaN
    const { measurement, result: count } = await this.measure(
      label,
      async () => ({ deliveries, result: await this.untilReceived(deliveries) }),
      async () => {
        await begin()
        begunAt = clock()
      },
    )
    await untilRecorded(this.database, this.#begunAt, this.receiver)
    return { ...measurement, perSecond: (deliveries * 1000) / (count.lastAt - begunAt) }
  }

  /** Commits so many while no sidecar runs, and measures what one that is started then delivers of them; it is stopped. */
  async commitAndDrain(label: string, events: number, shape: EventShape = {}): ReturnType<Stage['drain']> {
    await this.commit(events, shape)
    const measured = await this.drain(label, events, () => this.startWalhook())
    await this.stopWalhook()
    return measured
  }

  async measure<Result>(
    label: string,
    work: () => Promise<Measured<Result>>,
    /** What comes before, and is not measured but in the endpoints' count. */
    begin?: () => Promise<unknown>,
  ): Promise<{ readonly measurement: Measurement; readonly result: Result }> {
    await this.receiver.ask('begin')
    const [moment] = await this.database.query<{ now: string }>(`select now()::text as now`)
    this.#begunAt = moment?.now ?? 'infinity'
    // What was written before is not to be flushed to the disk in what follows.
    if (this.server.mayCheckpoint) await this.database.query('checkpoint')
    this.options.progress(label)
    await begin?.()
    const watched = {
      postmaster: this.server.postmaster,
      walhooks: () => this.#sidecars.map(({ pid }) => pid),
      application: this.#application.pid,
      receiver: this.receiver.pid,
      received: async () => (await this.receiver.ask('count')).distinct,
      walBytes: async () => {
        const [row] = await this.database.query<{ bytes: number }>(
          `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as bytes`,
        )
        return row?.bytes ?? NaN
      },
    }
    const measured = await measure(watched, label, this.options.besideOthers, work)
    this.measurements.push(measured.measurement)
    return measured
  }

  /** At a steady rate, all of it measured; with the latency from the commit's return to the receipt, in milliseconds. */
  async steady(
    label: string,
    perSecond: number,
    seconds: number,
    { shape = {}, isMeant = () => true }: { shape?: EventShape; isMeant?: (n: number) => boolean } = {},
  ): Promise<{ readonly latencies: readonly number[]; readonly paced: Paced }> {
    const meant = Array.from({ length: perSecond * seconds }, (_, n) => n).filter(isMeant).length
    const { result } = await this.measure(label, async () => {
      const paced = await this.pace(perSecond, seconds, shape)
      await this.untilReceived(meant)
      const receivedAt = await this.receiver.ask('receivedAt')
      const latencies = latenciesOf(paced.committedAt, receivedAt)
      const overTime = latenciesOverTime(paced.committedAt, receivedAt)
      return { deliveries: meant, latencies: overTime, result: { latencies, paced } }
    })
    await untilRecorded(this.database, this.#begunAt, this.receiver)
    return result
  }

  /** Until endpoints have got so many events, each endpoint's counted for itself. */
  untilReceived(distinct: number): Promise<Count> {
    return untilReceived(this.receiver, distinct, this.options.progress)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}
