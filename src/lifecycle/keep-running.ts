/** Runs something that ends now and then, until told to stop: a fresh start each time, with a growing, jittered pause. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isRecoverable } from './errors.ts'

export interface KeepRunningOptions {
  readonly signal: AbortSignal
  /** Told of each end, with the pause before the next start. */
  readonly onEnded: (error: unknown, pauseMs: number) => void
  /** What the pause may grow to after such an end; default 4 s. */
  readonly longestPauseMs?: (error: unknown) => number
  /** In [0, 1). */
  readonly random: () => number
}

const FIRST_PAUSE_MS = 250
/** What was in the way may have gone just after the last try: with opening a connection, five seconds later at most. */
export const LONGEST_PAUSE_MS = 4_000

/**
 * Resolves once `signal` aborts. Rejects with what only a person can mend. `work` calls `progressed` when it did
 * something useful: opening a connection that ends at once is not.
 */
export async function keepRunning(
  work: (progressed: () => void) => Promise<void>,
  options: KeepRunningOptions,
): Promise<void> {
  const { signal } = options
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      await work(() => (failures = 0))
      if (signal.aborted) return
    } catch (error) {
      if (signal.aborted) return
      if (!isRecoverable(error)) throw error
      const limitMs = options.longestPauseMs?.(error) ?? LONGEST_PAUSE_MS
      const longestMs = Math.min(limitMs, FIRST_PAUSE_MS * 2 ** failures)
      const pauseMs = longestMs * (0.5 + options.random() / 2)
      options.onEnded(error, pauseMs)
      await sleep(pauseMs, undefined, { signal }).catch(onlyAborted)
    }
  }
}

function onlyAborted(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error
}
