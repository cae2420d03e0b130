/**
 * An application that commits and takes back at random, from many connections, for as long as it is let, and writes
 * down what it did. Connections that break are opened again; what was in doubt is found out when it stops.
 *
 * The seed decides what each connection does, in order; which of them is faster is the machine's business.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { errorMessage } from '../../../src/lifecycle/errors.ts'
import { eventually } from '../../support/eventually.ts'
import { ApplicationSession, type Doubt, isRefusal, WITNESSES } from './application-session.ts'
import { EventDrafts } from './event-draft.ts'
import type { WrittenEvent } from './history.ts'
import { Random } from './random.ts'
import { type Offers, planTransaction } from './transaction-plan.ts'

export interface Workload {
  readonly url: string
  readonly seed: number
  /** Default 8. */
  readonly connections?: number
  /** Events a second, about, all connections together. Default 200. */
  readonly perSecond?: number
  /**
   * Whether events are deleted in the transaction that inserts them, now and then; default true. One of them that leaves
   * a process's memory becomes a dead letter after a minute, which is long to wait for where nothing else is.
   */
  readonly deletes?: boolean
}

const RECONNECT_AFTER_MS = 100
/** A connection that fell behind this far does not try to catch up. */
const LONGEST_ARREARS_MS = 1_000
const RESOLVE_WITHIN_MS = 60_000

export class Application {
  /** What was written so far, by event id. Complete once it has stopped. */
  readonly written = new Map<string, WrittenEvent>()
  readonly #workload: Workload
  readonly #stopping = new AbortController()
  readonly #sessions: ApplicationSession[] = []
  readonly #running: Promise<void>[] = []
  #connectionsLost = 0
  #refusals = 0
  #lastRefusal: string | undefined

  private constructor(workload: Workload) {
    this.#workload = workload
  }

  static async start(workload: Workload): Promise<Application> {
    const application = new Application(workload)
    await query(workload.url, `create table if not exists ${WITNESSES} (id uuid primary key)`)
    const offers = {
      prepared: await offersPreparedTransactions(workload.url),
      deletes: workload.deletes ?? true,
    }
    const connections = workload.connections ?? 8
    const everyMs = (1_000 * connections) / (workload.perSecond ?? 200)
    for (let n = 0; n < connections; n++)
      application.#running.push(application.#run(`c${n}`, everyMs, offers))
    return application
  }

  get connectionsLost(): number {
    return this.#connectionsLost
  }

  /** Statements that the server answered with an error: none, unless the experiment makes it do so. */
  get refusals(): { readonly count: number; readonly last: string | undefined } {
    return { count: this.#refusals, last: this.#lastRefusal }
  }

  /** Ends when every connection has ended what it was at, and what is in doubt is found out. Safe to call twice. */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort()
    await Promise.all(this.#running)
    for (const session of this.#sessions) {
      for (const doubt of session.doubts) {
        const fate = (await wasCommitted(this.#workload.url, doubt)) ? 'committed' : 'rolled back'
        session.note(doubt.keep, fate)
        session.note(doubt.deleted, fate, true)
      }
    }
  }

  async #run(name: string, everyMs: number, offers: Offers): Promise<void> {
    const { url, seed } = this.#workload
    const { signal } = this.#stopping
    const random = Random.of(seed, `${name} transactions`)
    const drafts = new EventDrafts(seed, name)
    const session = new ApplicationSession({ url, name, written: this.written })
    this.#sessions.push(session)
    let dueAt = performance.now()
    while (!signal.aborted) {
      const plan = planTransaction(random, drafts, offers)
      try {
        await session.carryOut(plan)
      } catch (error) {
        // What became of its events was noted by the session. Applications go on when they can.
        if (isRefusal(error)) {
          this.#refusals++
          this.#lastRefusal = errorMessage(error)
        } else this.#connectionsLost++
        await pause(RECONNECT_AFTER_MS, signal)
      }
      const events = plan.steps.reduce((sum, step) => sum + step.events.length, 0)
      dueAt = Math.max(dueAt + events * everyMs, performance.now() - LONGEST_ARREARS_MS)
      await pause(dueAt - performance.now(), signal)
    }
    await session.close()
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0) return
  try {
    await sleep(ms, undefined, { signal })
  } catch {
    // Told to stop: the caller looks.
  }
}

async function offersPreparedTransactions(url: string): Promise<boolean> {
  const [row] = await query<{ most: string }>(
    url,
    `select current_setting('max_prepared_transactions') as most`,
  )
  return row?.most !== '0'
}

/**
 * Whether it was committed. What is prepared still is brought to the end that it was to have, as whoever coordinates the two
 * phases would.
 */
async function wasCommitted(url: string, doubt: Doubt): Promise<boolean> {
  return eventually(
    async () => {
      const [backend] = await query(
        url,
        `select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and application_name = 'application'`,
        [doubt.pid],
      )
      if (backend !== undefined) throw new Error(`the backend ${doubt.pid} is still there`)
      const [prepared] = await query(
        url,
        'select from pg_prepared_xacts where gid = $1 and database = current_database()',
        [doubt.prepared?.gid],
      )
      if (prepared !== undefined && doubt.prepared !== undefined) {
        await query(url, `${doubt.prepared.wish} prepared '${doubt.prepared.gid}'`)
        return doubt.prepared.wish === 'commit'
      }
      const [left] =
        doubt.witness === undefined
          ? await query(url, 'select from walhook.outbox where id = $1', [doubt.keep[0]?.id])
          : await query(url, `select from ${WITNESSES} where id = $1`, [doubt.witness])
      return left !== undefined
    },
    { withinMs: RESOLVE_WITHIN_MS, everyMs: 200 },
  )
}

async function query<Row extends pg.QueryResultRow>(
  url: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<Row>(text, [...values])).rows
  } finally {
    await client.end()
  }
}
