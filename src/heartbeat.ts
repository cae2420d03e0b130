/** Says that this process runs, and what it does, for whoever asks which replicas there are. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { Wake } from './lifecycle/wake.ts'
import { Database } from './store/database.ts'
import { appear, leave, sessionName } from './store/replicas.ts'
import type { Logger } from './telemetry/logger.ts'
import { VERSION } from './version.ts'

/** More often than an idle connection is closed, and than others notice that one has ended. */
const BEAT_EVERY_MS = 10_000
/** A change of role is told sooner than the next beat. */
const LOOK_EVERY_MS = 500
const ANSWER_WITHIN_MS = 5_000

export interface HeartbeatParts {
  readonly databaseUrl: string
  readonly logger: Logger
  readonly role: () => string
}

/**
 * Runs until `signal` aborts, and takes its row away then. Never rejects: a beat that fails comes again. Over a session of its own,
 * which says by being there that the process is.
 */
export async function keepBeating(
  { databaseUrl, logger, role }: HeartbeatParts,
  signal: AbortSignal,
): Promise<void> {
  const id = randomUUID()
  const unseen = (err: unknown): void => logger.debug({ err }, 'replica.unseen')
  await using session = new Database({
    url: databaseUrl,
    maxConnections: 1,
    applicationName: sessionName(id),
    answerWithinMs: ANSWER_WITHIN_MS,
    connectWithinMs: ANSWER_WITHIN_MS,
    onIdleError: unseen,
  })
  const pause = new Wake()
  let told: string | undefined
  let toldAt = -Infinity
  while (!signal.aborted) {
    const now = performance.now()
    if (role() !== told || now - toldAt >= BEAT_EVERY_MS) {
      told = role()
      toldAt = now
      await appear(session, { id, host: hostname(), version: VERSION, role: told }).catch(unseen)
    }
    await pause.sleep(LOOK_EVERY_MS, signal)
  }
  await leave(session, id).catch(unseen)
}
