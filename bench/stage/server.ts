/**
 * The Postgres that is measured on: that of `DATABASE_URL`, or an embedded one that ends with the benchmark. Each round
 * has a database of its own, made here and removed again; what else the server holds is not touched.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { startEmbeddedPostgres } from '../../src/commands/embedded-postgres.ts'
import { errorCode, errorMessage } from '../../src/lifecycle/errors.ts'
import { NoFigure } from '../figures/no-figure.ts'
import { postmasterOf } from './process-usage.ts'

export interface Server extends AsyncDisposable {
  readonly description: string
  readonly version: string
  /** Undefined where Postgres runs elsewhere, and its CPU cannot be seen. */
  readonly postmaster: number | undefined
  /** Which plugins the server decodes with. */
  readonly plugins: readonly ('pgoutput' | 'wal2json')[]
  readonly mayCheckpoint: boolean
  /** A new database; with its slots it is dropped when disposed of, or else with the server. */
  makeDatabase(): Promise<BenchDatabase>
}

export interface BenchDatabase extends AsyncDisposable {
  readonly name: string
  readonly url: string
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>
}

const PREFIX = 'walhook_bench_'

export async function openServer(databaseUrl: string | undefined): Promise<Server> {
  await using stack = new AsyncDisposableStack()
  const embedded = databaseUrl === undefined ? stack.use(await startEmbeddedPostgres()) : undefined
  const url = databaseUrl ?? embedded?.url ?? ''
  const client = stack.adopt(new pg.Client(url), (opened) => opened.end())
  try {
    await client.connect()
  } catch (error) {
    throw new NoFigure(
      `the Postgres of DATABASE_URL cannot be reached: ${errorMessage(error)}: correct it, or unset it to measure on an embedded one`,
    )
  }
  const [about] = (
    await client.query<{
      pid: number
      version: string
      mayCreate: boolean
      mayCheckpoint: boolean
      walLevel: string
    }>(
      `select pg_backend_pid() as pid, current_setting('server_version') as version, current_setting('wal_level') as "walLevel",
              rolcreatedb or rolsuper as "mayCreate",
              -- A role of its own since Postgres 15.
              rolsuper or exists (
                select from pg_roles as r where r.rolname = 'pg_checkpoint' and pg_has_role(me.oid, r.oid, 'member')
              ) as "mayCheckpoint"
       from pg_roles as me where rolname = current_user`,
    )
  ).rows
  if (about?.mayCreate !== true)
    throw new NoFigure(
      'the login of DATABASE_URL may not create databases, and each round has one of its own: ALTER ROLE … CREATEDB',
    )
  if (about.walLevel !== 'logical')
    throw new NoFigure(`wal_level is ${about.walLevel} on the server of DATABASE_URL, and has to be logical`)

  let databases = 0
  const open = new Set<BenchDatabase>()
  const plugins = await pluginsOf(client)
  const opened = stack.move()
  return {
    description: embedded === undefined ? 'that of DATABASE_URL' : 'embedded, default settings',
    version: about.version,
    postmaster: postmasterOf(about.pid),
    mayCheckpoint: about.mayCheckpoint,
    plugins,
    makeDatabase: async () => {
      const database = await makeDatabase(client, url, `${PREFIX}${process.pid}_${++databases}`, () =>
        open.delete(database),
      )
      open.add(database)
      return database
    },
    [Symbol.asyncDispose]: async () => {
      for (const database of open) await database[Symbol.asyncDispose]()
      await opened.disposeAsync()
    },
  }
}

async function pluginsOf(client: pg.Client): Promise<('pgoutput' | 'wal2json')[]> {
  const plugins: ('pgoutput' | 'wal2json')[] = []
  for (const plugin of ['pgoutput', 'wal2json'] as const) {
    try {
      await client.query(`select pg_create_logical_replication_slot($1, $2, true)`, [
        `${PREFIX}probe`,
        plugin,
      ])
      await client.query(`select pg_drop_replication_slot($1)`, [`${PREFIX}probe`])
      plugins.push(plugin)
    } catch (error) {
      // 58P01: the server has no such library; 42501: it is not on the server's list.
      if (!['58P01', '42501'].includes(errorCode(error) ?? '')) throw error
    }
  }
  return plugins
}

async function makeDatabase(
  maintenance: pg.Client,
  serverUrl: string,
  name: string,
  onDropped: () => void,
): Promise<BenchDatabase> {
  await maintenance.query(`create database ${name}`)
  const url = new URL(serverUrl)
  url.pathname = name
  const client = new pg.Client({ connectionString: url.href, application_name: 'bench' })
  await client.connect()
  return {
    name,
    url: url.href,
    async query<Row extends pg.QueryResultRow>(
      text: string,
      values: readonly unknown[] = [],
    ): Promise<Row[]> {
      return (await client.query<Row>(text, [...values])).rows
    },
    [Symbol.asyncDispose]: async () => {
      onDropped()
      await client.end()
      // A sidecar that was killed may have left its session behind; a slot that nobody reads would hold the log for ever.
      await maintenance.query(
        `select pg_terminate_backend(active_pid) from pg_replication_slots where database = $1 and active`,
        [name],
      )
      await untilNone(maintenance, `select from pg_replication_slots where database = $1 and active`, name)
      await maintenance.query(
        `select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1`,
        [name],
      )
      await maintenance.query(`drop database ${name} with (force)`)
    },
  }
}

async function untilNone(client: pg.Client, query: string, name: string): Promise<void> {
  while (((await client.query(query, [name])).rowCount ?? 0) > 0) await sleep(50)
}
