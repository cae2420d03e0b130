/**
 * How many requests an endpoint may have in flight at one time: it grows while the endpoint keeps up, and shrinks when it says
 * 429 or 503, runs into its timeout, or answers ever later. Additive growth and multiplicative shrinking, as TCP has it, so that
 * several replicas that cannot see each other share one endpoint fairly.
 */
import type { AttemptOutcome } from './attempt-outcome.ts'

export interface ConcurrencyWindow {
  /** Requests at one time; only whole ones are made. */
  readonly limit: number
  /** Until it shrinks for the first time it grows with each success, and afterwards by one for each window's worth. */
  readonly hasShrunk: boolean
  /** Requests that began earlier say nothing new: they met the window that was too wide. In the caller's milliseconds. */
  readonly shrunkAt: number
  /** The fastest answers, forgotten slowly; undefined before the first. */
  readonly baselineMs: number | undefined
  /** Recent answers, smoothed. */
  readonly recentMs: number
}

/** What a stranger gets, and a backlog that begins to flow again: nothing is poured over an endpoint that has just come back. */
export const FIRST_WINDOW: ConcurrencyWindow = {
  limit: 8,
  hasShrunk: false,
  shrunkAt: -Infinity,
  baselineMs: undefined,
  recentMs: 0,
}

export interface Sample {
  readonly outcome: AttemptOutcome
  readonly startedAt: number
  readonly now: number
  /** Whether all of the window was in use: else it has not been tried whether more would go. */
  readonly wasFull: boolean
}

const LARGEST = 10_000
const SHRINK_WHEN_REFUSED = 0.5
const SHRINK_WHEN_SLOW = 0.8
/** Answers are late when they take so many times the baseline, and so much on top: a few busy moments of ours are no sign. */
const LATE_FACTOR = 3
const LATE_BEYOND_MS = 250
const BASELINE_RISES_BY = 0.005
const RECENT_WEIGHT = 0.2

export function afterSample(window: ConcurrencyWindow, sample: Sample): ConcurrencyWindow {
  if (isOverload(sample.outcome)) return shrunk(window, SHRINK_WHEN_REFUSED, sample)
  if (sample.outcome.kind === 'unreachable') return window
  const timed = withLatency(window, sample.now - sample.startedAt)
  if (isLate(timed)) return shrunk(timed, SHRINK_WHEN_SLOW, sample)
  if (!sample.wasFull) return timed
  const growth = timed.hasShrunk ? 1 / timed.limit : 1
  return { ...timed, limit: Math.min(LARGEST, timed.limit + growth) }
}

function shrunk(window: ConcurrencyWindow, factor: number, { startedAt, now }: Sample): ConcurrencyWindow {
  if (startedAt < window.shrunkAt) return window
  return { ...window, limit: Math.max(1, window.limit * factor), hasShrunk: true, shrunkAt: now }
}

function withLatency(window: ConcurrencyWindow, latencyMs: number): ConcurrencyWindow {
  const { baselineMs = latencyMs, recentMs } = window
  return {
    ...window,
    baselineMs: Math.min(latencyMs, baselineMs + (latencyMs - baselineMs) * BASELINE_RISES_BY),
    recentMs: window.baselineMs === undefined ? latencyMs : recentMs + (latencyMs - recentMs) * RECENT_WEIGHT,
  }
}

function isLate({ baselineMs = 0, recentMs }: ConcurrencyWindow): boolean {
  return recentMs > baselineMs * LATE_FACTOR + LATE_BEYOND_MS
}

/** It says that this is too much, or has no time to say anything. */
function isOverload(outcome: AttemptOutcome): boolean {
  if (outcome.kind === 'rejected') return outcome.status === 429 || outcome.status === 503
  return outcome.kind === 'unreachable' && outcome.error === 'timeout'
}
