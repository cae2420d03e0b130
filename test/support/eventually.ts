/**
 * Waiting for what must become true, in place of sleeping. A deadline that passes shows the last reason why it was not.
 */
import { setTimeout as delay } from 'node:timers/promises'

export interface Patience {
  /** Default 10 s: generous, since nothing waits longer than it must. */
  readonly withinMs?: number
  readonly everyMs?: number
}

/** Runs `assertion` until it neither throws nor rejects; resolves to what it returned. */
export async function eventually<T>(assertion: () => T | Promise<T>, patience: Patience = {}): Promise<T> {
  const { withinMs = 10_000, everyMs = 20 } = patience
  const deadline = performance.now() + withinMs
  let lastError: unknown = new Error('the first try did not end')
  for (;;) {
    const leftMs = deadline - performance.now()
    const attempt = Promise.resolve()
      .then(assertion)
      .then(
        (value) => ({ held: true, value }) as const,
        (error: unknown) => ({ held: false, error }) as const,
      )
    const result = await orTimeout(attempt, Math.max(leftMs, 1))
    if (result === 'timeout') break
    if (result.held) return result.value
    lastError = result.error
    if (performance.now() + everyMs >= deadline) break
    await delay(everyMs)
  }
  const reason = lastError instanceof Error ? lastError.message : String(lastError)
  throw new Error(`not so within ${withinMs} ms: ${reason}`, { cause: lastError })
}

/** `promise`, or `'timeout'` where it takes longer. Leaves no timer behind. */
export async function orTimeout<T>(promise: Promise<T>, ms: number): Promise<T | 'timeout'> {
  const timer = new AbortController()
  try {
    return await Promise.race([promise, delay(ms, 'timeout' as const, { signal: timer.signal })])
  } finally {
    timer.abort()
  }
}
