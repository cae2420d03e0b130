/**
 * Counters of deliveries as they end, by subscription and minute: what the statistics are made of. Pure. The buckets are
 * those of `walhook.latency_bound`: the first holds what took less than 1 ms, and each is wider by the square root of 2.
 */

/** Three days; what took longer is in the last. */
const LAST_BUCKET = 56
const MINUTE_MS = 60_000

/** What one attempt came to, once it is recorded. */
export interface CountedAttempt {
  readonly subscriptionId: string
  readonly state: 'delivered' | 'pending' | 'dead'
  readonly durationMs: number
  /** From the event's commit; undefined where that says nothing of us: resent, replayed, delayed on purpose. */
  readonly sinceCommitMs: number | undefined
}

/** Of one subscription in one minute. Mutable: it is added to thousands of times a second. */
export interface MinuteCounts {
  readonly subscriptionId: string
  /** Unix milliseconds. */
  readonly minuteAt: number
  attempts: number
  failedAttempts: number
  delivered: number
  dead: number
  cancelled: number
  readonly attemptBuckets: number[]
  readonly deliveredBuckets: number[]
  firstDeliveredAt: number | undefined
  lastDeliveredAt: number | undefined
}

export class DeliveryCounts {
  #minutes = new Map<string, MinuteCounts>()

  get size(): number {
    return this.#minutes.size
  }

  /** `at` in unix milliseconds. */
  addAttempt({ subscriptionId, state, durationMs, sinceCommitMs }: CountedAttempt, at: number): void {
    const counts = this.#of(subscriptionId, at)
    counts.attempts++
    addTo(counts.attemptBuckets, bucketOf(durationMs))
    if (state !== 'delivered') {
      counts.failedAttempts++
      if (state === 'dead') counts.dead++
      return
    }
    counts.delivered++
    counts.firstDeliveredAt ??= at
    counts.lastDeliveredAt = at
    if (sinceCommitMs !== undefined) addTo(counts.deliveredBuckets, bucketOf(sinceCommitMs))
  }

  /** A delivery that ended without an attempt. */
  addEnded(subscriptionId: string, state: 'dead' | 'cancelled', at: number): void {
    this.#of(subscriptionId, at)[state]++
  }

  /** Everything so far, which is then no longer here. */
  take(): readonly MinuteCounts[] {
    const taken = [...this.#minutes.values()]
    this.#minutes = new Map()
    return taken
  }

  /** What could not be written. */
  putBack(counts: readonly MinuteCounts[]): void {
    for (const each of counts) {
      const kept = this.#of(each.subscriptionId, each.minuteAt)
      kept.attempts += each.attempts
      kept.failedAttempts += each.failedAttempts
      kept.delivered += each.delivered
      kept.dead += each.dead
      kept.cancelled += each.cancelled
      for (const [bucket, count] of each.attemptBuckets.entries()) addTo(kept.attemptBuckets, bucket, count)
      for (const [bucket, count] of each.deliveredBuckets.entries())
        addTo(kept.deliveredBuckets, bucket, count)
      kept.firstDeliveredAt = each.firstDeliveredAt ?? kept.firstDeliveredAt
      kept.lastDeliveredAt ??= each.lastDeliveredAt
    }
  }

  #of(subscriptionId: string, at: number): MinuteCounts {
    const minuteAt = Math.floor(at / MINUTE_MS) * MINUTE_MS
    const key = `${subscriptionId} ${minuteAt}`
    let counts = this.#minutes.get(key)
    if (counts === undefined) {
      counts = {
        subscriptionId,
        minuteAt,
        attempts: 0,
        failedAttempts: 0,
        delivered: 0,
        dead: 0,
        cancelled: 0,
        attemptBuckets: [],
        deliveredBuckets: [],
        firstDeliveredAt: undefined,
        lastDeliveredAt: undefined,
      }
      this.#minutes.set(key, counts)
    }
    return counts
  }
}

export function bucketOf(ms: number): number {
  if (!(ms >= 1)) return 0
  return Math.min(LAST_BUCKET, Math.floor(2 * Math.log2(ms)) + 1)
}

/** No holes: they would be null in JSON. */
function addTo(buckets: number[], bucket: number, count = 1): void {
  while (buckets.length <= bucket) buckets.push(0)
  buckets[bucket] = (buckets[bucket] ?? 0) + count
}
