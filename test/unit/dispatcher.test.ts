/** Which delivery starts when: attempts here end when the test says so, or never. */
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { OPENS_AFTER } from '../../src/core/circuit.ts'
import { PLAIN } from '../../src/core/subscription.ts'
import { type HeldDelivery, sizeInMemory } from '../../src/delivery/held-delivery.ts'
import { aHeldDelivery } from './a-held-delivery.ts'
import { DELIVERED, DispatcherStage, FAILED, LIMITS, settled } from './dispatcher-stage.ts'

const endpointsOf = (deliveries: readonly HeldDelivery[]): string[] => deliveries.map((d) => d.subscriptionId)

describe('starting', () => {
  test('happens at once, in the order of arrival', () => {
    const stage = new DispatcherStage()
    const offered = stage.offer('a', 3)
    expect(stage.started).toEqual(offered)
    expect(stage.dispatcher.inFlight).toBe(3)
    expect(stage.dispatcher.waiting).toBe(0)
  })

  test('gives an endpoint that had its share what the others leave free, before its own attempt ends', async () => {
    const stage = new DispatcherStage({ maxInFlight: 16 })
    for (let i = 0; i < 14; i++) stage.offer(`quick-${i}`, 1)
    stage.offer('slow', 50)
    expect(stage.inFlight('slow')).toBe(1)
    await stage.endAll(DELIVERED, new Set(['slow']))
    expect(stage.inFlight('slow')).toBeGreaterThan(4)
  })

  test('goes round between endpoints', async () => {
    const stage = new DispatcherStage({ maxInFlight: 1 })
    stage.mayStart = false
    stage.offer('a', 3)
    stage.offer('b', 2)
    stage.offer('c', 1)
    stage.mayStart = true
    stage.dispatcher.pump()
    await stage.endAll(DELIVERED)
    expect(endpointsOf(stage.started)).toEqual(['a', 'b', 'c', 'a', 'b', 'a'])
  })

  test('stops at what an endpoint may have in flight, and goes on when one has ended', async () => {
    const stage = new DispatcherStage({ maxInFlightPerEndpoint: 2 })
    const offered = stage.offer('a', 4)
    expect(stage.started).toEqual(offered.slice(0, 2))
    expect(stage.dispatcher.waiting).toBe(2)
    await stage.end(DELIVERED)
    expect(stage.started).toEqual(offered.slice(0, 3))
  })

  test('stops at what may be in flight altogether', async () => {
    const stage = new DispatcherStage({ maxInFlight: 4 })
    for (let i = 0; i < 10; i++) stage.offer(`endpoint ${i}`, 1)
    expect(stage.dispatcher.inFlight).toBe(4)
    await stage.end(DELIVERED)
    expect(stage.dispatcher.inFlight).toBe(4)
    expect(stage.started).toHaveLength(5)
  })

  test('waits while outcomes cannot be recorded, and goes on when told', () => {
    const stage = new DispatcherStage()
    stage.mayStart = false
    stage.offer('a', 2)
    expect(stage.started).toEqual([])
    stage.mayStart = true
    stage.dispatcher.pump()
    expect(stage.started).toHaveLength(2)
  })

  test('goes on after an attempt that threw, which is told', async () => {
    const stage = new DispatcherStage({ maxInFlight: 1 })
    stage.offer('a', 2)
    const bug = new Error('a bug')
    stage.running.shift()?.settle.reject(bug)
    await settled()
    expect(stage.bugs).toEqual([bug])
    expect(stage.started).toHaveLength(2)
    expect(stage.dispatcher.inFlight).toBe(1)
  })
})

