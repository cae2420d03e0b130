/**
 * Brings what waits in the database into the dispatcher: overflow, retries that are due, lapsed leases, resends. It
 * asks for each subscription by itself, so that a long backlog of one does not stand before the others.
 */
import { FIRST_CURSOR } from '../core/first-cursor.ts'
import { deliverAfterOf } from '../core/outbox-event.ts'
import { Wake } from '../lifecycle/wake.ts'
import type { ClaimedDelivery, ClaimRequest } from '../store/held-deliveries.ts'
import { type HeldDelivery, LEASE_MS } from './held-delivery.ts'

export interface BacklogPorts {
  findWaiting(
    cursor: string,
    limit: number,
  ): Promise<{ subscriptionIds: readonly string[]; cursor: string | undefined }>
  /** Puts behind what is not the first of its key. Returns those subscriptions that it did not come to the end of. */
  queueUp(subscriptionIds: readonly string[]): Promise<ReadonlySet<string>>
  claim(request: ClaimRequest): Promise<readonly ClaimedDelivery[]>
  /** For events that the outbox does not have. */
  abandon(deliveries: readonly ClaimedDelivery[]): Promise<void>
  postpone(deliveries: readonly ClaimedDelivery[]): Promise<void>
  /** Older than their subscription wants them. */
  expire(deliveries: readonly HeldDelivery[]): Promise<void>
  readonly dispatcher: {
    readonly room: number
    readonly roomBytes: number
    roomFor(subscriptionId: string): number
    resumesAt(subscriptionId: string): number | undefined
    offer(deliveries: readonly HeldDelivery[]): void
  }
  unsettled(): ReadonlySet<string>
  /** So many retries were taken whose jobs had not rung: somebody removed them, or the clock stood still. */
  onJobsLost(count: number): void
  onError(error: unknown): void
  /** Milliseconds that only move forward. */
  now(): number
}

/** How often the whole table is asked, for what this process was not told of. */
const LOOK_EVERY_MS = 1_000
/** Subscriptions looked through at a time. */
const LOOK_THROUGH = 2_000
const CLAIM = 1_000
/** After an error: longer than the settler's longest pause, so that outcomes are recorded before leases are taken over. */
const PAUSE_AFTER_ERROR_MS = 3_000
/** An event that is not visible after this long was deleted. */
const MISSING_AFTER_MS = 60_000

export class Backlog {
  readonly #ports: BacklogPorts
  readonly #wake = new Wake()
  /** Subscriptions known to have something waiting. */
  #waiting = new Set<string>()
  /** Those of them that the claim under way was too early for, perhaps. */
  readonly #toldMeanwhile = new Set<string>()
  #cursor = FIRST_CURSOR
  #lookedAt = -Infinity
  #isBack = false

  constructor(ports: BacklogPorts) {
    this.#ports = ports
  }

  /** These have something waiting, as far as the caller knows. */
  expect(subscriptionIds: Iterable<string>): void {
    for (const id of subscriptionIds) {
      this.#waiting.add(id)
      this.#toldMeanwhile.add(id)
    }
    this.#wake.set()
  }

  /** Room for a subscription's deliveries: worth a claim if it has any. */
  roomFor(subscriptionId: string): void {
    if (this.#waiting.has(subscriptionId)) this.#wake.set()
  }

  /** Runs until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#ports.now() - this.#lookedAt >= LOOK_EVERY_MS) await this.#look()
        if (this.#isBack) await this.#letOthersSettle(signal)
        while (!signal.aborted && (await this.#claim()));
        await this.#wake.sleep(this.#pauseMs(), signal)
      } catch (error) {
        this.#ports.onError(error)
        this.#isBack = true
        await new Wake().sleep(PAUSE_AFTER_ERROR_MS, signal)
      }
    }
  }

  /** The database was away and is back: every replica records what it knows before leases that lapsed are taken over. */
  async #letOthersSettle(signal: AbortSignal): Promise<void> {
    this.#isBack = false
    await new Wake().sleep(PAUSE_AFTER_ERROR_MS, signal)
  }

