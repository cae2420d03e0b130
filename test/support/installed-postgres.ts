/** The Postgres servers that Debian's packages put on this machine, of any version: for what differs between versions. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { postgresUser } from '../../src/commands/embedded-postgres-binaries.ts'
import { spawnPostgres } from '../../src/commands/embedded-postgres-process.ts'
import { migrateSchema } from '../../src/store/migrate.ts'
import { eventually } from './eventually.ts'
import type { Plugin } from './sidecar-environment.ts'
import { administer } from './test-database.ts'

const PACKAGES = '/usr/lib/postgresql'
const PASSWORD = 'walhook'
const run = promisify(execFile)

export interface InstalledPostgres {
  readonly major: string
  readonly plugins: readonly Plugin[]
}

export interface RunningPostgres extends AsyncDisposable {
  readonly url: string
  /** `15.20`. */
  readonly version: string
}

export async function installedPostgres(): Promise<InstalledPostgres[]> {
  const majors = await readdir(PACKAGES).catch(() => [])
  return majors
    .filter((major) => existsSync(programOf(major, 'initdb')))
    .map((major) => {
      const hasWal2json = existsSync(path.join(PACKAGES, major, 'lib', 'wal2json.so'))
      return { major, plugins: hasWal2json ? ['wal2json', 'pgoutput'] : ['pgoutput'] }
    })
}

/** On data of its own, migrated. */
export async function startInstalled({ major, plugins }: InstalledPostgres): Promise<RunningPostgres> {
  await using opened = new AsyncDisposableStack()
  const user = await postgresUser()
  const directory = await mkdtemp(path.join(tmpdir(), 'walhook-installed-'))
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  await chmod(directory, 0o755)
  const data = path.join(directory, 'data')
  const passwordFile = path.join(directory, 'password')
  await mkdir(data, { mode: 0o700 })
  await writeFile(passwordFile, PASSWORD)
  if (user !== undefined) await chown(data, user.uid, user.gid)

  const initdb = spawnPostgres(
    programOf(major, 'initdb'),
    [
      '-D',
      data,
      '-U',
      'postgres',
      `--pwfile=${passwordFile}`,
      '-A',
      'scram-sha-256',
      '-E',
      'UTF8',
      '--locale=C',
    ],
    user,
  )
  if ((await initdb.ended) !== 'exit code 0') throw new Error(initdb.lastLines.join('\n'))
  const port = await freePort()
  const settings = [
    'wal_level=logical',
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    `port=${port}`,
  ]
  // Newer minor releases refuse plugins that this setting does not list; older ones refuse to start with it.
  const { stdout } = await run(programOf(major, 'postgres'), ['--describe-config'], {
    maxBuffer: 16 * 1024 * 1024,
    ...(user && { uid: user.uid, gid: user.gid }),
  })
  if (stdout.includes('output_plugin_libraries') && plugins.includes('wal2json'))
    settings.push('output_plugin_libraries=pgoutput,test_decoding,wal2json')
  const server = spawnPostgres(
    programOf(major, 'postgres'),
    ['-D', data, ...settings.flatMap((setting) => ['-c', setting])],
    user,
  )
  opened.defer(async () => {
    server.child.kill('SIGQUIT')
    await server.ended
  })
  const url = `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`
  const version = await eventually(() =>
    administer(url, async (admin) => {
      const { rows } = await admin.query<{ version: string }>(
        `select current_setting('server_version') as version`,
      )
      return rows[0]?.version.split(' ')[0] ?? major
    }),
  )
  await migrateSchema(url)
  const rest = opened.move()
  return { url, version, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

function programOf(major: string, name: string): string {
  return path.join(PACKAGES, major, 'bin', name)
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port to be had on 127.0.0.1')
  return address.port
}
