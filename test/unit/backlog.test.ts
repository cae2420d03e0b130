/** What waits in the database comes into memory: as far as there is room, fairly, and without being told twice. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Backlog } from '../../src/delivery/backlog.ts'
import { type HeldDelivery, LEASE_MS } from '../../src/delivery/held-delivery.ts'
import type { ClaimedDelivery, ClaimRequest } from '../../src/store/held-deliveries.ts'
import { aHeldDelivery } from './a-held-delivery.ts'

// The loop is about time itself: here it passes when the test says so.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: 0 }))
afterEach(() => void vi.useRealTimers())

const LOWEST = '00000000-0000-0000-0000-000000000000'
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

function waitingDelivery(subscriptionId: string, changes: Partial<ClaimedDelivery> = {}): ClaimedDelivery {
  const { id, event, heldUntil } = aHeldDelivery(subscriptionId)
  return {
    id,
    subscriptionId,
    attempts: 0,
    scheduleFrom: 0,
    batch: undefined,
    heldUntil,
    event,
    hadNoJob: false,
    isOrdered: false,
    ageMs: 10,
    isFirstTime: true,
    isExpired: false,
    ...changes,
  }
}

/** A database in which deliveries wait, a dispatcher with room, and the loop between them. */
class Stage implements AsyncDisposable {
  readonly waiting = new Map<string, ClaimedDelivery[]>()
  readonly claims: ClaimRequest[] = []
  readonly looks: { at: number; cursor: string; limit: number }[] = []
  readonly offered: HeldDelivery[] = []
  readonly abandoned: ClaimedDelivery[] = []
  readonly postponed: ClaimedDelivery[] = []
  readonly expired: HeldDelivery[] = []
  readonly errors: unknown[] = []
  readonly roomFor = new Map<string, number>()
  readonly resumesAt = new Map<string, number>()
  unsettled = new Set<string>()
  room = 1_000
  failing: Error | undefined
  /** What happens between the claim's snapshot and its answer. */
  duringClaim = (): void => undefined
  found: { subscriptionIds: readonly string[]; cursor: string | undefined } | undefined
  readonly #stopping = new AbortController()
  readonly backlog = new Backlog({
    findWaiting: async (cursor, limit) => {
      this.looks.push({ at: Date.now(), cursor, limit })
      if (this.failing !== undefined) throw this.failing
      return this.found ?? { subscriptionIds: [...this.waiting.keys()], cursor: undefined }
    },
    queueUp: async () => new Set(),
    claim: async (request) => {
      this.claims.push(request)
      if (this.failing !== undefined) throw this.failing
      const claimed = this.#claim(request)
      this.duringClaim()
      return claimed
    },
    abandon: async (deliveries) => void this.abandoned.push(...deliveries),
    postpone: async (deliveries) => void this.postponed.push(...deliveries),
    expire: async (deliveries) => void this.expired.push(...deliveries),
    dispatcher: this.#dispatcher(),
    unsettled: () => this.unsettled,
    onJobsLost: () => undefined,
    onError: (error) => void this.errors.push(error),
    now: () => Date.now(),
  })
  readonly running: Promise<void>

  /** `waiting` is there before the loop begins. */
  constructor(waiting: Readonly<Record<string, number>> = {}) {
    for (const [id, count] of Object.entries(waiting)) this.add(id, count)
    this.running = this.backlog.run(this.#stopping.signal)
  }

  add(subscriptionId: string, count: number, changes: Partial<ClaimedDelivery> = {}): void {
    const more = Array.from({ length: count }, () => waitingDelivery(subscriptionId, changes))
    this.waiting.set(subscriptionId, [...(this.waiting.get(subscriptionId) ?? []), ...more])
  }

  offeredTo(subscriptionId: string): number {
    return this.offered.filter((delivery) => delivery.subscriptionId === subscriptionId).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.running
  }

  #claim(request: ClaimRequest): readonly ClaimedDelivery[] {
    const claimed: ClaimedDelivery[] = []
    for (const [id, room] of request.room) {
      const queue = this.waiting.get(id) ?? []
      const taken = queue.splice(0, Math.min(room, request.limit - claimed.length))
      claimed.push(...taken)
      if (queue.length === 0) this.waiting.delete(id)
    }
    return claimed
  }