describe('an endpoint that wants batches', () => {
  const batch = { maxEvents: 4, maxWaitMs: 1_000 }

  test('gets as many at a time, each batch one request, and asks for more while the last is not full', async () => {
    const stage = new DispatcherStage({ maxInFlightPerEndpoint: 2 })
    stage.plan = { ...PLAIN, batch }
    const offered = stage.offer('a', 10)
    expect(stage.running.map(({ parcel }) => parcel)).toEqual([offered.slice(0, 4), offered.slice(4, 8)])
    expect(stage.dispatcher.inFlight).toBe(2)
    expect(stage.dispatcher.waiting).toBe(2)
    await stage.end(DELIVERED)
    expect(stage.roomFor).toEqual(['a'])
    expect(stage.dispatcher.waiting).toBe(2)
    expect(stage.dispatcher.room).toBe(LIMITS.maxHeld - 6)
  })

  test('gets what there is when its time has come, and until then others go on', () => {
    vi.useFakeTimers()
    try {
      const stage = new DispatcherStage()
      stage.plan = { ...PLAIN, batch }
      const offered = stage.offer('a', 3)
      stage.plan = PLAIN
      expect(stage.offer('b', 1)).toEqual(stage.started)
      stage.plan = { ...PLAIN, batch }
      stage.now = 999
      vi.advanceTimersByTime(999)
      expect(stage.inFlight('a')).toBe(0)
      stage.now = 1_000
      vi.advanceTimersByTime(1)
      expect(stage.started.slice(1)).toEqual(offered)
      expect(stage.inFlight('a')).toBe(1)
    } finally {
      vi.useRealTimers()
    }
  })

  test('waits for no more events once memory is nearly used up, so that others find room', async () => {
    const stage = new DispatcherStage({ maxHeld: 80 })
    stage.plan = { ...PLAIN, batch: { maxEvents: 1_000, maxWaitMs: 1_000 } }
    const collected = [...stage.offer('a', 30), ...stage.offer('b', 40)]
    expect(stage.started).toEqual([])
    const last = stage.offer('c', 1)
    expect(new Set(stage.started)).toEqual(new Set([...collected, ...last]))
    expect(stage.dispatcher.inFlight).toBe(3)
    await stage.endAll(DELIVERED)
    stage.offer('a', 30)
    expect(stage.dispatcher.waiting).toBe(30)
    await stage.dispatcher.stop()
  })

  test('gives back what it collected when the process stops', async () => {
    const stage = new DispatcherStage()
    stage.plan = { ...PLAIN, batch }
    const offered = stage.offer('a', 3)
    await stage.dispatcher.stop()
    expect(stage.returned).toEqual(offered)
    expect(stage.started).toEqual([])
  })
})

describe('an endpoint that hangs with a long queue', () => {
  test('leaves more than half of the places to others', () => {
    const stage = new DispatcherStage()
    stage.offer('hanging', 500)
    expect(stage.dispatcher.inFlight).toBeLessThan(LIMITS.maxInFlight / 2)
    expect(stage.offer('b', 1)).toEqual(stage.started.slice(-1))
  })

  test('never keeps another from starting, whatever arrives and ends in whatever order', async () => {
    const hanging = ['h0', 'h1', 'h2']
    const steps = fc.array(
      fc.oneof(
        fc.record({
          endpoint: fc.constantFrom('a', 'b', 'c', 'd', 'e', ...hanging),
          count: fc.integer({ min: 1, max: 40 }),
        }),
        fc.record({ end: fc.nat(100) }),
      ),
      { minLength: 1, maxLength: 30 },
    )
    await fc.assert(
      fc.asyncProperty(steps, async (program) => {
        const stage = new DispatcherStage()
        const others: HeldDelivery[] = []
        for (const step of program) {
          if ('count' in step) {
            const offered = stage.offer(step.endpoint, step.count)
            if (!hanging.includes(step.endpoint)) others.push(...offered)
          } else {
            const running = stage.running.filter((r) => !hanging.includes(r.delivery.subscriptionId))
            const ending = running[step.end % running.length]
            if (ending !== undefined) await stage.end(DELIVERED, ending.delivery.subscriptionId)
          }
          // Who has nothing in flight waits only while every place is taken, and not by those that hang alone.
          const waiting = others.filter((d) => !stage.started.includes(d))
          const starved = new Set(endpointsOf(waiting)).values().some((name) => stage.inFlight(name) === 0)
          const hung = stage.running.filter((r) => hanging.includes(r.delivery.subscriptionId)).length
          expect(stage.dispatcher.inFlight).toBeLessThanOrEqual(LIMITS.maxInFlight)
          expect(starved && stage.dispatcher.inFlight < LIMITS.maxInFlight).toBe(false)
          expect(hung).toBeLessThan(LIMITS.maxInFlight)
        }
        await stage.endAll(DELIVERED, new Set(hanging))
        const start = new Set(stage.started)
        expect(others.filter((delivery) => !start.has(delivery))).toEqual([])
      }),
    )
  })
})

