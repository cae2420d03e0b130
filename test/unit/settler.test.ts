/** Outcomes on their way into a database that is slow, away, or refuses one of them. */
import { describe, expect, test, vi } from 'vitest'
import { type Outcome, Settler } from '../../src/delivery/settler.ts'
import type { SettledDelivery, Settlement } from '../../src/store/settlement.ts'
import { eventually } from '../support/eventually.ts'
import { aHeldDelivery } from './a-held-delivery.ts'

const BATCH = 500
const ENOUGH = 5_000
const AWAY = new Error('the database is away')
const REFUSED = new Error('refused for what is in it')

interface Flush {
  readonly ids: readonly string[]
  /** Settles all of them, or those of `ids`. */
  accept(ids?: readonly string[]): void
  reject(error: Error): void
}

/** A settler, and transactions that end when the test says so. */
class Stage {
  readonly flushes: Flush[] = []
  readonly told: { id: string; attempts: number | undefined }[] = []
  readonly errors: { error: unknown; outcomes: number }[] = []
  drained = 0
  /** Answers without being asked, once set. */
  script: ((ids: readonly string[]) => readonly string[]) | undefined
  readonly settler = new Settler({
    settle: (settlements) => this.#settle(settlements.map(({ deliveryId }) => deliveryId)),
    isTransient: (error) => error === AWAY,
    onSettled: ({ settlement }, settled) =>
      void this.told.push({ id: settlement.deliveryId, attempts: settled?.attempts }),
    onError: (error, outcomes) => void this.errors.push({ error, outcomes }),
    onDrained: () => void this.drained++,
  })

  record(...ids: readonly string[]): void {
    for (const id of ids) this.#record(outcome(id))
  }

  /** An attempt that failed: the delivery is to be attempted again. */
  recordFailure(id: string): void {
    const { settlement, delivery } = outcome(id)
    this.#record({
      settlement: { ...settlement, state: 'pending', status: 500, retryAfterMs: 5_000 },
      delivery,
    })
  }

  #record({ settlement, delivery }: Outcome): void {
    this.settler.record(settlement, delivery)
  }

  /** Ids that were told as settled. */
  get settled(): readonly string[] {
    return this.told.map(({ id }) => id)
  }

  nextFlush(number: number): Promise<Flush> {
    return eventually(
      () => {
        const flush = this.flushes[number - 1]
        if (flush === undefined) throw new Error(`${this.flushes.length} flushes`)
        return flush
      },
      { everyMs: 2 },
    )
  }

  #settle(ids: readonly string[]): Promise<readonly SettledDelivery[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly SettledDelivery[]>()
    const accept = (accepted: readonly string[] = ids): void =>
      resolve(accepted.map((id) => ({ id, attempts: 1, nextAttemptAt: null, letsGoOn: false })))
    this.flushes.push({ ids, accept, reject })
    if (this.script !== undefined) {
      try {
        accept(this.script(ids))
      } catch (error) {
        reject(error)
      }
    }
    return promise
  }
}

function outcome(id: string): Outcome {
  const settlement: Settlement = {
    deliveryId: id,
    subscriptionId: 'a',
    heldUntil: '2026-11-22 15:31:09.123456+00',
    state: 'delivered',
    retryAfterMs: undefined,
    durationMs: 12,
    status: 204,
    error: undefined,
    responseBody: '',
    disables: undefined,
    isOperatorEvent: false,
    batch: undefined,
  }
  return { settlement, delivery: aHeldDelivery('a', { id }) }
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i))
const never = new AbortController().signal

describe.concurrent('recording', () => {
  test('begins at once, and takes what comes meanwhile together', async () => {
    const stage = new Stage()
    stage.record('1')
    stage.record('2', '3')
    expect(stage.flushes.map(({ ids }) => ids)).toEqual([['1']])
    stage.flushes[0]?.accept()
    expect((await stage.nextFlush(2)).ids).toEqual(['2', '3'])
    expect(stage.settled).toEqual(['1'])
    stage.flushes[1]?.accept()
    await stage.settler.drain(never)
    expect(stage.settled).toEqual(['1', '2', '3'])
  })

  test('begins again after it had nothing to do', async () => {
    const stage = new Stage()
    stage.script = (ids) => ids
    for (const id of ['1', '2', '3']) {
      stage.record(id)
      await stage.settler.drain(never)
    }
    expect(stage.settled).toEqual(['1', '2', '3'])
  })

  test('takes no more than a batch at a time, in order, and loses none', async () => {
    const stage = new Stage()
    stage.script = (ids) => ids
    const ids = numbered(2 * BATCH + 7)
    stage.record(...ids)
    await stage.settler.drain(never)
    expect(Math.max(...stage.flushes.map((flush) => flush.ids.length))).toBe(BATCH)
    expect(stage.settled).toEqual(ids)
    expect(stage.settler.unsettled.size).toBe(0)
  })

  test('tells which outcomes were no longer ours to record', async () => {
    const stage = new Stage()
    stage.script = (ids) => ids.filter((id) => id !== '2')
    stage.record('1', '2', '3')
    await stage.settler.drain(never)
    expect(stage.told).toEqual([
      { id: '1', attempts: 1 },
      { id: '2', attempts: undefined },
      { id: '3', attempts: 1 },
    ])
  })
})

