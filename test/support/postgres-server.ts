/**
 * Where the tests' Postgres comes from. In this order: WALHOOK_TEST_DATABASE_URL; a container, where Docker answers
 * and docker/postgres can be built; the embedded server of npm. WALHOOK_TEST_POSTGRES=container|embedded decides.
 *
 * A machine on which a container cannot be had must not notice: what fails on the way there is a reason, in one line.
 */
import { startEmbeddedPostgres } from '../../src/commands/embedded-postgres.ts'
import { errorCode, errorMessage } from '../../src/lifecycle/errors.ts'
import { administer, uniqueName } from './test-database.ts'
import { startPostgresContainer } from './postgres-container.ts'

export interface TestServer extends AsyncDisposable {
  /** A login that may create databases and slots, and a database that it may connect to. */
  readonly url: string
  /** For a person: `embedded Postgres 18.4`. */
  readonly name: string
  readonly plugins: readonly string[]
  /** Whether databases that tests left are there when the run has ended. */
  readonly outlivesTheRun: boolean
}

/**
 * Nothing that the tests check depends on surviving a power cut, and tests wait for every commit. Room for every test's
 * slot and connections.
 */
export const TEST_SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'off',
  full_page_writes: 'off',
  max_connections: '200',
  max_prepared_transactions: '64',
  max_replication_slots: '64',
  max_wal_senders: '64',
  shared_buffers: '64MB',
}

type Environment = Readonly<Record<string, string | undefined>>

export async function startTestServer(env: Environment, say: (line: string) => void): Promise<TestServer> {
  const wish = env['WALHOOK_TEST_POSTGRES'] ?? ''
  if (!['', 'container', 'embedded'].includes(wish))
    throw new Error(`WALHOOK_TEST_POSTGRES is ${wish}, and not container or embedded`)
  const url = env['WALHOOK_TEST_DATABASE_URL']
  const server =
    wish === '' && url !== undefined && url !== ''
      ? await describe(url, `Postgres {version} of WALHOOK_TEST_DATABASE_URL`, true)
      : ((await inContainer(env, wish === 'container', say)) ?? (await embedded()))
  const left = server.plugins.includes('wal2json') ? '' : ': no wal2json, so its tests are left out'
  say(`tests run on ${server.name} with ${server.plugins.join(' and ')}${left}`)
  if (left !== '' && env['WALHOOK_TEST_REQUIRE_WAL2JSON'] === '1') {
    await server[Symbol.asyncDispose]()
    throw new Error(
      'WALHOOK_TEST_REQUIRE_WAL2JSON is set, and this server has no wal2json, or does not let it be used',
    )
  }
  return server

  async function embedded(): Promise<TestServer> {
    const embeddedServer = await startEmbeddedPostgres({ settings: TEST_SETTINGS })
    return describe(embeddedServer.url, 'embedded Postgres {version}', false, embeddedServer)
  }
}

async function inContainer(
  env: Environment,
  required: boolean,
  say: (line: string) => void,
): Promise<TestServer | undefined> {
  if (env['WALHOOK_TEST_POSTGRES'] === 'embedded') return undefined
  try {
    const container = await startPostgresContainer(TEST_SETTINGS, say)
    return await describe(container.url, 'Postgres {version} in a container', false, container)
  } catch (error) {
    if (required) throw error
    say(`no container: ${errorMessage(error).split('\n')[0]}`)
    return undefined
  }
}

/** Asks the server what it is. Ends it where it does not answer or is of no use. */
async function describe(
  url: string,
  name: string,
  outlivesTheRun: boolean,
  owned?: AsyncDisposable,
): Promise<TestServer> {
  try {
    const { version, walLevel, plugins } = await administer(url, async (admin) => {
      const { rows } = await admin.query<{ version: string; wal_level: string }>(
        `select current_setting('server_version') as version, current_setting('wal_level') as wal_level`,
      )
      const version = rows[0]?.version.split(' ')[0] ?? ''
      const walLevel = rows[0]?.wal_level ?? ''
      const plugins: string[] = []
      if (walLevel === 'logical') {
        for (const plugin of ['wal2json', 'pgoutput']) {
          const slot = uniqueName('probe')
          try {
            await admin.query('select pg_create_logical_replication_slot($1, $2, true)', [slot, plugin])
            plugins.push(plugin)
          } catch (error) {
            // 58P01: no such library. 42501: one that output_plugin_libraries does not list.
            if (!['58P01', '42501'].includes(errorCode(error) ?? '')) throw error
          }
        }
      }
      return { version, walLevel, plugins }
    })
    if (walLevel !== 'logical')
      throw new Error(`wal_level of the test server is ${walLevel}: it must be logical`)
    return {
      url,
      name: name.replace('{version}', version),
      plugins,
      outlivesTheRun,
      [Symbol.asyncDispose]: async () => await owned?.[Symbol.asyncDispose](),
    }
  } catch (error) {
    await owned?.[Symbol.asyncDispose]()
    throw error
  }
}