describe('memory', () => {
  test('has places for so many deliveries, those in flight among them', async () => {
    const stage = new DispatcherStage({ maxHeld: 100 })
    expect(stage.dispatcher.room).toBe(100)
    stage.offer('a', 30)
    expect(stage.dispatcher.room).toBe(70)
    await stage.end(DELIVERED)
    expect(stage.dispatcher.room).toBe(71)
    stage.offer('b', 200)
    expect(stage.dispatcher.room).toBe(0)
  })

  test('has no places while its bytes are used up', async () => {
    const delivery = aHeldDelivery('a', { payload: 'x'.repeat(10_000) })
    const stage = new DispatcherStage({ maxHeldBytes: 2 * sizeInMemory(delivery) })
    expect(sizeInMemory(delivery)).toBeGreaterThan(10_000)
    stage.dispatcher.offer([delivery])
    expect(stage.dispatcher.roomBytes).toBe(sizeInMemory(delivery))
    expect(stage.dispatcher.room).toBe(LIMITS.maxHeld - 1)
    stage.dispatcher.offer([delivery])
    expect(stage.dispatcher.roomBytes).toBe(0)
    expect(stage.dispatcher.room).toBe(0)
    expect(stage.dispatcher.roomFor('b')).toBe(0)
    await stage.end(DELIVERED)
    expect(stage.dispatcher.room).toBe(LIMITS.maxHeld - 1)
  })

  test('is not for one endpoint alone', () => {
    const stage = new DispatcherStage({ maxHeld: 100 })
    expect(stage.dispatcher.roomFor('a')).toBe(50)
    stage.offer('a', 50)
    expect(stage.dispatcher.roomFor('a')).toBe(25)
    expect(stage.dispatcher.roomFor('b')).toBe(25)
    expect(stage.dispatcher.fullSubscriptions()).toEqual([])
  })

  test('names the endpoints whose deliveries had better wait', async () => {
    const stage = new DispatcherStage({ maxHeld: 10_000, maxInFlight: 3 })
    stage.offer('full', 2_100)
    stage.offer('b', 1)
    await stage.openCircuit('open')
    expect(stage.dispatcher.fullSubscriptions()).toEqual(['full', 'open'])
    expect(stage.dispatcher.openCircuits).toBe(1)
    expect(stage.dispatcher.stuck).toBe(0)
    stage.now = 1_000
    expect(stage.dispatcher.stuck).toBeGreaterThan(2_000)
  })

  test('tells of an endpoint whose queue is empty, so that more can come', async () => {
    const stage = new DispatcherStage({ maxInFlightPerEndpoint: 1 })
    stage.offer('a', 2)
    await stage.end(DELIVERED)
    expect(stage.roomFor).toEqual([])
    await stage.end(DELIVERED)
    expect(stage.roomFor).toEqual(['a'])
  })

  test('stays within its bounds with callers that ask for room, and is all free in the end', async () => {
    const steps = fc.array(
      fc.record({
        endpoint: fc.constantFrom('a', 'b', 'c', 'd'),
        count: fc.integer({ min: 1, max: 60 }),
        payloadBytes: fc.constantFrom(2, 500, 20_000),
        ends: fc.nat(4),
        outcome: fc.constantFrom(DELIVERED, DELIVERED, FAILED, undefined),
      }),
      { maxLength: 25 },
    )
    const limits = { maxHeld: 50, maxHeldBytes: 100_000, maxInFlight: 4, maxInFlightPerEndpoint: 3 }
    await fc.assert(
      fc.asyncProperty(steps, async (program) => {
        const stage = new DispatcherStage(limits)
        const { dispatcher } = stage
        for (const { endpoint, count, payloadBytes, ends, outcome } of program) {
          const asked = Math.min(count, dispatcher.roomFor(endpoint))
          const sized = Math.min(asked, Math.floor(dispatcher.roomBytes / (payloadBytes + 1_024)))
          stage.offer(endpoint, sized, 'x'.repeat(payloadBytes))
          for (let i = 0; i < Math.min(ends, stage.running.length); i++) await stage.end(outcome)
          expect(dispatcher.inFlight + dispatcher.waiting).toBeLessThanOrEqual(limits.maxHeld)
          expect(dispatcher.inFlight).toBe(stage.running.length)
          expect(dispatcher.inFlight).toBeLessThanOrEqual(limits.maxInFlight)
        }
        stage.now += 3_600_000 // past every probe
        dispatcher.pump()
        await stage.endAll(DELIVERED)
        expect(dispatcher.waiting).toBe(0)
        expect(dispatcher.room).toBe(limits.maxHeld)
        expect(dispatcher.roomBytes).toBe(limits.maxHeldBytes)
        expect(dispatcher.fullSubscriptions()).toEqual([])
        expect(dispatcher.openCircuits).toBe(0)
      }),
    )
  })
})

