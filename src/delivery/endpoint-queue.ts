/**
 * One endpoint's share of the dispatcher: what waits in memory, what is in flight, and its circuit. How much it may
 * have is worked out here, from what is free: an endpoint that hogs leaves less and less, and never nothing. So is what it does
 * when it is its turn: what the next request carries, or what it waits for.
 */
import type { AttemptOutcome } from '../core/attempt-outcome.ts'
import { afterAttempt, afterWithheld, type Circuit, CLOSED, isOpen } from '../core/circuit.ts'
import { afterSample, FIRST_WINDOW as FIRST_CONCURRENCY } from '../core/concurrency-window.ts'
import { type Batching, type DeliveryPlan, PLAIN, type RateLimit } from '../core/subscription.ts'
import { BatchCollection } from './batch-collection.ts'
import { Fifo } from './fifo.ts'
import { type HeldDelivery, latestStart, type Parcel } from './held-delivery.ts'

/** Of what is free, the share that one endpoint may take: with k greedy ones, 1/(1+k/2) stays free for the others. */
const SHARE_OF_FREE = 0.5

/**
 * How many deliveries an endpoint may have waiting in memory. It grows while the endpoint empties its queue, or takes as much as
 * would fill it within seconds, and shrinks when leases lapse there, so that a slow one holds no more than it can attempt in time.
 */
const FIRST_WINDOW = 2_048
const SMALLEST_WINDOW = 16
const LARGEST_WINDOW = 16_384
/** A window that was sent within this may be twice as large: that is a sixth of a lease then. */
const WIDEN_WITHIN_MS = 5_000
/** What is sent as fast as that is worth waiting for, rather than to record what comes next as waiting. */
const QUICK_MS = 1_000
/** Of its window, what the backlog may fill: fresh deliveries find room, and come before it. */
const BACKLOG_SHARE = 0.5
/** But each so many requests it is the backlog's turn, or a busy day would keep it waiting for ever. */
const BACKLOG_EVERY = 8
/** With a rate limit, what is held in memory: so much that no lease lapses before its turn comes. */
const RATE_WINDOW_SECONDS = 15

/** What waits in the database for an endpoint has a turn each minute at least, with a probe. */
const UNUSED_AFTER_MS = 600_000

/** What an endpoint does when it is its turn. */
export type Turn =
  | { readonly kind: 'send'; readonly parcel: Parcel }
  /** Until an attempt of its own ends. */
  | { readonly kind: 'wait' }
  /** In the caller's milliseconds. */
  | { readonly kind: 'wait_until'; readonly at: number }
  /** Its circuit is open and no probe is due, or its rate is used up for long: it keeps nothing in memory. */
  | { readonly kind: 'give_back' }
  /** These will not have their turn in time; the others may. */
  | { readonly kind: 'give_back_late'; readonly deliveries: readonly HeldDelivery[] }

export interface Share {
  /** Attempts in flight at one time. */
  readonly cap: number
  /** Places in flight that are free for all. */
  readonly free: number
  /** Memory is nearly used up: what is being collected goes as it is, rather than stand in others' way. */
  readonly isCrowded: boolean
  /** In milliseconds that only move forward. */
  readonly now: number
  /** One more request of a subscription with a rate limit. Undefined: go; else when to ask again. */
  readonly permit: (rate: RateLimit, waiting: number) => number | undefined
}

export class EndpointQueue {
  readonly subscriptionId: string
  /** Requests, each with one delivery or a batch. */
  inFlight = 0
  /** Whether it stands in the dispatcher's round. */
  isInRound = false
  /** As it was last read, for when nothing newer is at hand. */
  plan: DeliveryPlan | undefined
  isReadingPlan = false
  /** First attempts, as they come over the log. */
  readonly #fresh = new Fifo<HeldDelivery>()
  /** What waited in the database: retries, overflow, what was parked. */
  readonly #backlog = new Fifo<HeldDelivery>()
  /** All of both, while the plan is to batch. */
  readonly #batches = new BatchCollection()
  #taken = 0
  #lastTurnAt = -Infinity
  /** Its rate is used up until then. */
  #restsUntil = -Infinity
  #window = FIRST_WINDOW
  #sent = 0
  #countsSince: number | undefined
  #concurrency = FIRST_CONCURRENCY
  #circuit: Circuit = CLOSED

