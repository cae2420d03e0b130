/**
 * A circuit per endpoint. One that keeps failing is left alone but for a probe now and then, so that a dead server
 * costs neither room nor its deliveries' attempts.
 */
import type { AttemptOutcome } from './attempt-outcome.ts'

export interface Circuit {
  /** Failures in a row. */
  readonly failures: number
  /** While open: when the next probe may go, in the caller's milliseconds. */
  readonly probeAt: number | undefined
  /** The endpoint asked for that time itself: until then not even a success closes it. */
  readonly isAsked?: true
}

export const CLOSED: Circuit = { failures: 0, probeAt: undefined }

/** Failures in a row that open the circuit. */
export const OPENS_AFTER = 10
const FIRST_PROBE_AFTER_MS = 1_000
const LONGEST_PROBE_PAUSE_MS = 60_000

export function isOpen(circuit: Circuit): boolean {
  return circuit.probeAt !== undefined
}

/** The circuit after an attempt's outcome, at `now`. */
export function afterAttempt(circuit: Circuit, outcome: AttemptOutcome, now: number): Circuit {
  if (circuit.isAsked && circuit.probeAt !== undefined && now < circuit.probeAt) return circuit
  if (outcome.kind === 'rejected' && outcome.retryAfterMs !== undefined && outcome.retryAfterMs > 0) {
    // What it says of one request it would say of all.
    const probeAt = now + Math.min(outcome.retryAfterMs, LONGEST_PROBE_PAUSE_MS)
    return { failures: circuit.failures + 1, probeAt, isAsked: true }
  }
  return isEndpointFailure(outcome) ? afterFailures(circuit, circuit.failures + 1, now) : CLOSED
}

/** The circuit after a delivery that could not be attempted at all, and whose fellows cannot be either: open at once. */
export function afterWithheld(circuit: Circuit, now: number): Circuit {
  return afterFailures(circuit, Math.max(circuit.failures + 1, OPENS_AFTER), now)
}

function afterFailures(circuit: Circuit, failures: number, now: number): Circuit {
  // Before the probe it can only be what was under way when the circuit opened, and says nothing new: many that time out
  // together would else put the first probe off by a minute.
  if (circuit.probeAt !== undefined && now < circuit.probeAt) return circuit
  if (failures < OPENS_AFTER) return { failures, probeAt: undefined }
  const pauseMs = Math.min(FIRST_PROBE_AFTER_MS * 2 ** (failures - OPENS_AFTER), LONGEST_PROBE_PAUSE_MS)
  return { failures, probeAt: now + pauseMs }
}

/** An endpoint that answers 4xx is up and does not like this event; one that says 429 or 5xx, or nothing, is not well. */
function isEndpointFailure(outcome: AttemptOutcome): boolean {
  switch (outcome.kind) {
    case 'unreachable':
      return outcome.error !== 'aborted'
    case 'rejected':
      return outcome.status === 429 || outcome.status >= 500
    case 'delivered':
    case 'gone':
    case 'undeliverable':
      return false
    default:
      return outcome satisfies never
  }
}
