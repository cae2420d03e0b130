/** One endpoint's share: what it may hold, what it may start, and what its circuit leaves of either. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AttemptOutcome } from '../../src/core/attempt-outcome.ts'
import { OPENS_AFTER } from '../../src/core/circuit.ts'
import { PLAIN } from '../../src/core/subscription.ts'
import { EndpointQueue, type Share, type Turn } from '../../src/delivery/endpoint-queue.ts'
import type { HeldDelivery } from '../../src/delivery/held-delivery.ts'
import { aHeldDelivery } from './a-held-delivery.ts'

const FAILED: AttemptOutcome = { kind: 'unreachable', error: 'timeout' }
const DELIVERED: AttemptOutcome = { kind: 'delivered', status: 204 }
const PLENTY = 1_000_000
const NOW = 5_000
const share: Share = { cap: 64, free: PLENTY, isCrowded: false, now: NOW, permit: () => undefined }

function queueOf(count: number): EndpointQueue {
  const queue = new EndpointQueue('a')
  for (let i = 0; i < count; i++) queue.add(aHeldDelivery('a'))
  return queue
}

function openQueue(): EndpointQueue {
  const queue = new EndpointQueue('a')
  for (let i = 0; i < OPENS_AFTER; i++) queue.attempted(FAILED, 0, NOW)
  return queue
}

function drain(queue: EndpointQueue): void {
  while (queue.take() !== undefined);
}

test('gives back what it was given, in order and once', () => {
  const steps = fc.array(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ kind: fc.constant('add'), count: fc.integer({ min: 1, max: 1_500 }) }),
      },
      {
        weight: 6,
        arbitrary: fc.record({ kind: fc.constant('take'), count: fc.integer({ min: 1, max: 1_500 }) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('takeAll'), count: fc.constant(1) }) },
    ),
    { maxLength: 12 },
  )
  fc.assert(
    fc.property(steps, (program) => {
      const queue = new EndpointQueue('a')
      let model: HeldDelivery[] = []
      for (const { kind, count } of program) {
        for (let i = 0; i < count; i++) {
          if (kind === 'add') {
            const delivery = aHeldDelivery('a')
            queue.add(delivery)
            model.push(delivery)
          } else if (kind === 'take') {
            if (queue.take() !== model.shift()) throw new Error('out of order')
          } else {
            const rest = queue.takeAll()
            if (rest.length !== model.length || rest.some((d, at) => d !== model[at]))
              throw new Error('not the rest')
            model = []
          }
        }
        expect(queue.waiting).toBe(model.length)
      }
    }),
    { numRuns: 30 },
  )
})

describe('what it may hold', () => {
  test.each([
    [0, 0],
    [1, 1],
    [2, 1],
    [3, 2],
    [100, 50],
    [4_095, 2_048],
    [PLENTY, 2_048],
  ])('of %d free places is half of them, up to its window: %d', (free, room) => {
    expect(new EndpointQueue('a').room(free, NOW)).toBe(room)
  })

  test('counts what it has already', () => {
    expect(queueOf(2_000).room(PLENTY, NOW)).toBe(48)
    expect(queueOf(2_048).room(PLENTY, NOW)).toBe(0)
    expect(queueOf(3_000).room(PLENTY, NOW)).toBe(0)
  })

  test('grows when it has emptied its queue', () => {
    const queue = queueOf(2_048)
    drain(queue)
    expect(queue.room(PLENTY, NOW)).toBe(4_096)
  })

  test.each([
    [1, 4_096 - 952],
    [5, 2_048 - 952],
  ])('grows when what fills it is sent within seconds: one each %d ms', (eachMs, room) => {
    const queue = queueOf(3_000)
    for (let i = 0; i < 2_048; i++) queue.turn(PLAIN, { ...share, now: NOW + i * eachMs })
    expect(queue.room(PLENTY, NOW)).toBe(room)
  })

  test('is quick until it has shown otherwise', () => {
    const queue = queueOf(5_000)
    expect(queue.isQuick(NOW)).toBe(true)
    queue.turn(PLAIN, share)
    expect(queue.isQuick(NOW + 999)).toBe(true)
    expect(queue.isQuick(NOW + 1_000)).toBe(false)
  })

  test('shrinks when its leases lapse, and never to nothing', () => {
    const queue = new EndpointQueue('a')
    queue.leaseLapsed()
    expect(queue.room(PLENTY, NOW)).toBe(1_024)
    for (let i = 0; i < 20; i++) queue.leaseLapsed()
    expect(queue.room(PLENTY, NOW)).toBe(16)
  })

  test('grows no further than what one endpoint may ever hold', () => {
    const queue = new EndpointQueue('a')
    for (let i = 0; i < 30; i++) {
      queue.add(aHeldDelivery('a'))
      drain(queue)
    }
    expect(queue.room(PLENTY, NOW)).toBe(16_384)
  })

  test('is something wherever there is a free place and nothing waits, however often leases lapsed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), fc.nat(40), (free, lapses) => {
        const queue = new EndpointQueue('a')
        for (let i = 0; i < lapses; i++) queue.leaseLapsed()
        const room = queue.room(free, NOW)
        return room >= 1 && room <= Math.ceil(free / 2)
      }),
    )
  })
})

describe('what it may start', () => {
  test.each([
    ['nothing, where no place is free', 0, 64, 0, false],
    ['the last free place, where it has none yet', 0, 64, 1, true],
    ['not the last free place, where it has one', 1, 64, 1, false],
    ['less than half of what is free', 4, 64, 10, true],
    ['not half of what is free', 5, 64, 10, false],
    ['no more than its cap', 2, 2, 1_000, false],
    ['up to its cap', 1, 2, 1_000, true],
  ])('%s', (_what, inFlight, cap, free, may) => {
    const queue = queueOf(5)
    queue.inFlight = inFlight
    expect(queue.mayStart(cap, free, NOW)).toBe(may)
  })
})

describe('its circuit', () => {
  test('opens once, with the failure that makes it ten in a row', () => {
    const queue = new EndpointQueue('a')
    const opened = Array.from({ length: 12 }, () => queue.attempted(FAILED, 0, NOW))
    expect(opened.indexOf(true)).toBe(9)
    expect(opened.filter(Boolean)).toHaveLength(1)
    expect(queue.isCircuitOpen).toBe(true)
  })

  test('open, lets one probe through when its time has come', () => {
    const queue = openQueue()
    const probeAt = queue.resumesAt ?? Number.NaN
    expect(probeAt).toBe(NOW + 1_000)
    expect(queue.mayStart(64, PLENTY, probeAt - 1)).toBe(false)
    expect(queue.mayStart(64, PLENTY, probeAt)).toBe(true)
    queue.inFlight = 1
    expect(queue.mayStart(64, PLENTY, probeAt + 60_000)).toBe(false)
  })

  test('open, has room for that probe and for nothing else', () => {
    const queue = openQueue()
    const probeAt = queue.resumesAt ?? Number.NaN
    expect(queue.room(PLENTY, probeAt - 1)).toBe(0)
    expect(queue.room(PLENTY, probeAt)).toBe(1)
    expect(queue.room(0, probeAt)).toBe(0)
    queue.add(aHeldDelivery('a'))
    expect(queue.room(PLENTY, probeAt)).toBe(0)
    queue.take()
    queue.inFlight = 1
    expect(queue.room(PLENTY, probeAt)).toBe(0)
  })

  test('opens with the first delivery that cannot be attempted at all, for the whole endpoint', () => {
    const queue = queueOf(5)
    expect([queue.attempted('withheld', 0, NOW), queue.attempted('withheld', 0, NOW)]).toEqual([true, false])
    expect(queue.room(PLENTY, NOW)).toBe(0)
    expect(queue.resumesAt).toBe(NOW + 1_000)
  })

  test('closes with a probe that is answered', () => {
    const queue = openQueue()
    expect(queue.attempted(DELIVERED, 0, NOW + 1_000)).toBe(false)
    expect(queue.isCircuitOpen).toBe(false)
    expect(queue.resumesAt).toBeUndefined()
    expect(queue.room(PLENTY, NOW)).toBeGreaterThan(1)
  })
})

test('it may be forgotten once it has nothing: nothing waiting, in flight, or held against it', () => {
  expect(new EndpointQueue('a').isIdle).toBe(true)
  expect(queueOf(1).isIdle).toBe(false)
  expect(openQueue().isIdle).toBe(false)
  const busy = new EndpointQueue('a')
  busy.inFlight = 1
  expect(busy.isIdle).toBe(false)
  const failedOnce = new EndpointQueue('a')
  failedOnce.attempted({ kind: 'unreachable', error: 'reset' }, 0, NOW)
  expect(failedOnce.isIdle).toBe(false)
  failedOnce.attempted(DELIVERED, 0, NOW)
  expect(failedOnce.isIdle).toBe(true)
})

describe('its turn', () => {
  const sharing = (changes: Partial<Share> = {}): Share => ({ ...share, ...changes })
  const ids = (turn: Turn): readonly string[] => (turn.kind === 'send' ? turn.parcel.map(({ id }) => id) : [])

  test('is for fresh deliveries first, and one in eight for the backlog', () => {
    const queue = new EndpointQueue('a')
    for (let i = 0; i < 4; i++) queue.add(aHeldDelivery('a', { id: `old ${i}`, isFresh: false }))
    for (let i = 0; i < 10; i++) queue.add(aHeldDelivery('a', { id: `fresh ${i}` }))
    const order = Array.from({ length: 14 }, () => ids(queue.turn(PLAIN, sharing()))[0] ?? '')
    expect(order.indexOf('old 0')).toBe(7)
    expect(order.slice(11)).toEqual(['old 1', 'old 2', 'old 3'])
    expect(order.filter((id) => id.startsWith('fresh'))).toEqual(
      Array.from({ length: 10 }, (_, i) => `fresh ${i}`),
    )
  })

  test('waits for its own while as many are in flight as its plan, its limits or its window allow', () => {
    const queue = queueOf(20)
    queue.inFlight = 2
    expect(queue.turn({ ...PLAIN, maxInFlight: 2 }, sharing())).toEqual({ kind: 'wait' })
    expect(queue.turn({ ...PLAIN, maxInFlight: 3 }, sharing({ cap: 2 }))).toEqual({ kind: 'wait' })
    expect(queue.turn({ ...PLAIN, maxInFlight: 3 }, sharing()).kind).toBe('send')
    queue.inFlight = queue.concurrency
    expect(queue.turn(PLAIN, sharing())).toEqual({ kind: 'wait' })
  })

  test('waits until its rate allows one more, and keeps no more in memory than will have its turn in time', () => {
    const queue = queueOf(20)
    const plan = { ...PLAIN, rateLimit: { perSecond: 2, burst: 2 } }
    expect(queue.turn(plan, sharing({ permit: () => NOW + 70 }))).toEqual({
      kind: 'wait_until',
      at: NOW + 70,
    })
    expect(queue.waiting).toBe(20)
    expect(queue.room(PLENTY, NOW)).toBe(10)
  })

  test('gives back what a permit would come too late for, and takes no permit for it', () => {
    const queue = new EndpointQueue('a')
    const plan = { ...PLAIN, rateLimit: { perSecond: 1 / 60, burst: 1 }, timeoutMs: 10_000 }
    queue.add(aHeldDelivery('a', { leaseEndsAt: NOW + 11_000 }))
    expect(queue.turn(plan, sharing({ permit: () => expect.fail('a permit was taken') }))).toMatchObject({
      kind: 'give_back_late',
      deliveries: [{ leaseEndsAt: NOW + 11_000 }],
    })
    queue.add(aHeldDelivery('a', { leaseEndsAt: NOW + 60_000 }))
    const at = NOW + 50_000
    expect(queue.turn(plan, sharing({ permit: () => at }))).toEqual({ kind: 'give_back' })
    queue.takeAll()
    expect(queue.resumesAt).toBe(at)
    expect([queue.room(PLENTY, at - 1), queue.room(PLENTY, at)]).toEqual([0, 1])
  })

  test('keeps of a flood what its rate will have turns for, and gives back the rest', () => {
    const queue = queueOf(100)
    const turn = queue.turn({ ...PLAIN, rateLimit: { perSecond: 1, burst: 1 } }, sharing())
    expect(turn.kind === 'give_back_late' && turn.deliveries.length).toBe(85)
    expect(queue.waiting).toBe(15)
  })

  test('is given up, with all that waits, while its circuit is open', () => {
    const queue = openQueue()
    queue.add(aHeldDelivery('a'))
    expect(queue.turn(PLAIN, sharing())).toEqual({ kind: 'give_back' })
    expect(queue.turn(PLAIN, sharing({ now: NOW + 1_000 })).kind).toBe('send')
  })

  test('is heeded when the endpoint asks for time, and not even a success cuts it short', () => {
    const queue = queueOf(3)
    const asked: AttemptOutcome = { kind: 'rejected', status: 429, retryAfterMs: 5_000 }
    expect(queue.attempted(asked, 0, NOW)).toBe(true)
    queue.attempted(DELIVERED, 0, NOW + 10)
    expect(queue.resumesAt).toBe(NOW + 5_000)
    queue.attempted(DELIVERED, 0, NOW + 5_000)
    expect(queue.isCircuitOpen).toBe(false)
  })
})

describe('collecting', () => {
  const batching = { ...PLAIN, batch: { maxEvents: 4, maxWaitMs: 1_000 } }
  const sharing: Share = { ...share, cap: 2, now: 500 }

  test('sends what is full, and waits with the rest until its time', () => {
    const queue = queueOf(6)
    expect(queue.turn(batching, sharing)).toMatchObject({ kind: 'send', parcel: { length: 4 } })
    expect(queue.waiting).toBe(2)
    expect(queue.turn(batching, sharing)).toEqual({ kind: 'wait_until', at: 1_000 })
    expect(queue.turn(batching, { ...sharing, now: 1_000 })).toMatchObject({
      kind: 'send',
      parcel: { length: 2 },
    })
    expect(queue.waiting).toBe(0)
  })

  test('is one request in flight, however many it carries', () => {
    const queue = queueOf(12)
    for (let n = 0; n < 2; n++) {
      expect(queue.turn(batching, sharing)).toMatchObject({ kind: 'send' })
      queue.inFlight++
    }
    expect(queue.turn(batching, sharing)).toEqual({ kind: 'wait' })
  })

  test('gives back all that it collected, and what it has not looked at yet', () => {
    const queue = queueOf(2)
    queue.turn(batching, sharing)
    queue.add(aHeldDelivery('a'))
    expect(queue.takeAll()).toHaveLength(3)
    expect(queue.waiting).toBe(0)
  })

  test('ends when the plan does: then each goes by itself, and at once', () => {
    const queue = queueOf(2)
    queue.turn(batching, sharing)
    queue.add(aHeldDelivery('a'))
    for (const left of [2, 1, 0]) {
      expect(queue.turn(PLAIN, sharing)).toMatchObject({ kind: 'send', parcel: { length: 1 } })
      expect(queue.waiting).toBe(left)
    }
  })

  test('has room for a batch, however often leases lapsed, and for one that comes back beside it', () => {
    const queue = new EndpointQueue('a')
    const large = { ...PLAIN, batch: { maxEvents: 500, maxWaitMs: 1_000 } }
    queue.turn(large, sharing)
    for (let i = 0; i < 20; i++) queue.leaseLapsed()
    expect(queue.room(PLENTY, NOW)).toBe(1_000)
  })

  test('takes more into memory once it has less than a batch left', () => {
    const queue = queueOf(9)
    for (const room of [2_048 - 5, 4_096 - 1]) {
      queue.turn(batching, sharing)
      expect(queue.room(PLENTY, NOW)).toBe(room)
    }
  })

  test('probes with a batch as it is, and takes in no more than one', () => {
    const queue = openQueue()
    queue.plan = batching
    const probeAt = queue.resumesAt ?? Number.NaN
    expect(queue.room(PLENTY, probeAt - 1)).toBe(0)
    expect(queue.room(PLENTY, probeAt)).toBe(4)
    queue.add(aHeldDelivery('a', { leaseEndsAt: probeAt + 60_000 }))
    expect(queue.room(PLENTY, probeAt)).toBe(3)
    expect(queue.turn(batching, { ...sharing, now: probeAt })).toMatchObject({
      kind: 'send',
      parcel: { length: 1 },
    })
    queue.inFlight++
    expect(queue.room(PLENTY, probeAt)).toBe(0)
  })

  test('asks for one permit a batch, and only for one that may go', () => {
    const queue = queueOf(6)
    const asked: number[] = []
    const permit = (_rate: unknown, waiting: number): undefined => void asked.push(waiting)
    const plan = { ...batching, rateLimit: { perSecond: 2, burst: 2 } }
    expect(queue.turn(plan, { ...sharing, permit })).toMatchObject({ kind: 'send' })
    expect(queue.turn(plan, { ...sharing, permit })).toEqual({ kind: 'wait_until', at: 1_000 })
    expect(asked).toEqual([2])
    // What thirty requests carry.
    expect(queue.room(PLENTY, NOW)).toBe(120 - 2)
  })
})
