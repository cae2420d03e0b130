/** Sends a test to a subscription and waits for its outcome, for as long as a person would. No connection is held meanwhile. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Queryable } from './store/database.ts'
import { readTest, sendTest, type TestOutcome } from './store/test-events.ts'

const LOOK_EVERY_MS = 50

export interface TestWait {
  readonly waitMs: number
  /** Ends the waiting, not the test. */
  readonly signal?: AbortSignal
}

/**
 * Undefined where there is no such subscription. Without an `attempt` in it, the test is still under way. Errors: Postgres's 22023 of
 * column state, where the subscription is not active.
 */
export async function testSubscription(
  db: Queryable,
  subscriptionId: string,
  tenant: string | null,
  { waitMs, signal }: TestWait,
): Promise<TestOutcome | undefined> {
  const sent = await sendTest(db, subscriptionId, tenant)
  if (sent === undefined) return undefined
  const until = performance.now() + waitMs
  for (;;) {
    const outcome = await readTest(db, sent.deliveryId)
    const isOver = outcome === undefined || outcome.attempt !== null || outcome.state !== 'pending'
    if (isOver || performance.now() >= until || signal?.aborted === true) return outcome
    await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined)
  }
}
