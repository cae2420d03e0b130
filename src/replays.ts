/**
 * Carries replays on, piece by piece. Where each has come to stands in its row and is written with the piece, so any process
 * goes on with it, and none does a piece again. What is made due waits for the dispatcher like everything else.
 */
import { errorCode } from './lifecycle/errors.ts'
import { Wake } from './lifecycle/wake.ts'
import { type Database, isStatementTimeout, isTransient } from './store/database.ts'
import { advanceReplay, failReplay, findRunnableReplays, type ReplayPiece } from './store/replays.ts'
import type { Logger } from './telemetry/logger.ts'

/** How soon a replay that was asked for is noticed, and how often one that waits for room is looked at. */
const LOOK_EVERY_MS = 1_000
/** Between rounds: a replay shares the server with what is fresh. */
const PAUSE_MS = 50
/** Replays that take turns. */
const ROUND = 100

export interface ReplayParts {
  readonly database: Database
  readonly logger: Logger
  /** Deliveries wait for these subscriptions. */
  readonly expect: (subscriptionIds: Iterable<string>) => void
  /** Set when one may have been asked for. */
  readonly asked: Wake
}

/** Runs until `signal` aborts. Rejects where the database does. */
export async function keepReplaying(parts: ReplayParts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    let advanced = false
    for (const id of await findRunnableReplays(parts.database, ROUND)) {
      if (signal.aborted) return
      if (await advance(parts, id)) advanced = true
    }
    await parts.asked.sleep(advanced ? PAUSE_MS : LOOK_EVERY_MS, signal)
  }
}

async function advance(parts: ReplayParts, id: string): Promise<boolean> {
  const { database, logger } = parts
  try {
    const piece = await advanceReplay(database, id)
    if (piece !== undefined) report(piece, parts)
    return piece !== undefined
  } catch (err) {
    // It would be so each time, as it would with a piece that takes too long; the others go on.
    if (isTransient(err) && !isStatementTimeout(err)) throw err
    await failReplay(database, id, errorCode(err) ?? 'error')
    logger.error({ err, replay_id: id }, 'replay.failed')
    return false
  }
}

function report(piece: ReplayPiece, { logger, expect }: ReplayParts): void {
  const { id, kind, state, reason, subscriptionId, replayed, total } = piece
  const told = { replay_id: id, kind, subscription_id: subscriptionId, replayed, total }
  expect([subscriptionId])
  switch (state) {
    case 'running':
      return logger.debug(told, 'replay.advanced')
    case 'done':
      return logger.info(told, 'replay.done')
    case 'failed':
    case 'stopped':
      return logger.error({ ...told, reason }, 'replay.failed')
    default:
      return state satisfies never
  }
}
