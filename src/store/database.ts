/**
 * The connection pool and the two ways to use it: one statement, or a transaction whose boundary stands visible at
 * the caller. The only importer of pg outside replication/.
 */
import pg from 'pg'
import { errorCode, errorMessage, lacksPassword, WalhookError } from '../lifecycle/errors.ts'

/** Constant text; `name` makes it a prepared statement, for what runs all day. */
export interface Statement {
  readonly name?: string
  readonly text: string
}

export interface Queryable {
  query<Row>(statement: Statement | string, values?: readonly unknown[]): Promise<Row[]>
}

export interface DatabaseOptions {
  readonly url: string
  readonly maxConnections: number
  /** What the server calls its sessions; default walhook. */
  readonly applicationName?: string
  /** When a statement that has not been answered is given up, and its connection with it: a silent server says nothing. */
  readonly answerWithinMs?: number
  /** When the server gives a statement up; default 60 s. */
  readonly statementTimeoutMs?: number
  /** For statements that are always the same and find by an index what they touch: planned once a session, whatever the tables hold. */
  readonly plansOnce?: boolean
  /** How long to wait for a connection, a free one or a new one; default 10 s. */
  readonly connectWithinMs?: number
  /** Told of errors on idle connections: the pool replaces them by itself. */
  readonly onIdleError?: (error: Error) => void
  /** Told how long each use waited for a connection, in milliseconds. */
  readonly onConnected?: (waitedMs: number) => void
}

/**
 * UTC, so that every timestamp's text has one spelling. `synchronous_commit` is forced: what the relay confirms to
 * Postgres must be on disk, whatever the role's or the database's default. So is the search path: where the default puts
 * a schema before pg_catalog, whoever may create functions there would have us call them.
 */
const SESSION_SETTINGS =
  '-c TimeZone=UTC -c DateStyle=ISO -c synchronous_commit=on -c search_path=pg_catalog,pg_temp'

/**
 * Left to itself, Postgres plans the settlement anew each time, which takes longer than settling one delivery; and a plan that
 * it keeps from when the tables were small reads them whole once they are not.
 */
const PLANNED_ONCE =
  '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_mergejoin=off -c jit=off'

export class Database implements Queryable, AsyncDisposable {
  readonly #pool: pg.Pool
  readonly #onConnected: DatabaseOptions['onConnected']

  constructor(options: DatabaseOptions) {
    this.#onConnected = options.onConnected
    this.#pool = new pg.Pool({
      connectionString: options.url,
      max: options.maxConnections,
      application_name: options.applicationName ?? 'walhook',
      options: [
        SESSION_SETTINGS,
        `-c statement_timeout=${options.statementTimeoutMs ?? 60_000}`,
        options.plansOnce === true ? PLANNED_ONCE : '',
      ].join(' '),
      // A transaction's beginning and its first statement leave together, and what else does not wait for an answer.
      pipeline: true,
      connectionTimeoutMillis: options.connectWithinMs ?? 10_000,
      idleTimeoutMillis: 30_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      ...(options.answerWithinMs !== undefined && { query_timeout: options.answerWithinMs }),
    })
    this.#pool.on('error', (error) => {
      // While it closes, connections that the server ends too are as good as closed.
      if (!this.#pool.ending) options.onIdleError?.(error)
    })
    // The pool listens only while a connection is idle. One that breaks while it is checked out, or between two statements
    // of a transaction, rejects what comes next, and emits as well: unheard, that would end the process.
    this.#pool.on('connect', (client) => client.on('error', () => undefined))
  }

  async query<Row>(statement: Statement | string, values: readonly unknown[] = []): Promise<Row[]> {
    const client = await this.#connect()
    return use(client, () => run<Row>(client, statement, values))
  }

  /** Commits what `work` did, or rolls it back and rethrows. Statements that `work` does not wait for go out together. */
  async transaction<Result>(work: (tx: Queryable) => Promise<Result>): Promise<Result> {
    const client = await this.#connect()
    return use(client, async () => {
      const begun = client.query('begin')
      // What it rejects with is what the first statement rejects with too.
      begun.catch(() => undefined)
      try {
        const result = await work({ query: (statement, values = []) => run(client, statement, values) })
        await begun
        await client.query('commit')
        return result
      } catch (error) {
        // Otherwise the connection is given up, and with it the transaction. On a dead one a further statement would wait as
        // long again for its answer; and the first error is the one to tell.
        if (isRefusedStatement(error)) await client.query('rollback').catch(() => undefined)
        throw error
      }
    })
  }

  /** Connections that are open, those of them that nobody uses, and callers that wait for one. */
  get load(): { readonly open: number; readonly idle: number; readonly waiting: number } {
    const { totalCount, idleCount, waitingCount } = this.#pool
    return { open: totalCount, idle: idleCount, waiting: waitingCount }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#pool.ended) await this.#pool.end()
  }

  async #connect(): Promise<pg.PoolClient> {
    const startedAt = performance.now()
    try {
      const client = await this.#pool.connect()
      this.#onConnected?.(performance.now() - startedAt)
      return client
    } catch (error) {
      throw connectionError(error)
    }
  }
}

