/** What goes together, and when: time here is a number that the test turns. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesInBatch, MAX_BATCH_BYTES } from '../../src/core/sent-batch.ts'
import { BatchCollection } from '../../src/delivery/batch-collection.ts'
import { type HeldDelivery, LEASE_MS, type Parcel } from '../../src/delivery/held-delivery.ts'
import { aHeldDelivery } from './a-held-delivery.ts'

const BATCHING = { maxEvents: 3, maxWaitMs: 1_000 }
const NOW = 100_000
const REST_WITHIN_MS = 5_000

/** Arrived `ago` milliseconds before NOW. */
function arrived(
  ago: number,
  changes: Partial<HeldDelivery> & { readonly payload?: string } = {},
): HeldDelivery {
  return aHeldDelivery('a', { leaseEndsAt: NOW - ago + LEASE_MS, ...changes })
}

function collectionOf(...deliveries: readonly HeldDelivery[]): BatchCollection {
  const collection = new BatchCollection()
  for (const delivery of deliveries) collection.add(delivery)
  return collection
}

type Next = { kind: 'send'; parcel: Parcel } | { kind: 'wait_until'; at: number } | { kind: 'wait' }

function next(collection: BatchCollection, { now = NOW, batching = BATCHING, isHurried = false } = {}): Next {
  const at = collection.readyAt(batching, now, isHurried)
  const parcel = collection.take(batching, now, isHurried)
  expect(parcel !== undefined).toBe(at <= now)
  if (parcel !== undefined) return { kind: 'send', parcel }
  return at === Infinity ? { kind: 'wait' } : { kind: 'wait_until', at }
}

describe('fresh deliveries', () => {
  test('wait until there are enough of them', () => {
    const [first, second, third, fourth] = [arrived(0), arrived(0), arrived(0), arrived(0)]
    const collection = collectionOf(first, second)
    expect(next(collection)).toEqual({ kind: 'wait_until', at: NOW + 1_000 })
    collection.add(third)
    collection.add(fourth)
    expect(next(collection)).toEqual({ kind: 'send', parcel: [first, second, third] })
    expect(collection.size).toBe(1)
    expect(next(collection)).toEqual({ kind: 'wait_until', at: NOW + 1_000 })
  })

  test('wait for no test, which goes at once and by itself', () => {
    const fresh = arrived(0)
    const test = arrived(0)
    const asked = { ...test, event: { ...test.event, type: 'walhook.test' } }
    const collection = collectionOf(fresh, asked)
    expect(next(collection)).toEqual({ kind: 'send', parcel: [asked] })
    expect(next(collection)).toEqual({ kind: 'wait_until', at: NOW + 1_000 })
  })

  test('wait no longer than the oldest of them may', () => {
    const collection = collectionOf(arrived(400), arrived(0))
    expect(next(collection)).toEqual({ kind: 'wait_until', at: NOW + 600 })
    expect(next(collection, { now: NOW + 600 })).toMatchObject({ kind: 'send', parcel: { length: 2 } })
    expect(next(collection, { now: NOW + 600 })).toEqual({ kind: 'wait' })
  })

  test('do not wait where the endpoint is being tried', () => {
    const collection = collectionOf(arrived(0), arrived(0))
    expect(next(collection, { isHurried: true })).toMatchObject({ kind: 'send', parcel: { length: 2 } })
  })

  test('go in commit order, however they came', () => {
    const [one, two, three] = [
      arrived(0, { id: '9' }),
      arrived(0, { id: '10' }),
      arrived(0, { id: '9007199254740993' }),
    ]
    expect(next(collectionOf(three, one, two))).toEqual({ kind: 'send', parcel: [one, two, three] })
  })

  test('of another attempt number, or another schedule, are collected by themselves', () => {
    const collection = collectionOf(
      arrived(0),
      arrived(0, { attempt: 2 }),
      arrived(0),
      arrived(0, { attempt: 2, scheduleFrom: 1 }),
      arrived(0),
    )
    expect(next(collection)).toMatchObject({ parcel: [{ attempt: 1 }, { attempt: 1 }, { attempt: 1 }] })
    expect(next(collection)).toMatchObject({ kind: 'wait_until' })
    expect(next(collection, { now: NOW + 1_000 })).toMatchObject({ parcel: { length: 1 } })
  })

  test('are enough when their bytes are, and one that is larger goes alone', () => {
    const little = arrived(0)
    const half = arrived(0, { payload: `"${'x'.repeat(MAX_BATCH_BYTES / 2)}"` })
    const whole = arrived(0, { payload: `"${'x'.repeat(MAX_BATCH_BYTES)}"` })
    const collection = collectionOf(little, half)
    expect(next(collection)).toMatchObject({ kind: 'wait_until' })
    collection.add(whole)
    expect(next(collection)).toMatchObject({ parcel: [{ id: little.id }, { id: half.id }] })
    expect(next(collection)).toMatchObject({ parcel: [{ id: whole.id }] })
    expect(next(collection)).toEqual({ kind: 'wait' })

    const others = collectionOf(half, { ...half, id: 'another half' }, little)
    expect(next(others)).toMatchObject({ kind: 'send', parcel: { length: 1 } })
    expect(next(others)).toMatchObject({ kind: 'wait_until' })
  })

  test('whose lease has lapsed leave by themselves: who claimed them anew may have put them here again', () => {
    const [old, young] = [arrived(LEASE_MS), arrived(0)]
    const collection = collectionOf(young, old, { ...old, leaseEndsAt: young.leaseEndsAt })
    expect(next(collection)).toEqual({ kind: 'send', parcel: [old] })
    expect(next(collection)).toEqual({ kind: 'wait_until', at: NOW + 1_000 })
  })
})

