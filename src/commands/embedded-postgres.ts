/**
 * A Postgres of our own for `dev`, `demo` and the tests: from npm's binaries, on 127.0.0.1 only, ready for logical
 * replication with pgoutput (the binaries hold no wal2json).
 *
 * Whoever starts it disposes of it. Should this process die without (SIGKILL), a shell that waits for that stops
 * Postgres and removes the throwaway directory; on Windows there is no such shell, and an orphan is possible.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { errorMessage, WalhookError } from '../lifecycle/errors.ts'
import { type PostgresUser, postgresUser, preparePrograms } from './embedded-postgres-binaries.ts'
import { ensureCluster } from './embedded-postgres-cluster.ts'
import { readLockFile, spawnPostgres, spawnWatchdog, untilReady } from './embedded-postgres-process.ts'

export interface EmbeddedPostgresOptions {
  /** Kept: made where there is none, left behind. Otherwise the data are in a temporary directory and end with the server. */
  readonly dataDir?: string
  /** Default: a free one. */
  readonly port?: number
  /** Server settings, which win over ours: `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>
  /** Every line that the server logs. */
  readonly onLog?: (line: string) => void
}

export interface EmbeddedPostgres extends AsyncDisposable {
  /** Superuser and database `postgres`. Holds the password. */
  readonly url: string
  readonly port: number
  readonly dataDir: string
  readonly pid: number
  /** Settles when the server has ended, for whatever reason, and its temporary files are gone. Never rejects. */
  readonly ended: Promise<void>
  /** `fast` breaks connections off and writes a checkpoint; `immediate` leaves recovery to the next start. May be called twice. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
}

const OUR_SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  wal_level: 'logical',
  max_replication_slots: '16',
  max_wal_senders: '16',
  lc_messages: 'C',
}
/** Recovery after a crash is part of it. */
const START_TIMEOUT_MS = 60_000
/** A fast stop waits until whoever streams has confirmed everything; past this the stop becomes immediate. */
const STOP_TIMEOUT_MS = 20_000
const PORT_TRIES = 3

/** Resolves when the server takes connections. Throws `configuration`, `port_taken`, or an Error with the server's last words. */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const user = await postgresUser()
  const scratchDir = await mkdtemp(path.join(tmpdir(), 'walhook-postgres-'))
  try {
    await chmod(scratchDir, 0o755)
    const programs = await preparePrograms(user, path.join(scratchDir, 'programs'))
    const dataDir = path.resolve(options.dataDir ?? path.join(scratchDir, 'data'))
    const password = await ensureCluster(programs, user, dataDir, scratchDir)
    for (let attempt = 1; ; attempt++) {
      const port = options.port ?? (await freePort())
      try {
        return await startServer(programs.postgres, user, { dataDir, scratchDir, port, password }, options)
      } catch (error) {
        // Somebody may take a free port between our finding it and Postgres opening it.
        const lostRace = error instanceof WalhookError && error.code === 'port_taken'
        if (!lostRace || options.port !== undefined || attempt === PORT_TRIES) throw error
      }
    }
  } catch (error) {
    await rm(scratchDir, { recursive: true, force: true })
    throw error
  }
}

interface Place {
  readonly dataDir: string
  readonly scratchDir: string
  readonly port: number
  readonly password: string
}

async function startServer(
  program: string,
  user: PostgresUser,
  place: Place,
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const { dataDir, port } = place
  const settings = { ...OUR_SETTINGS, ...options.settings, port: String(port) }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const server = spawnPostgres(program, ['-D', dataDir, ...args], user, options.onLog)
  const { child } = server
  const pid = child.pid
  if (pid === undefined) throw new Error(`Postgres could not be run: ${await server.ended}`)

  const watchdog = spawnWatchdog(pid, place.scratchDir)
  const waiting = new AbortController()
  const outcome = await Promise.race([
    untilReady(dataDir, pid, waiting.signal).then(
      () => 'ready',
      (error: unknown) => `could not be watched: ${errorMessage(error)}`,
    ),
    server.ended.then((ending) => `ended with ${ending}`),
    delay(START_TIMEOUT_MS, `was not ready after ${START_TIMEOUT_MS / 1000} s`, { ref: false }),
  ])
  waiting.abort()
  if (outcome !== 'ready') {
    child.kill('SIGQUIT')
    await server.ended
    watchdog?.kill('SIGKILL')
    throw await startFailure(outcome, server.lastLines, place)
  }

  const ended = server.ended.then(async () => {
    watchdog?.kill('SIGKILL')
    await rm(place.scratchDir, { recursive: true, force: true, maxRetries: 5 })
  })
  const stop = async (mode: 'fast' | 'immediate' = 'fast'): Promise<void> => {
    child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
    const impatience = setTimeout(() => child.kill('SIGQUIT'), STOP_TIMEOUT_MS)
    await ended.finally(() => clearTimeout(impatience))
  }
  const url = `postgres://postgres:${place.password}@127.0.0.1:${port}/postgres`
  return { url, port, dataDir, pid, ended, stop, [Symbol.asyncDispose]: () => stop() }
}

async function startFailure(outcome: string, lastLines: readonly string[], place: Place): Promise<Error> {
  const lastWords = lastLines.join('\n')
  if (lastWords.includes('could not create any TCP/IP sockets'))
    return new WalhookError('port_taken', `port ${place.port} on 127.0.0.1 cannot be had`, {
      remedy: 'choose another port, or stop what listens there',
    })
  if (lastWords.includes('lock file "postmaster.pid" already exists')) {
    const [pid] = (await readLockFile(place.dataDir)).split('\n')
    return new WalhookError('configuration', `another Postgres (process ${pid}) runs on ${place.dataDir}`, {
      remedy: `stop it (kill -INT ${pid}), or name another directory`,
    })
  }
  return new Error(`Postgres ${outcome}:\n${lastWords}`)
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', resolve)
  })
  const address = probe.address()
  await new Promise<void>((resolve) => probe.close(() => resolve()))
  if (address === null || typeof address === 'string') throw new Error('no port to be had on 127.0.0.1')
  return address.port
}