describe.concurrent('while the database is away', () => {
  test('every outcome is kept, and tried again until it is recorded', async () => {
    const stage = new Stage()
    stage.record('1')
    stage.flushes[0]?.reject(AWAY)
    stage.record('2')
    const second = await stage.nextFlush(2)
    expect(second.ids).toEqual(['1'])
    expect([...stage.settler.unsettled]).toEqual(['1', '2'])
    second.reject(AWAY)
    const third = await stage.nextFlush(3)
    expect(third.ids).toEqual(['1'])
    expect(stage.told).toEqual([])
    expect(stage.errors).toEqual([
      { error: AWAY, outcomes: 1 },
      { error: AWAY, outcomes: 1 },
    ])
    stage.script = (ids) => ids
    third.accept()
    await stage.settler.drain(never)
    expect(stage.settled).toEqual(['1', '2'])
    expect(stage.settler.unsettled.size).toBe(0)
  })

  test('a batch stays together: nothing in it is at fault', async () => {
    const stage = new Stage()
    stage.record('0')
    stage.record('1', '2', '3')
    stage.flushes[0]?.accept()
    ;(await stage.nextFlush(2)).reject(AWAY)
    const again = await stage.nextFlush(3)
    expect(again.ids).toEqual(['1', '2', '3'])
    again.accept()
    await stage.settler.drain(never)
  })

  test('it says when it has enough, and when there is room again', async () => {
    const stage = new Stage()
    const ids = numbered(ENOUGH)
    // The first is under way, and there is room, while the others come.
    stage.record(...ids.slice(1))
    expect(stage.settler.isFull).toBe(false)
    stage.record('0')
    expect(stage.settler.isFull).toBe(true)
    expect(stage.drained).toBe(0)
    stage.script = (each) => each
    stage.flushes[0]?.accept()
    await stage.settler.drain(never)
    expect(stage.settler.isFull).toBe(false)
    expect(stage.drained).toBe(1)
  })
})

describe.concurrent('an outcome that is refused for what is in it', () => {
  const refusing = (id: string) => (ids: readonly string[]) => {
    if (ids.includes(id)) throw REFUSED
    return ids
  }

  test('is let go after a few tries where it is a failure, and does not take others with it', async () => {
    const stage = new Stage()
    stage.record('0')
    stage.record('1')
    stage.recordFailure('bad')
    stage.record('2')
    stage.script = refusing('bad')
    stage.flushes[0]?.accept()
    await stage.settler.drain(never)
    expect(stage.settled).toEqual(['0', '1', '2'])
    expect(stage.flushes.map(({ ids }) => ids)).toEqual([
      ['0'],
      ['1', 'bad', '2'],
      ['1'],
      ['bad'],
      ['bad'],
      ['bad'],
      ['2'],
    ])
    expect(stage.settler.unsettled.size).toBe(0)
  })

  test('is told with each try', async () => {
    const stage = new Stage()
    stage.script = refusing('bad')
    stage.recordFailure('bad')
    await stage.settler.drain(never)
    expect(stage.errors).toEqual(Array.from({ length: 3 }, () => ({ error: REFUSED, outcomes: 1 })))
    expect(stage.told).toEqual([])
  })

  test('counts only its own refusals: a database that goes away in between uses none up', async () => {
    const stage = new Stage()
    const answers = [REFUSED, AWAY, REFUSED]
    stage.script = (ids) => {
      const error = answers.shift()
      if (error !== undefined) throw error
      return ids
    }
    stage.record('1')
    await stage.settler.drain(never)
    expect(stage.settled).toEqual(['1'])
  })
})

test('a 2xx that is refused is kept and tried again later: the endpoint must not get it twice', async () => {
  const stage = new Stage()
  let isRefused = true
  stage.script = (ids) => {
    if (isRefused && ids.includes('bad')) throw REFUSED
    return ids
  }
  vi.useFakeTimers({ toFake: ['setTimeout'] })
  try {
    stage.record('bad')
    await stage.nextFlush(3)
    await eventually(() => expect(vi.getTimerCount()).toBe(1))
    stage.record('1')
    await stage.nextFlush(4)
    expect(stage.settled).toEqual(['1'])
    expect([...stage.settler.unsettled]).toEqual(['bad'])
    isRefused = false
    vi.advanceTimersByTime(2_000)
  } finally {
    vi.useRealTimers()
  }
  await stage.nextFlush(5)
  await stage.settler.drain(never)
  expect(stage.settled).toEqual(['1', 'bad'])
  expect(stage.settler.unsettled.size).toBe(0)
})

describe.concurrent('draining', () => {
  test('waits for what is under way and for what came after it', async () => {
    const stage = new Stage()
    stage.record('1')
    stage.record('2')
    let isDrained = false
    const draining = stage.settler.drain(never).then(() => (isDrained = true))
    stage.flushes[0]?.accept()
    const second = await stage.nextFlush(2)
    expect(isDrained).toBe(false)
    second.accept()
    await draining
    expect(stage.settled).toEqual(['1', '2'])
  })

  test('has nothing to wait for where nothing was recorded', async () => {
    await expect(new Stage().settler.drain(never)).resolves.toBeUndefined()
  })

  test('ends when it is given up, though the database is still away', async () => {
    const stage = new Stage()
    stage.script = () => {
      throw AWAY
    }
    stage.record('1', '2')
    const giveUp = new AbortController()
    const draining = stage.settler.drain(giveUp.signal)
    await stage.nextFlush(2)
    giveUp.abort()
    await draining
    expect(stage.told).toEqual([])
  })

  test('that was given up before it began tries nothing more', async () => {
    const stage = new Stage()
    stage.record('1', '2')
    const draining = stage.settler.drain(AbortSignal.abort())
    stage.flushes[0]?.reject(AWAY)
    await draining
    expect(stage.flushes).toHaveLength(1)
  })
})
