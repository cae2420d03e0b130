/**
 * A database for one test: cloned from the migrated template, dropped with its replication slots.
 *
 * Slots block DROP DATABASE, and a slot in use cannot be dropped: whoever streams from it is ended first.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { errorCode } from '../../src/lifecycle/errors.ts'
import { eventually } from './eventually.ts'
import { confideEnvironment, confideSecretsIn } from './leak-watch.ts'

export class TestDatabase {
  /** Also the name of the database. */
  readonly slot: string
  /** A login that may do everything. */
  readonly url: string
  readonly #serverUrl: string
  readonly #clients: pg.Client[] = []
  #pool: pg.Pool | undefined

  private constructor(serverUrl: string, name: string) {
    this.#serverUrl = serverUrl
    this.slot = name
    this.url = withDatabase(serverUrl, name)
    confideEnvironment({ 'the URL of the test server': serverUrl })
  }

  /** `template` is a database that nobody is connected to; `label` makes the name telling. */
  static async clone(serverUrl: string, template: string, label: string): Promise<TestDatabase> {
    const name = uniqueName(label)
    await administer(serverUrl, (admin) => admin.query(`create database "${name}" template "${template}"`))
    return new TestDatabase(serverUrl, name)
  }

  /** The rows of one statement, on a connection of the test's own. */
  async query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    params: readonly unknown[] = [],
  ): Promise<Row[]> {
    this.#pool ??= this.#openPool()
    const { rows } = await this.#pool.query<Row>(sql, [...params])
    // Of several statements at once pg gives several results, and no rows here.
    const told = (rows ?? []).flatMap((row): unknown[] => Object.values(row))
    for (const value of [...params, ...told]) if (typeof value === 'string') confideSecretsIn(value)
    return rows
  }

  /** A connected client, as an application has one: for transactions. Closed with the database, if not before. */
  async application(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.url, application_name: 'application' })
    // A connection that a test breaks must not end the run; the next query on it rejects.
    client.on('error', () => undefined)
    await client.connect()
    this.#clients.push(client)
    return client
  }

  /** Closes the test's connections and frees the slots. Leaves the database. */
  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.end()))
    await this.#pool?.end()
    await administer(this.#serverUrl, (admin) => dropSlots(admin, this.slot))
  }

  async drop(): Promise<void> {
    await this.close()
    await administer(this.#serverUrl, (admin) => admin.query(`drop database "${this.slot}" with (force)`))
  }

  #openPool(): pg.Pool {
    const pool = new pg.Pool({ connectionString: this.url, max: 4, application_name: 'test' })
    pool.on('error', () => undefined)
    return pool
  }
}

/** Runs `work` on a connection to the server's maintenance database. */
export async function administer<T>(serverUrl: string, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: serverUrl, application_name: 'test administration' })
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.end()
  }
}

/** At most 63 bytes, as Postgres cuts names, of what a slot may be called: lower case, digits and underscores. */
export function uniqueName(label: string): string {
  const readable = label.toLowerCase().replaceAll(/[^a-z0-9]+/g, '_')
  return `walhook_test_${readable.slice(0, 36)}_${randomBytes(5).toString('hex')}`
}

export function withDatabase(serverUrl: string, database: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${database}`
  return url.href
}

async function dropSlots(admin: pg.Client, database: string): Promise<void> {
  await eventually(async () => {
    const slots = await admin.query<{ slot_name: string; active_pid: number | null }>(
      'select slot_name, active_pid from pg_replication_slots where database = $1',
      [database],
    )
    for (const { slot_name: slot, active_pid: pid } of slots.rows) {
      if (pid !== null) await admin.query('select pg_terminate_backend($1)', [pid])
      try {
        await admin.query('select pg_drop_replication_slot($1)', [slot])
      } catch (error) {
        if (errorCode(error) !== '42704') throw error // gone already: fine. In use still: again
      }
    }
  })
}
