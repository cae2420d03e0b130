/**
 * Retries' clock: pg-boss keeps when a delivery is due again, and nothing else. The schedule is ours
 * (core/retry-schedule), the truth is the delivery's row, and a job that rings twice, late or never does no harm.
 * The only importer of pg-boss.
 */
import { PgBoss } from 'pg-boss'
import pgBossPackage from 'pg-boss/package.json' with { type: 'json' }
import type { Database, Queryable } from './database.ts'

const JOBS_SCHEMA = 'walhook_jobs'
const RETRY_QUEUE = 'retry'

/**
 * pg-boss deletes a waiting job when its retention ends; its default of 14 days is shorter than a long schedule.
 * A lost job is found by the claim all the same.
 */
const RETENTION_SECONDS = 365 * 86_400

export interface RetryJob {
  /** A bigint as text. */
  readonly deliveryId: string
  /** The number of the attempt that it is for. */
  readonly attempt: number
  readonly dueAt: Date
}

/** We take and delete jobs ourselves, in one transaction: there is nothing to supervise, and nobody to register. */
const QUIET = {
  schema: JOBS_SCHEMA,
  supervise: false,
  schedule: false,
  registerInstance: false,
  openTelemetry: { enabled: false },
} as const

/** Installs or migrates pg-boss's schema and makes the queue. Returns whether there was anything to do. */
export async function installJobs(database: Database): Promise<boolean> {
  const before = await installedVersion(database)
  const boss = new PgBoss({ ...QUIET, db: executorOf(database) })
  // What goes wrong here also rejects; without a listener the same error would end the process.
  boss.on('error', () => undefined)
  await boss.start()
  try {
    if ((await boss.getQueue(RETRY_QUEUE)) === null) {
      await boss.createQueue(RETRY_QUEUE, {
        policy: 'standard',
        retryLimit: 0,
        retentionSeconds: RETENTION_SECONDS,
      })
    }
  } finally {
    await boss.stop({ graceful: false })
  }
  return before !== (await installedVersion(database))
}

async function installedVersion(database: Database): Promise<number | undefined> {
  const [found] = await database.query<{ exists: boolean }>(
    `select to_regclass('walhook_jobs.version') is not null as exists`,
  )
  if (found?.exists !== true) return undefined
  const [row] = await database.query<{ version: number }>('select version from walhook_jobs.version')
  return row?.version
}

/** What of pg-boss is there, and what this version wants. Writes nothing. Errors: 42501 for a login without rights. */
export async function readJobsState(db: Queryable): Promise<{
  readonly installed: number | undefined
  readonly wanted: number
  readonly hasQueue: boolean
}> {
  const wanted = pgBossPackage.pgboss.schema
  const [found] = await db.query<{ exists: boolean }>(/* sql */ `
    select count(*) = 2 as exists
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'walhook_jobs' and c.relname in ('version', 'queue')`)
  if (found?.exists !== true) return { installed: undefined, wanted, hasQueue: false }
  const [row] = await db.query<{ installed: number; hasQueue: boolean }>(
    /* sql */ `
    select
      (select version from walhook_jobs.version) as installed,
      exists (select from walhook_jobs.queue where name = $1) as "hasQueue"`,
    [RETRY_QUEUE],
  )
  return { installed: row?.installed, wanted, hasQueue: row?.hasQueue === true }
}

export class RetryJobs implements AsyncDisposable {
  readonly #boss: PgBoss

  private constructor(boss: PgBoss) {
    this.#boss = boss
  }

  /** Uses our own pool, so that it cannot starve for connections of its own. The schema must be there. */
  static async open(database: Database, onError: (error: Error) => void): Promise<RetryJobs> {
    const boss = new PgBoss({ ...QUIET, db: executorOf(database), migrate: false, createSchema: false })
    boss.on('error', onError)
    await boss.start()
    return new RetryJobs(boss)
  }

  /** Joins the caller's transaction. A job that exists already is left as it is. */
  async schedule(tx: Queryable, jobs: readonly RetryJob[]): Promise<void> {
    if (jobs.length === 0) return
    const inserts = jobs.map((job) => ({
      id: jobId(job.deliveryId, job.attempt),
      data: { deliveryId: job.deliveryId, attempt: job.attempt },
      startAfter: job.dueAt,
      retentionSeconds: RETENTION_SECONDS,
    }))
    await this.#boss.insert(RETRY_QUEUE, inserts, { db: executorOf(tx) })
  }

  /**
   * Takes up to `limit` jobs that are due out of the queue, in the caller's transaction: rolled back, they are there
   * again. Because taking and deleting commit together, no job is ever seen active and none can expire.
   */
  async takeDue(tx: Queryable, limit: number): Promise<readonly Pick<RetryJob, 'deliveryId' | 'attempt'>[]> {
    const db = executorOf(tx)
    const jobs = await this.#boss.fetch<{ deliveryId: string; attempt: number }>(RETRY_QUEUE, {
      batchSize: limit,
      includeMetadata: true,
      db,
    })
    if (jobs.length === 0) return []
    await this.#boss.deleteJob(
      RETRY_QUEUE,
      jobs.map((job) => ({ id: job.id, retryCount: job.retryCount })),
      { db },
    )
    return jobs.map((job) => job.data)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#boss.stop({ graceful: false })
  }
}

function executorOf(target: Queryable): {
  executeSql(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>
} {
  return { executeSql: async (text, values) => ({ rows: await target.query(text, values) }) }
}

/**
 * A UUID (version 8: made by a rule of our own) of the delivery and the attempt, so that one attempt cannot have two
 * jobs: 32 bits of the attempt's number, 60 bits of the delivery's id.
 */
export function jobId(deliveryId: string, attempt: number): string {
  const a = attempt.toString(16).padStart(8, '0')
  const d = BigInt(deliveryId).toString(16).padStart(15, '0')
  return `${a}-0000-8000-8${d.slice(0, 3)}-${d.slice(3)}`
}
