/** Says that this process runs, and what it does, for whoever asks which replicas there are. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { Wake } from './lifecycle/wake.ts'
import type { Database } from './store/database.ts'
import { beat, leave } from './store/replicas.ts'
import type { Logger } from './telemetry/logger.ts'
import { VERSION } from './version.ts'

const BEAT_EVERY_MS = 10_000
/** A change of role is told sooner than the next beat. */
const LOOK_EVERY_MS = 500

export interface HeartbeatParts {
  readonly database: Database
  readonly logger: Logger
  readonly role: () => string
}

/** Runs until `signal` aborts, and takes its row away then. Never rejects: a beat that fails comes again. */
export async function keepBeating(
  { database, logger, role }: HeartbeatParts,
  signal: AbortSignal,
): Promise<void> {
  const id = randomUUID()
  const pause = new Wake()
  let told: string | undefined
  let toldAt = -Infinity
  while (!signal.aborted) {
    const now = performance.now()
    if (role() !== told || now - toldAt >= BEAT_EVERY_MS) {
      told = role()
      toldAt = now
      await beat(database, { id, host: hostname(), version: VERSION, role: told }).catch((err: unknown) =>
        logger.debug({ err }, 'replica.unseen'),
      )
    }
    await pause.sleep(LOOK_EVERY_MS, signal)
  }
  await leave(database, id).catch((err: unknown) => logger.debug({ err }, 'replica.unseen'))
}