async function run<Row>(
  client: pg.PoolClient,
  statement: Statement | string,
  values: readonly unknown[],
): Promise<Row[]> {
  const query = typeof statement === 'string' ? { text: statement } : statement
  const result = await client.query<pg.QueryResultRow>({ ...query, values: [...values] })
  return result.rows as Row[]
}

/** A connection that failed in any way but a refused statement is not given back to the pool. */
async function use<Result>(client: pg.PoolClient, work: () => Promise<Result>): Promise<Result> {
  try {
    const result = await work()
    client.release()
    return result
  } catch (error) {
    client.release(isRefusedStatement(error) ? undefined : true)
    throw error
  }
}

/** The server answered with an error and keeps the session: classes 57 (shutdown) and 08 do not. */
function isRefusedStatement(error: unknown): boolean {
  const code = errorCode(error)
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith('57P') && !code.startsWith('08')
}

/** Says what a person can do about a connection that could not be made. */
export function connectionError(error: unknown): WalhookError {
  const code = errorCode(error)
  const refused = (message: string, remedy: string): WalhookError =>
    new WalhookError('database_refused', message, { remedy, cause: error })
  switch (code) {
    case '28P01':
    case '28000':
      return refused(
        `Postgres refused the login: ${errorMessage(error)}`,
        'Check the user and password in DATABASE_URL, and pg_hba.conf.',
      )
    case '3D000':
      return refused(
        `Postgres has no such database: ${errorMessage(error)}`,
        'Check the database name in DATABASE_URL.',
      )
    default:
      if (lacksPassword(error))
        return refused(
          'Postgres asks for a password, and DATABASE_URL has none',
          'Write it into DATABASE_URL: postgres://user:password@host:5432/database.',
        )
      return new WalhookError('database_unreachable', `Postgres cannot be reached: ${errorMessage(error)}`, {
        remedy: 'Check host and port in DATABASE_URL, and that the server is up and accepts connections.',
        cause: error,
      })
  }
}

/**
 * Whether a row's own content was refused: data exceptions, constraints, limits. A missing right, a dropped function or a
 * corrupt index refuses every row, and none of them is at fault.
 */
export function isRowsFault(error: unknown): boolean {
  return /^(22|23|54)[0-9A-Z]{3}$/.test(errorCode(error) ?? '')
}

/** Whether a statement was given up for its length: what it has to do may be too much, and would be so again. */
export function isStatementTimeout(error: unknown): boolean {
  return errorCode(error) === '57014'
}

/** Whether an error is infrastructure's (connection, shutdown, resources, conflict) and not the statement's own. */
export function isTransient(error: unknown): boolean {
  const code = errorCode(error)
  if (code === undefined || !/^[0-9A-Z]{5}$/.test(code)) return true
  return /^(08|25|40|53|55|57|58)/.test(code)
}
