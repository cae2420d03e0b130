/**
 * Postgres as a child process: run as the right user, watched until it is ready, never left behind.
 *
 * It gets a session of its own (`detached`), so that Ctrl-C in a terminal reaches the sidecar first and Postgres last.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { errorCode } from '../lifecycle/errors.ts'
import type { PostgresUser } from './embedded-postgres-binaries.ts'

const REMEMBERED_LINES = 12
const READY_POLL_MS = 20

export interface PostgresProcess {
  readonly child: ChildProcess
  /** What it said last, oldest first: the reason, when it ended too soon. */
  readonly lastLines: readonly string[]
  /** Its exit code or signal, once it has ended and all its output was read. */
  readonly ended: Promise<string>
}

/** Spawns `program`. A program that cannot be run at all also ends, with the error's code. */
export function spawnPostgres(
  program: string,
  args: readonly string[],
  user: PostgresUser,
  onLine?: (line: string) => void,
): PostgresProcess {
  const child = spawn(program, args, {
    // Postgres reads PG* variables (PGDATA, PGPORT …): it gets none of ours.
    env: { LC_ALL: 'C', PATH: process.env['PATH'], TZ: 'UTC' },
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
  })
  const lastLines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      if (lastLines.push(line) > REMEMBERED_LINES) lastLines.shift()
      onLine?.(line)
    })
  }
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(errorCode(error) ?? error.message))
    child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  return { child, lastLines, ended }
}

/** Resolves when the server in `dataDir` takes connections. The lock file says so, whatever the log settings are. */
export async function untilReady(dataDir: string, pid: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const lines = (await readLockFile(dataDir)).split('\n')
    if (lines[0]?.trim() === String(pid) && lines[7]?.trim() === 'ready') return
    await delay(READY_POLL_MS)
  }
}

/** `postmaster.pid`: the process id, the directory, …, and in its eighth line the state. Empty when there is none. */
export async function readLockFile(dataDir: string): Promise<string> {
  try {
    return await readFile(path.join(dataDir, 'postmaster.pid'), 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return ''
    throw error
  }
}

/**
 * A shell that waits for this process to be gone (its end of the pipe closes), then stops Postgres and removes
 * `scratchDir`. Kill it once Postgres has ended. There is none on Windows.
 */
export function spawnWatchdog(postgresPid: number, scratchDir: string): ChildProcess | undefined {
  if (process.platform === 'win32') return undefined
  const script =
    'cat >/dev/null; kill -INT "$1" 2>/dev/null; while kill -0 "$1" 2>/dev/null; do sleep 0.1; done; rm -rf "$2"'
  const watchdog = spawn('/bin/sh', ['-c', script, 'walhook-watchdog', String(postgresPid), scratchDir], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  // Neither it nor its pipe keeps this process alive.
  watchdog.unref()
  const pipe = watchdog.stdin as NonNullable<typeof watchdog.stdin> & { unref?: () => void }
  pipe.unref?.()
  return watchdog
}
