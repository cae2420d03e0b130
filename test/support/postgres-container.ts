/**
 * The tests' Postgres in a container, built from docker/postgres: the same image as the compose file's.
 *
 * Testcontainers pulls and builds patiently; we ask first, with a deadline, whether that can succeed at all.
 */
import { randomBytes } from 'node:crypto'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers'
import { administer } from './test-database.ts'
import { eventually, orTimeout } from './eventually.ts'

const CONTEXT = path.join(import.meta.dirname, '..', '..', 'docker', 'postgres')
/** docker/postgres, built when a test server is started from it. */
export const IMAGE = 'walhook-postgres:test'
/** Of a shape that the search for leaks can tell from a word. */
const PASSWORD = randomBytes(12).toString('hex')
const PROBE_MS = 5000
const BUILD_MS = 300_000

export interface PostgresContainer extends AsyncDisposable {
  readonly url: string
}

/** Throws an Error whose first line says why there can be no container. */
export async function startPostgresContainer(
  settings: Readonly<Record<string, string>>,
  say: (line: string) => void,
): Promise<PostgresContainer> {
  await assertImageCanBeBuilt(say)
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const image = await within(
    BUILD_MS,
    GenericContainer.fromDockerfile(CONTEXT).build(IMAGE, { deleteOnExit: false }),
    'building docker/postgres',
  )
  const container = await image
    .withEnvironment({ POSTGRES_PASSWORD: PASSWORD })
    .withCommand(['postgres', ...flags])
    .withTmpFs({ '/var/lib/postgresql/data': 'rw' })
    .withExposedPorts(5432)
    .withWaitStrategy(Wait.forLogMessage('init process complete'))
    .withStartupTimeout(60_000)
    .start()
  const url = `postgres://postgres:${PASSWORD}@${container.getHost()}:${container.getMappedPort(5432)}/postgres`
  const watchdog = removeWhenWeAreGone(container.getId())
  const stop = async (): Promise<void> => {
    await container.stop()
    watchdog.kill('SIGKILL')
  }
  try {
    await eventually(() => administer(url, (admin) => admin.query('select')), { withinMs: 30_000 })
  } catch (error) {
    await stop()
    throw error
  }
  return { url, [Symbol.asyncDispose]: stop }
}

async function assertImageCanBeBuilt(say: (line: string) => void): Promise<void> {
  const runtime = getContainerRuntimeClient().catch((error: unknown) => {
    throw new Error('Docker does not answer', { cause: error })
  })
  const { dockerode } = (await within(PROBE_MS, runtime, 'Docker')).container
  const images = await within(PROBE_MS, dockerode.listImages(), 'Docker')
  const tags = images.flatMap((image) => image.RepoTags ?? [])

  // The reaper removes what a killed run leaves; where its image is not at hand, we go without.
  if (!tags.some((tag) => tag.includes('testcontainers/ryuk:')))
    process.env['TESTCONTAINERS_RYUK_DISABLED'] ??= 'true'

  if (tags.includes(IMAGE)) return
  const base = /^FROM\s+(\S+)/m.exec(await readFile(path.join(CONTEXT, 'Dockerfile'), 'utf8'))?.[1]
  if (base === undefined) throw new Error('docker/postgres/Dockerfile names no base image')
  if (!tags.includes(base)) {
    const distribution = dockerode.getImage(base).distribution() as Promise<unknown>
    await within(PROBE_MS, distribution, `the registry of ${base}`).catch((error: unknown) => {
      throw new Error(`${base} is neither here nor to be had from its registry`, { cause: error })
    })
  }
  say('building docker/postgres for the tests (once)')
}

/** For want of a reaper: a run that is killed, or broken off with Ctrl-C, leaves no container either. */
export function removeWhenWeAreGone(containerId: string): ChildProcess {
  const watchdog = spawn(
    '/bin/sh',
    ['-c', 'cat >/dev/null; docker rm -fv "$1"', 'walhook-watchdog', containerId],
    {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    },
  )
  watchdog.on('error', () => undefined) // No shell: then it is the reaper's work after all.
  watchdog.unref()
  return watchdog
}

async function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  const result = await orTimeout(promise, ms)
  if (result === 'timeout') throw new Error(`${what}: no answer within ${ms / 1000} s`)
  return result
}