  /** Deliveries are attempted as soon as they come: room is what the test says it is. */
  #dispatcher() {
    const room = (): number => this.room
    return {
      get room(): number {
        return room()
      },
      roomBytes: 4_096,
      roomFor: (id: string) => this.roomFor.get(id) ?? 10,
      resumesAt: (id: string) => this.resumesAt.get(id),
      offer: (deliveries: readonly HeldDelivery[]) => void this.offered.push(...deliveries),
    }
  }
}

test('what waits is claimed as soon as it is known of, under a lease from before it was asked for', async () => {
  await using stage = new Stage()
  await pass(500)
  stage.add('a', 1, { id: '77', attempts: 3, scheduleFrom: 2, heldUntil: 'then' })
  stage.backlog.expect(['a'])
  await pass(0)
  expect(stage.offered).toMatchObject([
    {
      id: '77',
      subscriptionId: 'a',
      attempt: 4,
      scheduleFrom: 2,
      heldUntil: 'then',
      leaseEndsAt: 500 + LEASE_MS,
      event: { type: 'order.created' },
    },
  ])
})

test('what this process was not told of is found at the start, and within a second later on', async () => {
  await using stage = new Stage({ a: 1 })
  await pass(0)
  expect(stage.offeredTo('a')).toBe(1)
  await pass(100)
  stage.add('b', 2)
  await pass(1_000)
  expect(stage.offeredTo('b')).toBe(2)
})

test('a table with many subscriptions is looked through in turns, and from the beginning again', async () => {
  await using stage = new Stage()
  stage.found = { subscriptionIds: [], cursor: 'middle' }
  await pass(1_000)
  stage.found = { subscriptionIds: [], cursor: undefined }
  await pass(2_000)
  expect(stage.looks.map(({ cursor }) => cursor)).toEqual(
    [LOWEST, LOWEST, 'middle', LOWEST].slice(-stage.looks.length),
  )
  expect(new Set(stage.looks.map(({ limit }) => limit))).toEqual(new Set([2_000]))
})

describe('a claim', () => {
  test('asks for what each subscription has room for, and for no more than there is room', async () => {
    await using stage = new Stage()
    await pass(1)
    stage.room = 25
    stage.roomFor.set('a', 7).set('b', 0).set('c', 5_000)
    stage.backlog.expect(['a', 'b', 'c'])
    await pass(0)
    expect(stage.claims[0]).toMatchObject({ limit: 25, limitBytes: 4_096, leaseMs: LEASE_MS })
    expect(stage.claims[0]?.room).toEqual(
      new Map([
        ['a', 7],
        ['c', 1_000],
      ]),
    )
  })

  test('never asks for what this process has an outcome of', async () => {
    await using stage = new Stage()
    stage.unsettled = new Set(['7', '8'])
    stage.backlog.expect(['a'])
    await pass(0)
    expect(stage.claims[0]?.unsettled).toEqual(['7', '8'])
  })

  test('is followed by another until nothing is left', async () => {
    await using stage = new Stage({ a: 45 })
    await pass(0)
    expect(stage.offeredTo('a')).toBe(45)
    expect(stage.claims.length).toBeLessThanOrEqual(6)
  })

  test('is not made for a subscription that has nothing more, until it is known to', async () => {
    await using stage = new Stage({ a: 3 })
    await pass(0)
    const claims = stage.claims.length
    await pass(900)
    stage.backlog.roomFor('a')
    await pass(0)
    expect(stage.claims).toHaveLength(claims)
    stage.add('a', 1)
    stage.backlog.expect(['a'])
    await pass(0)
    expect(stage.offeredTo('a')).toBe(4)
  })

  test('is made again at once for what it was told of while one was under way, too early to see it', async () => {
    await using stage = new Stage({ a: 1 })
    stage.duringClaim = () => {
      stage.duringClaim = () => undefined
      stage.add('a', 1)
      stage.backlog.expect(['a'])
    }
    await pass(1)
    expect(stage.offeredTo('a')).toBe(2)
  })

  test('is not made while nothing has room, and is as soon as something has', async () => {
    await using stage = new Stage()
    await pass(1)
    stage.roomFor.set('a', 0)
    stage.add('a', 1)
    stage.backlog.expect(['a'])
    await pass(500)
    expect(stage.claims).toEqual([])
    stage.roomFor.set('a', 1)
    stage.backlog.roomFor('a')
    await pass(0)
    expect(stage.offeredTo('a')).toBe(1)
  })

  test('is not made while the dispatcher is full', async () => {
    await using stage = new Stage({ a: 1 })
    stage.room = 0
    await pass(700)
    expect(stage.claims).toEqual([])
    stage.room = 1
    stage.backlog.roomFor('a')
    await pass(0)
    expect(stage.offeredTo('a')).toBe(1)
  })

  test('gives everyone a turn where not everyone can be served at once', async () => {
    await using stage = new Stage()
    await pass(1)
    stage.room = 10
    for (const id of ['long', 'b', 'c']) stage.add(id, id === 'long' ? 500 : 10)
    stage.backlog.expect(['long', 'b', 'c'])
    await pass(0)
    const order = stage.offered.map(({ subscriptionId }) => subscriptionId)
    expect(new Set(order.slice(0, 30))).toEqual(new Set(['long', 'b', 'c']))
  })
})