describe('an endpoint that keeps failing', () => {
  test('opens its circuit, and gives back what waits', async () => {
    const stage = new DispatcherStage({ maxInFlightPerEndpoint: 1 })
    const offered = stage.offer('a', OPENS_AFTER + 5)
    for (let i = 0; i < OPENS_AFTER; i++) await stage.end(FAILED)
    expect(stage.started).toEqual(offered.slice(0, OPENS_AFTER))
    expect(stage.returned).toEqual(offered.slice(OPENS_AFTER))
    expect(stage.dispatcher.waiting).toBe(0)
    expect(stage.dispatcher.openCircuits).toBe(1)
    expect(stage.dispatcher.roomBytes).toBe(LIMITS.maxHeldBytes)
  })

  test('gives back what waits at once, though another attempt of its is still under way', async () => {
    const stage = new DispatcherStage({ maxInFlightPerEndpoint: 2 })
    const offered = stage.offer('a', OPENS_AFTER + 5)
    for (let i = 0; i < OPENS_AFTER; i++) await stage.end(FAILED)
    expect(stage.inFlight('a')).toBe(1)
    expect(stage.returned).toEqual(offered.slice(OPENS_AFTER + 1))
  })

  test('gets one probe when it is due, and room for no more', async () => {
    const stage = new DispatcherStage()
    await stage.openCircuit('a')
    const probeAt = stage.dispatcher.resumesAt('a') ?? Number.NaN
    expect(probeAt).toBe(1_000)
    stage.now = probeAt - 1
    expect(stage.dispatcher.roomFor('a')).toBe(0)
    stage.now = probeAt
    expect(stage.dispatcher.roomFor('a')).toBe(1)
    const [probe] = stage.offer('a', 1)
    expect(stage.started.at(-1)).toBe(probe)
    expect(stage.dispatcher.roomFor('a')).toBe(0)
  })

  test('keeps nothing in memory: what is offered before the probe is due goes back', async () => {
    const stage = new DispatcherStage()
    await stage.openCircuit('a')
    const offered = stage.offer('a', 3)
    expect(stage.returned).toEqual(offered)
    expect(stage.dispatcher.waiting).toBe(0)
    expect(stage.dispatcher.roomBytes).toBe(LIMITS.maxHeldBytes)
  })

  test.each([
    ['given back', 'fails', FAILED],
    ['attempted', 'is answered', DELIVERED],
  ])('has what came beside a probe %s where the probe %s', async (_what, _how, outcome) => {
    const stage = new DispatcherStage()
    await stage.openCircuit('a')
    stage.now = 1_000
    const [probe, ...rest] = stage.offer('a', 4)
    expect(stage.started.at(-1)).toBe(probe)
    await stage.end(outcome)
    expect(outcome === FAILED ? stage.returned : stage.started.slice(-3)).toEqual(rest)
    expect(stage.dispatcher.waiting).toBe(0)
  })

  test('has it again later where the probe fails', async () => {
    const stage = new DispatcherStage()
    await stage.openCircuit('a')
    stage.now = 1_000
    stage.offer('a', 1)
    await stage.end(FAILED)
    expect(stage.dispatcher.resumesAt('a')).toBe(3_000)
    expect(stage.dispatcher.openCircuits).toBe(1)
  })

  test('is as any other where the probe is answered', async () => {
    const stage = new DispatcherStage()
    await stage.openCircuit('a')
    stage.now = 1_000
    stage.offer('a', 1)
    await stage.end(DELIVERED)
    expect(stage.dispatcher.resumesAt('a')).toBeUndefined()
    expect(stage.dispatcher.openCircuits).toBe(0)
    stage.offer('a', 5)
    expect(stage.inFlight('a')).toBe(5)
  })

  test('does not stop others', async () => {
    const stage = new DispatcherStage({ maxInFlight: 2, maxInFlightPerEndpoint: 1 })
    stage.offer('a', 20)
    stage.offer('b', 3)
    for (let i = 0; i < OPENS_AFTER; i++) await stage.end(FAILED, 'a')
    await stage.endAll(DELIVERED)
    expect(endpointsOf(stage.started).filter((endpoint) => endpoint === 'b')).toHaveLength(3)
  })

  test('has nothing held against it for an attempt that was not made', async () => {
    const stage = new DispatcherStage()
    for (let i = 0; i < 3 * OPENS_AFTER; i++) {
      stage.offer('a', 1)
      await stage.end(undefined)
    }
    expect(stage.dispatcher.openCircuits).toBe(0)
    expect(stage.dispatcher.roomFor('a')).toBeGreaterThan(0)
  })
})

