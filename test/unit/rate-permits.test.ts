/** Permits as a process takes them: what it asks the database for, and when. */
import { describe, expect, test } from 'vitest'
import type { RateLimit } from '../../src/core/subscription.ts'
import { type PermitGrant, type PermitWish, RatePermits } from '../../src/delivery/rate-permits.ts'

const RATE: RateLimit = { perSecond: 50, burst: 50 }

class Stage {
  readonly asked: (readonly PermitWish[])[] = []
  readonly changed: string[] = []
  readonly errors: unknown[] = []
  now = 0
  answer: (wish: PermitWish) => PermitGrant | Error = ({ subscriptionId, want }) => ({
    subscriptionId,
    granted: want,
    againInMs: 0,
  })
  readonly permits = new RatePermits({
    reserve: async (wishes) => {
      this.asked.push(wishes)
      return wishes.map((wish) => {
        const grant = this.answer(wish)
        if (grant instanceof Error) throw grant
        return grant
      })
    },
    onChanged: (subscriptionId) => void this.changed.push(subscriptionId),
    onError: (error) => void this.errors.push(error),
    now: () => this.now,
  })

  /** Whether it may go. */
  take(subscriptionId: string, waiting = 1_000): boolean {
    return this.permits.take(subscriptionId, RATE, waiting) === undefined
  }

  async answered(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('permits', () => {
  test('are asked for in one statement for all, a fifth of a second of each, and no more than what waits', async () => {
    const stage = new Stage()
    expect([stage.take('a'), stage.take('b', 3), stage.take('a')]).toEqual([false, false, false])
    await stage.answered()
    expect(stage.asked).toEqual([
      [
        { subscriptionId: 'a', rate: RATE, want: 10 },
        { subscriptionId: 'b', rate: RATE, want: 3 },
      ],
    ])
    expect(stage.changed).toEqual(['a', 'b'])
    expect(Array.from({ length: 11 }, () => stage.take('a')).filter(Boolean)).toHaveLength(10)
  })

  test('that were not used soon are given up', async () => {
    const stage = new Stage()
    stage.take('a')
    await stage.answered()
    stage.now = 400
    expect(stage.take('a')).toBe(false)
    expect(stage.take('a')).toBe(false)
    await stage.answered()
    expect(stage.asked).toHaveLength(2)
    expect(stage.take('a')).toBe(true)
  })

  test('that there are none of are not asked for again before there are', async () => {
    const stage = new Stage()
    stage.answer = ({ subscriptionId }) => ({ subscriptionId, granted: 0, againInMs: 300 })
    stage.take('a')
    await stage.answered()
    stage.now = 100
    expect(stage.permits.take('a', RATE, 1)).toBe(300)
    expect(stage.asked).toHaveLength(1)
    stage.now = 300
    stage.take('a')
    await stage.answered()
    expect(stage.asked).toHaveLength(2)
  })

  test('cannot be had while the database is away, which is told, and are asked for again after a second', async () => {
    const stage = new Stage()
    stage.answer = () => new Error('away')
    stage.take('a')
    await stage.answered()
    expect(stage.errors).toHaveLength(1)
    expect(stage.permits.take('a', RATE, 1)).toBe(1_000)
    expect(stage.changed).toEqual(['a'])
  })
})
