/**
 * One connection of the application: carries transactions out and knows for each of its events whether it was
 * committed, or that it cannot know yet.
 *
 * A commit is in doubt where the connection broke after it was sent. A statement that the server answered with an error
 * (not the end of the connection) is not: nothing of its transaction was committed.
 */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { copyEvents } from './copy-in.ts'
import { bodyOf, type EventDraft } from './event-draft.ts'
import { digestOf, type Fate, type WrittenEvent } from './history.ts'
import type { Step, TransactionPlan } from './transaction-plan.ts'

export interface Doubt {
  readonly keep: readonly EventDraft[]
  readonly deleted: readonly EventDraft[]
  /** The server process that had it: while it lives, so may the transaction. */
  readonly pid: number
  /** Of its row in WITNESSES; undefined for a lone statement, whose events are its witnesses. */
  readonly witness: string | undefined
  readonly prepared: { readonly gid: string; readonly wish: 'commit' | 'rollback' } | undefined
}

const INSERT = `
  insert into walhook.outbox (id, type, key, payload, created_at)
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::json[], $5::timestamptz[])`

/**
 * A row that each transaction leaves, whatever it does to its events: whether it is there is whether it was committed. Its number
 * would not do: after a crash or a failover the server gives the numbers of what was lost to others.
 */
export const WITNESSES = 'public.application_transactions'

/** How a transaction is found again, and how far it has come. */
interface Progress {
  readonly witness: string | undefined
  isCommitSent: boolean
}

export interface SessionParts {
  readonly url: string
  readonly name: string
  readonly written: Map<string, WrittenEvent>
}

export class ApplicationSession {
  readonly #parts: SessionParts
  readonly #doubts: Doubt[] = []
  #client: pg.Client | undefined
  #pid = 0
  #sequence = 0

  constructor(parts: SessionParts) {
    this.#parts = parts
  }

  get doubts(): readonly Doubt[] {
    return this.#doubts
  }

  /** Rejects where there is no connection to be had, or it was lost; every event's fate is noted before. */
  async carryOut(plan: TransactionPlan): Promise<void> {
    const client = (this.#client ??= await this.#connect())
    const eventsThat = (end: Step['end']): EventDraft[] =>
      plan.steps.filter((step) => step.end === end).flatMap((step) => step.events)
    const [keep, deleted] = [eventsThat('keep'), eventsThat('delete')]
    const prepared = preparedAs(plan.ending)
    const progress: Progress = {
      witness: plan.ending === 'at once' ? undefined : randomUUID(),
      isCommitSent: false,
    }
    const note = (fate: Fate): void => {
      this.note(keep, fate)
      this.note(deleted, fate, true)
      this.note(eventsThat('take back'), 'rolled back')
    }
    try {
      await carryOut(client, plan, prepared?.gid, progress)
      note(plan.ending.startsWith('rollback') ? 'rolled back' : 'committed')
    } catch (error) {
      this.note(eventsThat('take back'), 'rolled back')
      const isInDoubt = progress.isCommitSent && plan.ending !== 'rollback' && !isRefusal(error)
      if (isInDoubt) this.#doubts.push({ keep, deleted, pid: this.#pid, witness: progress.witness, prepared })
      else note('rolled back')
      // After an error the connection may be amid a transaction: a new one is not.
      await this.close()
      throw error
    }
  }

  note(events: readonly EventDraft[], fate: Fate, rowIsGone = false): void {
    for (const event of events)
      this.#parts.written.set(event.id, {
        id: event.id,
        type: event.type,
        key: event.key,
        fate,
        digest: digestOf(bodyOf(event)),
        sequence: ++this.#sequence,
        rowIsGone,
      })
  }

  async close(): Promise<void> {
    const client = this.#client
    this.#client = undefined
    // A connection that is lost already says so again; there is nothing more to end.
    await client?.end().catch(() => undefined)
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#parts.url,
      application_name: 'application',
      connectionTimeoutMillis: 5_000,
    })
    client.on('error', () => undefined)
    await client.connect()
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    this.#pid = rows[0]?.pid ?? 0
    return client
  }
}

/** Names of prepared transactions are the whole server's. */
function preparedAs(ending: TransactionPlan['ending']): Doubt['prepared'] {
  if (ending !== 'commit prepared' && ending !== 'rollback prepared') return undefined
  return { gid: randomUUID(), wish: ending === 'commit prepared' ? 'commit' : 'rollback' }
}

async function carryOut(
  client: pg.Client,
  { steps, ending }: TransactionPlan,
  gid: string | undefined,
  progress: Progress,
): Promise<void> {
  if (ending === 'at once') {
    progress.isCommitSent = true
    for (const step of steps) await insertEvents(client, step.events)
    return
  }
  await client.query('begin')
  for (const step of steps) {
    if (step.end === 'take back') await client.query('savepoint s')
    if (step.how === 'copy') await copyEvents(client, step.events)
    else await insertEvents(client, step.events)
    if (step.end === 'take back') await client.query('rollback to savepoint s')
    if (step.end === 'delete')
      await client.query('delete from walhook.outbox where id = any($1::uuid[])', [
        step.events.map(({ id }) => id),
      ])
  }
  await client.query(`insert into ${WITNESSES} (id) values ($1)`, [progress.witness])
  progress.isCommitSent = true
  if (gid === undefined) await client.query(ending)
  else {
    await client.query(`prepare transaction '${gid}'`)
    await client.query(`${ending} '${gid}'`)
  }
}

async function insertEvents(client: pg.Client, events: readonly EventDraft[]): Promise<void> {
  await client.query({
    name: 'insert_events',
    text: INSERT,
    values: [
      events.map(({ id }) => id),
      events.map(({ type }) => type),
      events.map(({ key }) => key),
      events.map(({ payload }) => payload),
      events.map(({ createdAt }) => createdAt),
    ],
  })
}

/** The server said no, and went on: as opposed to the end of the connection, after which nobody knows. */
export function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.severity === 'ERROR'
}