test('a probe is claimed when it is due, and not only at the next look', async () => {
  await using stage = new Stage()
  await pass(1)
  stage.add('a', 1)
  stage.roomFor.set('a', 0)
  stage.resumesAt.set('a', 300)
  stage.backlog.expect(['a'])
  await pass(298)
  stage.roomFor.set('a', 1)
  expect(stage.offeredTo('a')).toBe(0)
  await pass(1)
  expect(stage.offeredTo('a')).toBe(1)
})

describe('a delivery whose event cannot be read', () => {
  test.each([
    ['put off while it is young: it may come to be seen', 59_999, 'postponed'],
    ['a dead letter when it is old: its event was deleted', 60_000, 'abandoned'],
  ] as const)('is %s', async (_what, ageMs, fate) => {
    await using stage = new Stage()
    stage.add('a', 1, { id: '5', event: undefined, ageMs })
    stage.add('a', 1, { id: '6' })
    stage.backlog.expect(['a'])
    await pass(0)
    const fates = {
      postponed: stage.postponed.map(({ id }) => id),
      abandoned: stage.abandoned.map(({ id }) => id),
    }
    expect(fates).toEqual({ postponed: [], abandoned: [], [fate]: ['5'] })
    expect(stage.offered.map(({ id }) => id)).toEqual(['6'])
  })
})

test('a delivery whose event came too late is set aside, and not offered', async () => {
  await using stage = new Stage()
  await pass(1)
  stage.add('a', 1, { id: '5', isExpired: true })
  stage.add('a', 1, { id: '6' })
  stage.backlog.expect(['a'])
  await pass(0)
  expect(stage.expired.map(({ id }) => id)).toEqual(['5'])
  expect(stage.offered.map(({ id }) => id)).toEqual(['6'])
})

describe('while the database is away', () => {
  test('it is told, left alone for seconds, and asked again', async () => {
    await using stage = new Stage()
    await pass(1)
    const away = new Error('away')
    stage.failing = away
    stage.add('a', 1)
    stage.backlog.expect(['a'])
    await pass(2_900)
    expect(stage.errors).toEqual([away])
    stage.failing = undefined
    await pass(200)
    // It is back, and every replica has its outcomes to record first.
    expect(stage.offeredTo('a')).toBe(0)
    await pass(3_000)
    expect(stage.offeredTo('a')).toBe(1)
    expect(stage.errors).toEqual([away])
  })
})

test.each([
  ['it waits for something to do', undefined],
  ['the database is away', new Error('away')],
])('a stop ends it at once while %s', async (_what, failing) => {
  const stage = new Stage()
  stage.failing = failing
  await pass(1_500)
  const looks = stage.looks.length
  await stage[Symbol.asyncDispose]()
  await pass(10_000)
  expect(stage.looks).toHaveLength(looks)
})