describe('stopping', () => {
  test('gives back what waits, and resolves when what is in flight has ended', async () => {
    const stage = new DispatcherStage({ maxInFlight: 2, maxInFlightPerEndpoint: 1 })
    const offered = [...stage.offer('a', 3), ...stage.offer('b', 2)]
    let isStopped = false
    const stopping = stage.dispatcher.stop().then(() => (isStopped = true))
    await settled()
    expect(new Set(stage.returned)).toEqual(new Set(offered.filter((d) => !stage.started.includes(d))))
    expect(stage.dispatcher.waiting).toBe(0)
    await stage.end(DELIVERED)
    expect(isStopped).toBe(false)
    await stage.end(FAILED)
    await stopping
    expect(stage.started).toHaveLength(2)
    expect(stage.dispatcher.inFlight).toBe(0)
  })

  test('leaves no room, and gives back at once what is offered', async () => {
    const stage = new DispatcherStage()
    await stage.dispatcher.stop()
    expect(stage.dispatcher.room).toBe(0)
    expect(stage.dispatcher.roomFor('a')).toBe(0)
    const offered = stage.offer('a', 2)
    expect(stage.returned).toEqual(offered)
    expect(stage.started).toEqual([])
  })

  test('starts nothing more, whatever is told', async () => {
    const stage = new DispatcherStage({ maxInFlight: 1 })
    stage.offer('a', 2)
    void stage.dispatcher.stop()
    stage.dispatcher.pump()
    await stage.end(DELIVERED)
    stage.dispatcher.pump()
    expect(stage.started).toHaveLength(1)
  })
})

test('an endpoint that nothing has come for in ten minutes is forgotten when another comes, with all that was held against it', async () => {
  const stage = new DispatcherStage()
  await stage.openCircuit('a')
  stage.now = 599_999
  stage.offer('b', 1)
  await stage.end(DELIVERED)
  expect(stage.dispatcher.openCircuits).toBe(1)
  stage.now = 700_000
  stage.offer('c', 1)
  expect(stage.dispatcher.openCircuits).toBe(0)
})
