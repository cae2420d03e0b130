/** What an attempt reads of its subscription, and how seldom the database is asked for it. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Subscription } from '../../src/core/subscription.ts'
import { SubscriptionCache } from '../../src/delivery/subscription-cache.ts'
import { aSubscription } from './a-subscription.ts'

// The pause after an error is time itself: here it passes when the test says so.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }))
afterEach(() => void vi.useRealTimers())

function subscription(id: string, url = 'https://example.com/hook'): Subscription {
  return aSubscription({ id, url })
}

/** A table of subscriptions, and what was asked of it. */
class Stage {
  readonly asked: (readonly string[])[] = []
  readonly errors: unknown[] = []
  readonly stopping = new AbortController()
  readonly table = new Map<string, Subscription>()
  failing: Error | undefined
  /** Where set, a load waits for it. */
  gate: Promise<void> | undefined
  readonly cache = new SubscriptionCache({
    load: async (ids) => {
      this.asked.push(ids)
      await this.gate
      if (this.failing !== undefined) throw this.failing
      return ids.flatMap((id) => this.table.get(id) ?? [])
    },
    onError: (error) => void this.errors.push(error),
    signal: this.stopping.signal,
    now: () => Date.now(),
  })

  constructor(...ids: readonly string[]) {
    for (const id of ids) this.table.set(id, subscription(id))
  }

  get(id: string, withinMs = 60_000): Promise<Subscription | undefined> {
    return this.cache.get(id, Date.now() + withinMs)
  }
}

test('attempts that start together share one statement', async () => {
  const stage = new Stage('a', 'b')
  const found = await Promise.all([stage.get('a'), stage.get('b'), stage.get('a'), stage.get('b')])
  expect(found.map((each) => each?.id)).toEqual(['a', 'b', 'a', 'b'])
  expect(stage.asked).toEqual([['a', 'b']])
})

test('what comes while a statement is under way is asked for after it, once', async () => {
  const stage = new Stage('a', 'b')
  const gate = Promise.withResolvers<void>()
  stage.gate = gate.promise
  const first = stage.get('a')
  await vi.advanceTimersByTimeAsync(0)
  const others = [stage.get('b'), stage.get('b')]
  await vi.advanceTimersByTimeAsync(0)
  expect(stage.asked).toEqual([['a']])
  gate.resolve()
  expect((await Promise.all([first, ...others])).map((each) => each?.id)).toEqual(['a', 'b', 'b'])
  expect(stage.asked).toEqual([['a'], ['b']])
})

test('what was read serves for a second, and a change is seen after it', async () => {
  const stage = new Stage('a')
  await stage.get('a')
  stage.table.set('a', subscription('a', 'https://example.com/changed'))
  await vi.advanceTimersByTimeAsync(999)
  expect(await stage.get('a')).toMatchObject({ url: 'https://example.com/hook' })
  expect(stage.asked).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(1)
  expect(await stage.get('a')).toMatchObject({ url: 'https://example.com/changed' })
  expect(stage.asked).toHaveLength(2)
})

test('one that was deleted is told as such, and not asked for at each attempt', async () => {
  const stage = new Stage()
  expect(await stage.get('gone')).toBeUndefined()
  expect(await stage.get('gone')).toBeUndefined()
  expect(stage.asked).toEqual([['gone']])
})

describe('while the database is away', () => {
  test('an attempt waits until its subscription can be read', async () => {
    const stage = new Stage('a')
    stage.failing = new Error('away')
    const found = stage.get('a')
    await vi.advanceTimersByTimeAsync(600)
    expect(stage.errors.length).toBeGreaterThan(1)
    expect(stage.errors.length).toBeLessThan(5)
    stage.failing = undefined
    await vi.advanceTimersByTimeAsync(300)
    expect((await found)?.id).toBe('a')
  })

  test('an attempt is not made where its deadline passes first', async () => {
    const stage = new Stage('a')
    stage.failing = new Error('away')
    const found = stage.get('a', 1_000)
    await vi.advanceTimersByTimeAsync(1_500)
    expect(await found).toBeUndefined()
    const asked = stage.asked.length
    await vi.advanceTimersByTimeAsync(5_000)
    expect(stage.asked).toHaveLength(asked)
  })

  test('a stop ends the wait at once', async () => {
    const stage = new Stage('a')
    stage.failing = new Error('away')
    const found = stage.get('a')
    await vi.advanceTimersByTimeAsync(10)
    stage.stopping.abort()
    await vi.advanceTimersByTimeAsync(0)
    expect(await found).toBeUndefined()
  })
})

test('a deadline that has passed already asks nothing', async () => {
  const stage = new Stage('a')
  expect(await stage.get('a', 0)).toBeUndefined()
  expect(stage.asked).toEqual([])
})

test('a database that takes longer than an entry is young is asked once an attempt, not until the deadline', async () => {
  const stage = new Stage('a')
  const gate = Promise.withResolvers<void>()
  stage.gate = gate.promise
  const found = stage.get('a')
  await vi.advanceTimersByTimeAsync(5_000)
  gate.resolve()
  expect((await found)?.id).toBe('a')
  expect(stage.asked).toEqual([['a']])
})
