/** When to say that we are alive, and when to believe that the server is not. Pure, so that it can be tried without either. */

export interface LivenessTimings {
  /** How often a status update goes out, whatever else happens. It asks for an answer. */
  readonly statusEveryMs: number
  /** Silence after which the connection is taken for dead; undefined where the server has its own timeout off. */
  readonly silenceLimitMs: number | undefined
}

const LONGEST_STATUS_PAUSE_MS = 10_000

/** From the server's `wal_sender_timeout` in milliseconds; 0 means that it never gives up on us. */
export function livenessTimings(walSenderTimeoutMs: number): LivenessTimings {
  if (walSenderTimeoutMs === 0) return { statusEveryMs: LONGEST_STATUS_PAUSE_MS, silenceLimitMs: undefined }
  const statusEveryMs = Math.min(LONGEST_STATUS_PAUSE_MS, Math.ceil(walSenderTimeoutMs / 3))
  // Each status update is answered, so three unanswered ones say enough.
  return { statusEveryMs, silenceLimitMs: statusEveryMs * 3 + 1_000 }
}

/** Whether the server has been silent for too long. While we ourselves hold it back, its silence says nothing. */
export function isSilentTooLong(
  timings: LivenessTimings,
  observed: { readonly silentForMs: number; readonly heldBack: boolean },
): boolean {
  return (
    timings.silenceLimitMs !== undefined &&
    !observed.heldBack &&
    observed.silentForMs > timings.silenceLimitMs
  )
}
