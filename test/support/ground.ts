/** What tests on a Postgres stand on: a server, and on it the migrated template database that every one of them clones. */
import { migrateSchema } from '../../src/store/migrate.ts'
import { startTestServer } from './postgres-server.ts'
import { administer, uniqueName, withDatabase } from './test-database.ts'

export interface ProvidedPostgres {
  readonly url: string
  readonly template: string
  readonly plugins: readonly string[]
  readonly outlivesTheRun: boolean
}

export interface Ground extends AsyncDisposable {
  readonly provided: ProvidedPostgres
}

/** `env` says which Postgres: see postgres-server.ts. */
export async function layGround(env: NodeJS.ProcessEnv): Promise<Ground> {
  await using cleanUp = new AsyncDisposableStack()
  const server = cleanUp.use(await startTestServer(env, (line) => process.stdout.write(`${line}\n`)))
  const template = uniqueName('template')
  // UTF-8 whatever the server's default is: wal2json takes no other encoding.
  await administer(server.url, (admin) =>
    admin.query(
      `create database "${template}" template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'`,
    ),
  )
  cleanUp.defer(() =>
    administer(server.url, async (admin) => {
      await admin.query(`drop database "${template}" with (force)`)
    }),
  )
  await migrateSchema(withDatabase(server.url, template))
  const rest = cleanUp.move()
  return {
    provided: { url: server.url, template, plugins: server.plugins, outlivesTheRun: server.outlivesTheRun },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}