  constructor(subscriptionId: string) {
    this.subscriptionId = subscriptionId
  }

  get waiting(): number {
    return this.#fresh.length + this.#backlog.length + this.#batches.size
  }

  /** Deliveries that its next request may carry. */
  get parcelSize(): number {
    return this.plan?.batch?.maxEvents ?? 1
  }

  /** Whether nothing would be lost by forgetting it. */
  get isIdle(): boolean {
    const isWell = this.#circuit === CLOSED && this.concurrency >= FIRST_CONCURRENCY.limit
    return this.waiting === 0 && this.inFlight === 0 && isWell
  }

  /** Whether it has had nothing to do for so long that what is held against it is stale: its subscription may be gone. */
  isUnused(now: number): boolean {
    return this.waiting === 0 && this.inFlight === 0 && now >= this.#lastTurnAt + UNUSED_AFTER_MS
  }

  /** Whether it sends a window full within a second; taken for granted at first. */
  isQuick(now: number): boolean {
    return this.#countsSince === undefined || now - this.#countsSince < QUICK_MS
  }

  get isCircuitOpen(): boolean {
    return isOpen(this.#circuit)
  }

  /** When something may go again, of what keeps nothing in memory: its next probe, or its next permit. */
  get resumesAt(): number | undefined {
    const { probeAt } = this.#circuit
    return this.#restsUntil === -Infinity ? probeAt : Math.max(this.#restsUntil, probeAt ?? -Infinity)
  }

  /** Requests that it may have in flight, as it has shown so far. */
  get concurrency(): number {
    return Math.floor(this.#concurrency.limit)
  }

  add(delivery: HeldDelivery): void {
    const lane = delivery.isFresh ? this.#fresh : this.#backlog
    lane.add(delivery)
  }

  turn(plan: DeliveryPlan, { cap, free, isCrowded, now, permit }: Share): Turn {
    this.plan = plan
    this.#lastTurnAt = now
    const own = Math.min(cap, plan.maxInFlight ?? cap, this.concurrency)
    if (!this.mayStart(own, free, now)) return this.inFlight > 0 ? { kind: 'wait' } : { kind: 'give_back' }
    if (this.waiting === 0) return { kind: 'wait' }
    const isHurried = isCrowded || this.isCircuitOpen
    const collectedAt = this.#collect(plan.batch, now, isHurried)
    if (collectedAt > now) return { kind: 'wait_until', at: collectedAt }
    if (plan.rateLimit !== undefined) {
      const late = this.#takeLate(plan.timeoutMs, now)
      if (late.length > 0) return { kind: 'give_back_late', deliveries: late }
      const at = permit(plan.rateLimit, Math.ceil(this.waiting / this.parcelSize))
      if (at !== undefined) return this.#waitForRate(at, plan.timeoutMs)
    }
    const parcel = plan.batch === undefined ? this.#takeOne() : this.#takeBatch(plan.batch, now, isHurried)
    if (parcel === undefined) return { kind: 'wait' }
    this.#count(parcel.length, now)
    return { kind: 'send', parcel }
  }

  /** What a lease would not last for, and what is more than will have its turn: a permit is not spent on it. */
  #takeLate(timeoutMs: number, now: number): readonly HeldDelivery[] {
    const late: HeldDelivery[] = []
    for (const lane of [this.#backlog, this.#fresh])
      for (
        let first = lane.first();
        first !== undefined && now > latestStart(first.leaseEndsAt, timeoutMs);
        first = lane.first()
      ) {
        late.push(first)
        lane.take()
      }
    if (this.#backlog.length + this.#fresh.length <= this.#paced) return late
    const all = [...this.#backlog.takeAll(), ...this.#fresh.takeAll()]
    for (const delivery of all.slice(0, this.#paced)) this.add(delivery)
    return [...late, ...all.slice(this.#paced)]
  }

  /** In memory, where that is soon enough; else in the database, whence nothing is taken before. */
  #waitForRate(at: number, timeoutMs: number): Turn {
    const held = [this.#backlog.first(), this.#fresh.first()].flatMap((delivery) => delivery ?? [])
    if (held.every(({ leaseEndsAt }) => at <= latestStart(leaseEndsAt, timeoutMs)))
      return { kind: 'wait_until', at }
    this.#restsUntil = at
    return { kind: 'give_back' }
  }

  /** Puts what waits where it is taken from by this plan. Returns from when on something may go. */
  #collect(batching: Batching | undefined, now: number, isHurried: boolean): number {
    if (batching === undefined) {
      for (const delivery of this.#batches.takeAll()) this.add(delivery)
      return now
    }
    for (const delivery of [...this.#backlog.takeAll(), ...this.#fresh.takeAll()]) this.#batches.add(delivery)
    return this.#batches.readyAt(batching, now, isHurried)
  }

  #takeBatch(batching: Batching, now: number, isHurried: boolean): Parcel | undefined {
    const parcel = this.#batches.take(batching, now, isHurried)
    if (this.waiting < batching.maxEvents) this.#widen()
    return parcel
  }

  #takeOne(): Parcel | undefined {
    const delivery = this.take()
    return delivery && [delivery]
  }

  take(): HeldDelivery | undefined {
    this.#taken++
    const isBacklogsTurn = this.#taken % BACKLOG_EVERY === 0
    const [first, second] = isBacklogsTurn ? [this.#backlog, this.#fresh] : [this.#fresh, this.#backlog]
    const delivery = first.take() ?? second.take()
    if (delivery !== undefined && this.waiting === 0) this.#widen()
    return delivery
  }

  takeAll(): readonly HeldDelivery[] {
    return [...this.#batches.takeAll(), ...this.#backlog.takeAll(), ...this.#fresh.takeAll()]
  }

  #count(sent: number, now: number): void {
    this.#sent += sent
    this.#countsSince ??= now
    if (this.#sent < this.#window) return
    if (now - this.#countsSince < WIDEN_WITHIN_MS) this.#widen()
    this.#sent = 0
    this.#countsSince = now
  }

  #widen(): void {
    this.#window = Math.min(this.#window * 2, LARGEST_WINDOW)
  }

  leaseLapsed(): void {
    this.#window = Math.max(SMALLEST_WINDOW, Math.floor(this.#window / 2))
  }

  /** Fresh deliveries that it may take into memory, of `free` places. */
  room(free: number, now: number): number {
    return this.#roomIn(this.#window, free, now)
  }

  /** The same for what waits in the database. */
  roomForBacklog(free: number, now: number): number {
    return this.#roomIn(Math.ceil(this.#window * BACKLOG_SHARE), free, now)
  }

  /** Whether one more attempt may start, of `free` places in flight. While the circuit is open: one probe at a time. */
  mayStart(cap: number, free: number, now: number): boolean {
    if (free <= 0) return false
    const { probeAt } = this.#circuit
    if (probeAt !== undefined) return this.inFlight === 0 && now >= probeAt
    return this.inFlight < Math.min(cap, Math.ceil(free * SHARE_OF_FREE))
  }

  /** What came of a request that began at `startedAt`, while it is still among those in flight. Returns whether this opened the circuit. */
  attempted(outcome: AttemptOutcome | 'withheld', startedAt: number, now: number): boolean {
    const wasOpen = this.isCircuitOpen
    if (outcome === 'withheld') {
      this.#circuit = afterWithheld(this.#circuit, now)
    } else {
      this.#circuit = afterAttempt(this.#circuit, outcome, now)
      const wasFull = this.inFlight >= this.concurrency
      this.#concurrency = afterSample(this.#concurrency, { outcome, startedAt, now, wasFull })
    }
    return this.isCircuitOpen && !wasOpen
  }

  #roomIn(window: number, free: number, now: number): number {
    if (now < this.#restsUntil || (this.isCircuitOpen && !this.mayStart(1, free, now))) return 0
    const most = this.isCircuitOpen ? this.parcelSize : Math.max(Math.min(window, this.#paced), this.#least)
    return Math.max(0, Math.min(most - this.waiting, Math.ceil(free * SHARE_OF_FREE)))
  }

  /** A batch that comes back piece by piece has to find room beside one that is being collected. */
  get #least(): number {
    return this.plan?.batch === undefined ? 0 : 2 * this.parcelSize
  }

  get #paced(): number {
    const { rateLimit } = this.plan ?? PLAIN
    return rateLimit === undefined
      ? Infinity
      : Math.ceil(rateLimit.perSecond * RATE_WINDOW_SECONDS) * this.parcelSize
  }
}
