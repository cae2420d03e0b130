/**
 * What of a batching subscription waits in memory, and when which of it goes together. Fresh deliveries are collected, those of
 * one attempt number by themselves, so that what failed together is due together. A batch that failed comes back
 * piece by piece and goes again as it was: whole, under its id, and never with others. A test is a batch of its own. Invariant: two deliveries in one batch are
 * two events, so what lapsed, and may have been claimed anew, leaves by itself.
 */
import { isTestEvent } from '../core/outbox-event.ts'
import { bytesInBatch, MAX_BATCH_BYTES } from '../core/sent-batch.ts'
import type { Batching } from '../core/subscription.ts'
import { type HeldDelivery, LEASE_MS, type Parcel } from './held-delivery.ts'

/** How long a batch that comes back waits for its rest, which another claim may bring; then it is another batch. */
const REST_WITHIN_MS = 5_000

interface Lane {
  deliveries: HeldDelivery[]
  bytes: number
  /** Of the whole batch, where one comes back; undefined where fresh deliveries are collected. */
  readonly size: number | undefined
  /** When the oldest of them arrived: its lease began then. */
  since: number
}

export class BatchCollection {
  readonly #lanes = new Map<string, Lane>()
  #size = 0

  get size(): number {
    return this.#size
  }

  add(delivery: HeldDelivery): void {
    const isTest = isTestEvent(delivery.event)
    const name = isTest
      ? `test ${delivery.id}`
      : (delivery.batch?.id ?? `${delivery.attempt} of ${delivery.scheduleFrom}`)
    const lane = this.#lanes.get(name) ?? {
      deliveries: [],
      bytes: 0,
      size: isTest ? 1 : delivery.batch?.size,
      since: Infinity,
    }
    lane.deliveries.push(delivery)
    lane.bytes += bytesInBatch(delivery.event)
    lane.since = Math.min(lane.since, arrivedAt(delivery))
    this.#lanes.set(name, lane)
    this.#size++
  }

  /**
   * From when on something of it may go; Infinity while nothing waits. `isHurried`: fresh ones wait for no others, since the
   * endpoint is being tried, or memory is short.
   */
  readyAt(batching: Batching, now: number, isHurried: boolean): number {
    this.#breakUp(batching, now)
    let at = Infinity
    for (const lane of this.#lanes.values()) at = Math.min(at, readyFrom(lane, batching, isHurried))
    return at
  }

  /** Of what may go now, what has waited for longest. */
  take(batching: Batching, now: number, isHurried: boolean): Parcel | undefined {
    this.#breakUp(batching, now)
    let longest: [name: string, lane: Lane] | undefined
    for (const [name, lane] of this.#lanes)
      if (
        readyFrom(lane, batching, isHurried) <= now &&
        (longest === undefined || lane.since < longest[1].since)
      )
        longest = [name, lane]
    return longest && this.#takeFrom(...longest, batching.maxEvents, now)
  }

  takeAll(): readonly HeldDelivery[] {
    const all = [...this.#lanes.values()].flatMap(({ deliveries }) => deliveries)
    this.#lanes.clear()
    this.#size = 0
    return all
  }

  /** Batches whose rest did not come, or that are larger than a batch may be by now: their deliveries are collected anew. */
  #breakUp({ maxEvents }: Batching, now: number): void {
    for (const [name, lane] of this.#lanes) {
      if (lane.size === undefined) continue
      if (lane.size <= maxEvents && (isWhole(lane) || now < lane.since + REST_WITHIN_MS)) continue
      this.#lanes.delete(name)
      this.#size -= lane.deliveries.length
      for (const delivery of lane.deliveries) this.add({ ...delivery, batch: undefined })
    }
  }

  #takeFrom(name: string, lane: Lane, maxEvents: number, now: number): Parcel | undefined {
    const taken =
      lane.since + LEASE_MS <= now
        ? takeLapsed(lane, now)
        : lane.deliveries.splice(0, lane.size ?? countOfNext(lane, maxEvents))
    for (const { event } of taken) lane.bytes -= bytesInBatch(event)
    lane.since = lane.deliveries.reduce((since, delivery) => Math.min(since, arrivedAt(delivery)), Infinity)
    if (lane.deliveries.length === 0) this.#lanes.delete(name)
    this.#size -= taken.length
    // Ids are in commit order.
    const [first, ...others] = taken.toSorted((a, b) => compareIds(a.id, b.id))
    return first && [first, ...others]
  }
}

function arrivedAt({ leaseEndsAt }: HeldDelivery): number {
  return leaseEndsAt - LEASE_MS
}

/** From when on something of it may go; once a lease has lapsed, to be given back. */
function readyFrom(lane: Lane, { maxEvents, maxWaitMs }: Batching, isHurried: boolean): number {
  if (lane.size !== undefined) return isWhole(lane) ? lane.since : lane.since + REST_WITHIN_MS
  const isFull = isHurried || lane.deliveries.length >= maxEvents || lane.bytes >= MAX_BATCH_BYTES
  return isFull ? lane.since : lane.since + maxWaitMs
}

function isWhole({ deliveries, size }: Lane): boolean {
  return deliveries.length === size
}

function takeLapsed(lane: Lane, now: number): HeldDelivery[] {
  const isLapsed = ({ leaseEndsAt }: HeldDelivery): boolean => leaseEndsAt <= now
  const lapsed = lane.deliveries.filter(isLapsed)
  lane.deliveries = lane.deliveries.filter((delivery) => !isLapsed(delivery))
  return lapsed
}

function countOfNext({ deliveries }: Lane, maxEvents: number): number {
  let bytes = 0
  for (const [n, { event }] of deliveries.entries()) {
    bytes += bytesInBatch(event)
    if (n === maxEvents || (n > 0 && bytes > MAX_BATCH_BYTES)) return n
  }
  return deliveries.length
}

/** Bigints as text. */
function compareIds(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : 1)
}
