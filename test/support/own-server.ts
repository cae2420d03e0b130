/**
 * A Postgres of one test's own, npm's, which has pgoutput only: for what cannot be done to a server that is shared. It is
 * stopped, killed and started again over one data directory, at one address.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/commands/embedded-postgres.ts'
import { migrateSchema } from '../../src/store/migrate.ts'
import { eventually } from './eventually.ts'
import type { ProvidedPostgres } from './ground.ts'
import type { Environment } from './sidecar-environment.ts'
import { withDatabase } from './test-database.ts'

export type Stop = 'fast' | 'immediate' | 'kill -9'

export class OwnServer implements AsyncDisposable {
  readonly url: string
  readonly dataDir: string
  readonly #settings: Environment
  /** What is removed at the end. */
  readonly #directory: string
  #running: EmbeddedPostgres

  private constructor(running: EmbeddedPostgres, settings: Environment, directory: string) {
    this.#directory = directory
    this.dataDir = running.dataDir
    this.url = running.url
    this.#running = running
    this.#settings = settings
  }

  /** Migrated, in a temporary directory or in `directory`, which somebody else removes. */
  static async start(settings: Environment = {}, directory?: string): Promise<OwnServer> {
    const parent = directory ?? (await mkdtemp(path.join(tmpdir(), 'walhook-own-server-')))
    // Under root, Postgres runs as somebody else.
    await chmod(parent, 0o755)
    const running = await startEmbeddedPostgres({ dataDir: path.join(parent, 'data'), settings })
    const server = new OwnServer(running, settings, directory === undefined ? parent : running.dataDir)
    try {
      await migrateSchema(server.url)
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
    return server
  }

  /** For tests' databases on it, cloned from its own: nobody may be connected to that one meanwhile. */
  get ground(): ProvidedPostgres {
    return { url: this.url, template: 'postgres', plugins: ['pgoutput'], outlivesTheRun: false }
  }

  /** Settles when the server has ended, by whatever cause. */
  get ended(): Promise<void> {
    return this.#running.ended
  }

  /** Resolves when it has ended. */
  async stop(how: Stop): Promise<void> {
    if (how !== 'kill -9') return this.#running.stop(how)
    process.kill(this.#running.pid, 'SIGKILL')
    await this.#running.ended
  }

  /** Resolves when it takes connections; where it was killed, its last processes may have to end first. */
  async startAgain(): Promise<void> {
    const { port } = this.#running
    this.#running = await eventually(
      () => startEmbeddedPostgres({ dataDir: this.dataDir, port, settings: this.#settings }),
      { withinMs: 60_000, everyMs: 200 },
    )
  }

  /** A connected client, which the caller ends. One that breaks rejects the next query. */
  async connect(database?: string): Promise<pg.Client> {
    const connectionString = database === undefined ? this.url : withDatabase(this.url, database)
    const client = new pg.Client({ connectionString, application_name: 'application' })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  /** One statement on a connection of its own. */
  async query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    params: readonly unknown[] = [],
  ): Promise<Row[]> {
    const client = await this.connect()
    try {
      return (await client.query<Row>(sql, [...params])).rows
    } finally {
      await client.end()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running.stop('immediate')
    await rm(this.#directory, { recursive: true, force: true })
  }
}
