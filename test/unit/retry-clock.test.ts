/** When the retry queue is asked: in time for what this process knows of, and each second for what it does not. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { RetryClock } from '../../src/delivery/retry-clock.ts'

// The loop is about time itself: here it passes when the test says so.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: START }))
afterEach(() => void vi.useRealTimers())

const START = Date.parse('2026-11-22T15:30:00Z')
const BATCH = 500

type Answer = () => { readonly jobs: number; readonly subscriptionIds: readonly string[] }

class Stage implements AsyncDisposable {
  /** When the queue was asked, in milliseconds from the start. */
  readonly rings: number[] = []
  readonly due: string[][] = []
  readonly errors: unknown[] = []
  answer: () => { jobs: number; subscriptionIds: readonly string[] } = () => ({
    jobs: 0,
    subscriptionIds: [],
  })
  readonly #stopping = new AbortController()
  readonly clock = new RetryClock({
    ring: async (limit) => {
      expect(limit).toBe(BATCH)
      this.rings.push(Date.now() - START)
      return this.answer()
    },
    onDue: (ids) => void this.due.push([...ids]),
    onError: (error) => void this.errors.push(error),
    clock: () => Date.now(),
  })
  readonly running: Promise<void>

  constructor(answer: Answer = () => ({ jobs: 0, subscriptionIds: [] })) {
    this.answer = answer
    this.running = this.clock.run(this.#stopping.signal)
  }

  expectIn(ms: number): void {
    this.clock.expect(new Date(Date.now() + ms))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.running
  }
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

test('the queue is asked at the start and each second from then on', async () => {
  await using stage = new Stage()
  await pass(3_500)
  expect(stage.rings).toEqual([0, 1_000, 2_000, 3_000])
  expect(stage.due).toEqual([])
})

test('a retry that this process recorded rings as soon as it is due, and never only before', async () => {
  await using stage = new Stage()
  await pass(100)
  stage.expectIn(200)
  await pass(300)
  const late = stage.rings.filter((at) => at >= 300)
  expect(late).toHaveLength(1)
  expect(late[0]).toBeLessThanOrEqual(310)
})

test('of several retries the earliest counts, and none waits longer than a second', async () => {
  await using stage = new Stage()
  await pass(10)
  for (const ms of [700, 300, 500]) stage.expectIn(ms)
  await pass(2_000)
  for (const due of [310, 510, 710]) {
    const waitedMs = Math.min(...stage.rings.filter((at) => at >= due)) - due
    expect(waitedMs).toBeLessThanOrEqual(due === 310 ? 10 : 1_000)
  }
})

test('a retry that is due already rings at once', async () => {
  await using stage = new Stage()
  await pass(100)
  stage.expectIn(-5_000)
  await pass(10)
  expect(stage.rings.filter((at) => at >= 100)).toEqual([100])
})

test('whose retries are due is told on, and silence where there are none', async () => {
  await using stage = new Stage(() => ({ jobs: 3, subscriptionIds: ['a', 'b'] }))
  await pass(10)
  stage.answer = () => ({ jobs: 2, subscriptionIds: [] })
  await pass(1_000)
  expect(stage.due).toEqual([['a', 'b']])
})

test('a queue with more than it takes at once is asked again without a pause', async () => {
  let left = 3 * BATCH + 20
  await using stage = new Stage(() => {
    const jobs = Math.min(left, BATCH)
    left -= jobs
    return { jobs, subscriptionIds: ['a'] }
  })
  await pass(10)
  expect(stage.rings).toEqual([0, 0, 0, 0])
  expect(left).toBe(0)
})

test('a queue that cannot be asked is told, and asked again', async () => {
  const away = new Error('away')
  await using stage = new Stage(() => {
    throw away
  })
  await pass(1_500)
  expect(stage.errors).toEqual([away, away])
  stage.answer = () => ({ jobs: 1, subscriptionIds: ['a'] })
  await pass(1_000)
  expect(stage.due).toEqual([['a']])
})

test('a stop ends it at once', async () => {
  const stage = new Stage()
  await pass(100)
  await stage[Symbol.asyncDispose]()
  await pass(5_000)
  expect(stage.rings).toEqual([0])
})
