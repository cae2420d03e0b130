/**
 * What follows an attempt: the one place where a retry is decided. Ours and not pg-boss's, because a list of delays
 * and `Retry-After` are not things that it can express.
 */
import type { AttemptOutcome } from './attempt-outcome.ts'

export interface RetryPolicy {
  /** Delays between attempts: the first stands between attempts 1 and 2. */
  readonly delaysMs: readonly number[]
  readonly retryOn: 'any' | 'transient'
}

export type NextStep =
  | { readonly kind: 'complete' }
  | { readonly kind: 'retry'; readonly afterMs: number }
  | {
      readonly kind: 'dead'
      readonly reason: 'exhausted' | 'not_transient' | 'gone' | 'undeliverable' | 'aborted_by_endpoint'
    }

/** Each delay varies by this share, so that what failed together does not come back together. */
export const JITTER = 0.2

/** Decides what follows attempt number `attempt` of the schedule (the first is 1). `random` is in [0, 1). */
export function nextStep(
  policy: RetryPolicy,
  attempt: number,
  outcome: AttemptOutcome,
  random: number,
): NextStep {
  switch (outcome.kind) {
    case 'delivered':
      return { kind: 'complete' }
    case 'gone':
      return { kind: 'dead', reason: 'gone' }
    case 'undeliverable':
      return { kind: 'dead', reason: 'undeliverable' }
    case 'rejected':
    case 'unreachable':
      break
    default:
      return outcome satisfies never
  }
  if (outcome.kind === 'rejected' && outcome.isAborted === true)
    return { kind: 'dead', reason: 'aborted_by_endpoint' }
  if (policy.retryOn === 'transient' && !isTransientFailure(outcome))
    return { kind: 'dead', reason: 'not_transient' }

  const delayMs = policy.delaysMs[attempt - 1]
  if (delayMs === undefined) return { kind: 'dead', reason: 'exhausted' }

  const jitteredMs = delayMs * (1 - JITTER + 2 * JITTER * random)
  const patient = withinPatience(policy, outcome)
  const askedMs = patient.kind === 'rejected' ? (patient.retryAfterMs ?? 0) : 0
  return { kind: 'retry', afterMs: Math.round(Math.max(jitteredMs, askedMs)) }
}

/** What an endpoint asks for with `Retry-After` is given up to the schedule's longest delay. */
export function withinPatience(policy: RetryPolicy, outcome: AttemptOutcome): AttemptOutcome {
  if (outcome.kind !== 'rejected' || outcome.retryAfterMs === undefined) return outcome
  return { ...outcome, retryAfterMs: Math.min(outcome.retryAfterMs, Math.max(0, ...policy.delaysMs)) }
}

/** Failures of the network and of the moment: 408, 425, 429 and 5xx among the statuses. */
function isTransientFailure(outcome: Extract<AttemptOutcome, { kind: 'rejected' | 'unreachable' }>): boolean {
  if (outcome.kind === 'unreachable') return true
  return [408, 425, 429].includes(outcome.status) || outcome.status >= 500
}