describe('a batch that comes back', () => {
  const batch = { id: 'b', size: 2 }

  test('goes at once when it is whole, without others', () => {
    const [first, second] = [arrived(0, { batch, attempt: 2 }), arrived(0, { batch, attempt: 2 })]
    const collection = collectionOf(arrived(0), second, arrived(0, { attempt: 2 }))
    expect(next(collection)).toMatchObject({ kind: 'wait_until' })
    collection.add(first)
    expect(next(collection)).toEqual({ kind: 'send', parcel: [first, second] })
    expect(collection.size).toBe(2)
  })

  test('waits for its rest, even where the endpoint is being tried, and then is collected as another', () => {
    const [first, fresh] = [arrived(0, { batch }), arrived(0)]
    const collection = collectionOf(first)
    const patient = { maxEvents: 3, maxWaitMs: 20_000 }
    for (const isHurried of [false, true])
      expect(next(collection, { batching: patient, isHurried })).toEqual({
        kind: 'wait_until',
        at: NOW + REST_WITHIN_MS,
      })
    collection.add(fresh)
    const now = NOW + REST_WITHIN_MS
    expect(next(collection, { now, batching: patient })).toEqual({ kind: 'wait_until', at: NOW + 20_000 })
    expect(next(collection, { now: NOW + 20_000, batching: patient })).toEqual({
      kind: 'send',
      parcel: [{ ...first, batch: undefined }, fresh],
    })
  })

  test('larger than a batch may be by now, is collected as others are', () => {
    const large = { id: 'b', size: 4 }
    const collection = collectionOf(...Array.from({ length: 4 }, () => arrived(0, { batch: large })))
    expect(next(collection)).toMatchObject({ parcel: [{ batch: undefined }, {}, {}] })
    expect(next(collection)).toMatchObject({ kind: 'wait_until' })
  })

  test('is not whole with one of it twice', () => {
    const old = arrived(LEASE_MS, { batch })
    const collection = collectionOf(old, { ...old, leaseEndsAt: NOW + LEASE_MS })
    expect(next(collection)).toEqual({ kind: 'send', parcel: [old] })
    expect(next(collection)).toEqual({ kind: 'wait_until', at: NOW + REST_WITHIN_MS })
  })
})