  async #look(): Promise<void> {
    this.#lookedAt = this.#ports.now()
    const found = await this.#ports.findWaiting(this.#cursor, LOOK_THROUGH)
    this.#cursor = found.cursor ?? FIRST_CURSOR
    for (const id of found.subscriptionIds) this.#waiting.add(id)
  }

  /** Returns whether there may be more to claim at once. */
  async #claim(): Promise<boolean> {
    const { dispatcher } = this.#ports
    const limit = Math.min(dispatcher.room, CLAIM)
    const room = this.#roomForWaiting()
    if (limit === 0 || room.size === 0) return false
    this.#toldMeanwhile.clear()
    const unqueued = await this.#ports.queueUp([...room.keys()])
    for (const id of unqueued) room.delete(id)
    if (room.size === 0) return true

    const leaseEndsAt = this.#ports.now() + LEASE_MS
    const claimed = await this.#ports.claim({
      room,
      limit,
      limitBytes: dispatcher.roomBytes,
      unsettled: [...this.#ports.unsettled()],
      leaseMs: LEASE_MS,
    })
    if (claimed.length < limit) this.#forgetEmptied(room, claimed)
    this.#moveBehind(claimed)
    const lost = claimed.filter(({ hadNoJob }) => hadNoJob).length
    if (lost > 0) this.#ports.onJobsLost(lost)
    await this.#setAside(claimed.filter((delivery) => delivery.event === undefined))
    const held = (expired: boolean): HeldDelivery[] =>
      claimed.flatMap((delivery) => (delivery.isExpired === expired ? toHeld(delivery, leaseEndsAt) : []))
    await this.#ports.expire(held(true))
    dispatcher.offer(held(false))
    return claimed.length > 0 || unqueued.size > 0
  }

  #roomForWaiting(): Map<string, number> {
    const room = new Map<string, number>()
    for (const id of this.#waiting) {
      const places = this.#ports.dispatcher.roomFor(id)
      if (places > 0) room.set(id, Math.min(places, CLAIM))
      if (room.size >= CLAIM) break
    }
    return room
  }

  /** Who got less than it had room for has nothing more waiting, unless the bytes ran out: then the next look finds it. */
  #forgetEmptied(room: ReadonlyMap<string, number>, claimed: readonly ClaimedDelivery[]): void {
    const got = new Map<string, number>()
    for (const { subscriptionId } of claimed) got.set(subscriptionId, (got.get(subscriptionId) ?? 0) + 1)
    for (const [id, places] of room)
      if ((got.get(id) ?? 0) < places && !this.#toldMeanwhile.has(id)) this.#waiting.delete(id)
  }

  /** Whoever got something comes last the next time. */
  #moveBehind(claimed: readonly ClaimedDelivery[]): void {
    for (const { subscriptionId } of claimed) {
      if (this.#waiting.delete(subscriptionId)) this.#waiting.add(subscriptionId)
    }
  }

  /** Under synchronous replication a row may come over the log before it can be read; one that never comes was deleted. */
  async #setAside(missing: readonly ClaimedDelivery[]): Promise<void> {
    await this.#ports.abandon(missing.filter((delivery) => delivery.ageMs >= MISSING_AFTER_MS))
    await this.#ports.postpone(missing.filter((delivery) => delivery.ageMs < MISSING_AFTER_MS))
  }

  #pauseMs(): number {
    const now = this.#ports.now()
    let pauseMs = LOOK_EVERY_MS
    for (const id of this.#waiting) {
      const resumesAt = this.#ports.dispatcher.resumesAt(id)
      if (resumesAt !== undefined && resumesAt > now) pauseMs = Math.min(pauseMs, resumesAt - now)
    }
    return pauseMs
  }
}

function toHeld(delivery: ClaimedDelivery, leaseEndsAt: number): HeldDelivery[] {
  if (delivery.event === undefined) return []
  const { id, subscriptionId, event, heldUntil, scheduleFrom, batch } = delivery
  return [
    {
      id,
      subscriptionId,
      event,
      isFresh: false,
      committedAt:
        delivery.isFirstTime && deliverAfterOf(event) === undefined ? Date.parse(event.timestamp) : undefined,
      relayedBy: undefined,
      heldUntil,
      scheduleFrom,
      batch,
      attempt: delivery.attempts + 1,
      leaseEndsAt,
    },
  ]
}