test('of those that may go, who has waited longest goes first', () => {
  const full = [arrived(10), arrived(10), arrived(10)]
  const batch = { id: 'b', size: 1 }
  const back = arrived(20, { batch })
  const late = arrived(1_500, { attempt: 2 })
  const collection = collectionOf(...full, back, late)
  const order = [next(collection), next(collection), next(collection)]
  expect(order).toMatchObject([{ parcel: [late] }, { parcel: [back] }, { parcel: full }])
})

test('whatever comes and whenever: each leaves once, in time, and only with those that it may go with', () => {
  const payload = fc.constantFrom('1', `"${'x'.repeat(400_000)}"`, `"${'x'.repeat(MAX_BATCH_BYTES)}"`)
  const step = fc.record({
    afterMs: fc.integer({ min: 0, max: 800 }),
    payload: fc.oneof({ weight: 20, arbitrary: fc.constant('1') }, { weight: 1, arbitrary: payload }),
    attempt: fc.integer({ min: 1, max: 2 }),
    /** Of a batch of up to four; who is the second of its place is dropped, as a row is claimed once. */
    batch: fc.option(fc.record({ name: fc.constantFrom('b', 'c', 'd'), place: fc.nat(3) })),
  })
  const sizes = { b: 1, c: 3, d: 4 }
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, isHurried) => {
      const collection = new BatchCollection()
      const places = new Set<string>()
      let now = NOW
      const inside = new Map<string, HeldDelivery>()
      const leave = (parcel: Parcel): void => {
        const [{ batch, attempt }] = parcel
        if (batch === undefined) {
          expect(parcel.length).toBeLessThanOrEqual(BATCHING.maxEvents)
          const bytes = parcel.reduce((sum, { event }) => sum + bytesInBatch(event), 0)
          if (parcel.length > 1) expect(bytes).toBeLessThanOrEqual(MAX_BATCH_BYTES)
        } else expect(parcel.length).toBe(batch.size)
        for (const delivery of parcel) {
          expect(delivery).toMatchObject({ attempt, batch })
          expect(inside.delete(delivery.id)).toBe(true)
        }
        const ids = parcel.map(({ id }) => Number(id))
        expect(ids).toEqual(ids.toSorted((a, b) => a - b))
      }
      const run = (): void => {
        for (;;) {
          const turn = next(collection, { now, isHurried })
          if (turn.kind === 'wait') return expect(inside.size).toBe(0)
          if (turn.kind === 'wait_until') {
            expect(turn.at).toBeGreaterThan(now)
            for (const { leaseEndsAt, batch } of inside.values())
              expect(turn.at).toBeLessThanOrEqual(
                leaseEndsAt - LEASE_MS + (batch === undefined ? BATCHING.maxWaitMs : REST_WITHIN_MS),
              )
            return
          }
          leave(turn.parcel)
        }
      }
      for (const { afterMs, payload: text, attempt, batch } of steps) {
        now += afterMs
        const place = batch && `${batch.name} ${batch.place}`
        const size = batch === null ? 0 : sizes[batch.name as keyof typeof sizes]
        if (batch !== null && (batch.place >= size || places.has(place ?? ''))) continue
        if (place !== null) places.add(place)
        const delivery = aHeldDelivery('a', {
          payload: text,
          attempt: batch === null ? attempt : 2,
          leaseEndsAt: now + LEASE_MS,
          batch: batch === null ? undefined : { id: batch.name, size },
        })
        inside.set(delivery.id, delivery)
        collection.add(delivery)
        expect(collection.size).toBe(inside.size)
        run()
      }
      now += REST_WITHIN_MS
      run()
      now += BATCHING.maxWaitMs
      run()
      expect(inside.size).toBe(0)
      expect(collection.size).toBe(0)
    }),
    { numRuns: 300 },
  )
})
