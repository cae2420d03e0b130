/**
 * Which delivery is attempted next: in memory, bounded by count and bytes, in turn between endpoints. It never waits
 * for an endpoint and never blocks whoever hands deliveries over: what it cannot take stays in the database.
 */
import type { AttemptOutcome } from '../core/attempt-outcome.ts'
import { type DeliveryPlan, PLAIN, type RateLimit } from '../core/subscription.ts'
import { EndpointQueue } from './endpoint-queue.ts'
import { type HeldDelivery, type Parcel, sizeInMemory } from './held-delivery.ts'

export interface DispatcherLimits {
  readonly maxInFlight: number
  readonly maxInFlightPerEndpoint: number
  /** Deliveries in memory, those in flight among them. */
  readonly maxHeld: number
  readonly maxHeldBytes: number
}

export interface DispatcherPorts {
  /** What is known of a subscription's plan without asking the database. */
  plan(subscriptionId: string): DeliveryPlan | undefined
  /** Asks it; undefined for a subscription that is not there. Never rejects. */
  readPlan(subscriptionId: string): Promise<DeliveryPlan | undefined>
  /** One more request of a subscription with a rate limit. Undefined: go; else when to ask again, or at `callBack`. */
  permit(subscriptionId: string, rate: RateLimit, waiting: number): number | undefined
  /**
   * One request, from its start to its outcome. Undefined: none was made, and the deliveries were given back.
   * Withheld: so it is with every delivery of this endpoint, for now.
   */
  attempt(parcel: Parcel): Promise<AttemptOutcome | 'withheld' | undefined>
  /** Deliveries that are not going to be attempted from memory. */
  giveBack(deliveries: readonly HeldDelivery[]): void
  /** False while outcomes pile up that cannot be recorded. */
  mayStart(): boolean
  /** An attempt threw. */
  onBug(error: unknown, parcel: Parcel): void
  /** There is room again, for this subscription's waiting deliveries among others. */
  onRoom(subscriptionId: string): void
  /** Milliseconds that only move forward. */
  now(): number
}

/** Of the places in memory: three endpoints that take all they may leave as much. */
const CROWDED_BELOW = 1 / 8

const FORGET_EVERY_MS = 60_000

export class Dispatcher {
  readonly #limits: DispatcherLimits
  readonly #ports: DispatcherPorts
  readonly #endpoints = new Map<string, EndpointQueue>()
  /** Endpoints that have something waiting, each once; taken from the front, put back at the end. */
  #round: EndpointQueue[] = []
  /**
   * Those that had their share already. One comes back when an attempt of its own ends, and whoever has been away for
   * longest when any does: looking at all of them each time would cost more with each slow endpoint.
   */
  readonly #turnedAway = new Set<EndpointQueue>()
  /** Those that wait for a moment, each with what will call it back. */
  readonly #timers = new Map<EndpointQueue, NodeJS.Timeout>()
  #running = 0
  /** Called when the last that is running has ended. */
  #onQuiet: (() => void) | undefined
  #waiting = 0
  #inFlightDeliveries = 0
  #bytes = 0
  #forgetsAt = -Infinity
  #isStopping = false

  constructor(limits: DispatcherLimits, ports: DispatcherPorts) {
    this.#limits = limits
    this.#ports = ports
  }

  /** Requests. */
  get inFlight(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting
  }

  /** Places for deliveries; 0 while bytes are used up. */
  get room(): number {
    if (this.#isStopping || this.#bytes >= this.#limits.maxHeldBytes) return 0
    return Math.max(0, this.#limits.maxHeld - this.#waiting - this.#inFlightDeliveries)
  }

  get roomBytes(): number {
    return Math.max(0, this.#limits.maxHeldBytes - this.#bytes)
  }

  get #isCrowded(): boolean {
    return (
      this.room < this.#limits.maxHeld * CROWDED_BELOW ||
      this.roomBytes < this.#limits.maxHeldBytes * CROWDED_BELOW
    )
  }

  /** Places for a subscription's deliveries that wait in the database. */
  roomFor(subscriptionId: string): number {
    const endpoint = this.#endpoints.get(subscriptionId) ?? new EndpointQueue(subscriptionId)
    return endpoint.roomForBacklog(this.room, this.#ports.now())
  }

  /** Subscriptions whose new deliveries had better wait in the database. */
  fullSubscriptions(): readonly string[] {
    const full = []
    const now = this.#ports.now()
    for (const endpoint of this.#endpoints.values()) {
      if (endpoint.isCircuitOpen || endpoint.room(this.room, now) === 0) full.push(endpoint.subscriptionId)
    }
    return full
  }

  /** Of what waits, that of endpoints which cannot take more now, and send too little for that to change soon. */
  get stuck(): number {
    let stuck = 0
    const now = this.#ports.now()
    for (const endpoint of this.#endpoints.values())
      if (!endpoint.isQuick(now) && endpoint.room(this.room, now) === 0) stuck += endpoint.waiting
    return stuck
  }

  get openCircuits(): number {
    let open = 0
    for (const endpoint of this.#endpoints.values()) if (endpoint.isCircuitOpen) open++
    return open
  }

  /** When an endpoint that keeps nothing in memory may have something again; undefined where that is at any time. */
  resumesAt(subscriptionId: string): number | undefined {
    return this.#endpoints.get(subscriptionId)?.resumesAt
  }

  offer(deliveries: readonly HeldDelivery[]): void {
    if (this.#isStopping) {
      this.#ports.giveBack(deliveries)
      return
    }
    const wasCrowded = this.#isCrowded
    for (const delivery of deliveries) {
      const endpoint = this.#endpoint(delivery.subscriptionId)
      endpoint.add(delivery)
      this.#waiting++
      this.#bytes += sizeInMemory(delivery)
      this.#enterRound(endpoint)
    }
    if (this.#isCrowded && !wasCrowded) for (const endpoint of this.#timers.keys()) this.#enterRound(endpoint)
    this.pump()
  }

  /** What this subscription waited for may be there. */
  callBack(subscriptionId: string): void {
    const endpoint = this.#endpoints.get(subscriptionId)
    if (endpoint === undefined) return
    this.#enterRound(endpoint)
    this.pump()
  }

  /** Starts what may be started. Safe to call at any time. */
  pump(): void {
    while (this.#round.length > 0 && !this.#isStopping && this.#ports.mayStart()) {
      const free = this.#limits.maxInFlight - this.inFlight
      if (free <= 0) return
      const endpoint = this.#round.shift()
      if (endpoint === undefined) return
      endpoint.isInRound = false
      this.#takeTurn(endpoint, free)
    }
  }

  /** Starts nothing more, gives back what waits, and resolves when what is in flight has ended. */
  async stop(): Promise<void> {
    this.#isStopping = true
    for (const endpoint of this.#endpoints.values()) this.#giveBackWaiting(endpoint)
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#round = []
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#onQuiet = resolve))
  }

  #endpoint(subscriptionId: string): EndpointQueue {
    const known = this.#endpoints.get(subscriptionId)
    if (known !== undefined) return known
    this.#forgetUnused()
    const endpoint = new EndpointQueue(subscriptionId)
    this.#endpoints.set(subscriptionId, endpoint)
    return endpoint
  }

  /** When another comes, since there would be no growth without, and seldom: it looks at all of them. */
  #forgetUnused(): void {
    const now = this.#ports.now()
    if (now < this.#forgetsAt) return
    this.#forgetsAt = now + FORGET_EVERY_MS
    for (const [id, endpoint] of this.#endpoints) if (endpoint.isUnused(now)) this.#endpoints.delete(id)
  }

  #enterRound(endpoint: EndpointQueue): void {
    this.#turnedAway.delete(endpoint)
    if (endpoint.isInRound || endpoint.isReadingPlan || endpoint.waiting === 0) return
    endpoint.isInRound = true
    this.#round.push(endpoint)
  }

  #takeTurn(endpoint: EndpointQueue, free: number): void {
    const plan = this.#ports.plan(endpoint.subscriptionId) ?? endpoint.plan
    if (plan === undefined) {
      this.#readPlan(endpoint)
      return
    }
    const now = this.#ports.now()
    const permit = (rate: RateLimit, waiting: number): number | undefined =>
      this.#ports.permit(endpoint.subscriptionId, rate, waiting)
    const cap = this.#limits.maxInFlightPerEndpoint
    const turn = endpoint.turn(plan, { cap, free, isCrowded: this.#isCrowded, now, permit })
    switch (turn.kind) {
      case 'send':
        this.#start(endpoint, turn.parcel)
        // One request a turn: then it is the next endpoint's.
        this.#enterRound(endpoint)
        return
      case 'wait':
        this.#turnedAway.add(endpoint)
        return
      case 'wait_until':
        this.#callBackAfter(endpoint, turn.at - now)
        return
      case 'give_back':
        this.#giveBackWaiting(endpoint)
        return
      case 'give_back_late':
        this.#giveBack(turn.deliveries)
        endpoint.leaseLapsed()
        this.#enterRound(endpoint)
        return
      default:
        turn satisfies never
    }
  }

  #readPlan(endpoint: EndpointQueue): void {
    if (endpoint.isReadingPlan) return
    endpoint.isReadingPlan = true
    void this.#ports.readPlan(endpoint.subscriptionId).then((plan) => {
      endpoint.isReadingPlan = false
      // Without a subscription the attempt gives its deliveries back.
      endpoint.plan = plan ?? PLAIN
      this.#enterRound(endpoint)
      this.pump()
    })
  }

  /** What is due already is called back too, and not at once: its caller is in the midst of a round. */
  #callBackAfter(endpoint: EndpointQueue, afterMs: number): void {
    clearTimeout(this.#timers.get(endpoint))
    const timer = setTimeout(
      () => {
        this.#timers.delete(endpoint)
        this.#enterRound(endpoint)
        this.pump()
      },
      Math.max(0, afterMs),
    )
    this.#timers.set(endpoint, timer)
  }

  #start(endpoint: EndpointQueue, parcel: Parcel): void {
    this.#waiting -= parcel.length
    endpoint.inFlight++
    this.#inFlightDeliveries += parcel.length
    const startedAt = this.#ports.now()
    this.#running++
    const ended = (outcome: AttemptOutcome | 'withheld' | undefined): void => {
      this.#running--
      this.#inFlightDeliveries -= parcel.length
      for (const delivery of parcel) this.#bytes -= sizeInMemory(delivery)
      this.#ended(endpoint, outcome, startedAt)
      if (this.#running === 0) this.#onQuiet?.()
    }
    this.#ports.attempt(parcel).then(ended, (error: unknown) => {
      // A bug: an attempt tells everything else by its outcome. The deliveries come again when their lease has lapsed.
      this.#ports.onBug(error, parcel)
      ended(undefined)
    })
  }

  #ended(endpoint: EndpointQueue, outcome: AttemptOutcome | 'withheld' | undefined, startedAt: number): void {
    if (outcome === undefined) endpoint.leaseLapsed()
    // An endpoint that has just opened its circuit keeps nothing in memory: its deliveries wait without using it up.
    else if (endpoint.attempted(outcome, startedAt, this.#ports.now())) this.#giveBackWaiting(endpoint)
    endpoint.inFlight--
    this.#enterRound(endpoint)
    const [longestAway] = this.#turnedAway
    if (longestAway !== undefined) this.#enterRound(longestAway)
    if (endpoint.waiting < endpoint.parcelSize) this.#ports.onRoom(endpoint.subscriptionId)
    if (endpoint.isIdle) this.#endpoints.delete(endpoint.subscriptionId)
    this.pump()
  }

  #giveBackWaiting(endpoint: EndpointQueue): void {
    const rest = endpoint.takeAll()
    if (rest.length === 0) return
    this.#turnedAway.delete(endpoint)
    clearTimeout(this.#timers.get(endpoint))
    this.#timers.delete(endpoint)
    if (endpoint.isInRound) this.#round.splice(this.#round.indexOf(endpoint), 1)
    endpoint.isInRound = false
    this.#giveBack(rest)
  }

  /** They have left their queue. */
  #giveBack(deliveries: readonly HeldDelivery[]): void {
    this.#waiting -= deliveries.length
    for (const delivery of deliveries) this.#bytes -= sizeInMemory(delivery)
    this.#ports.giveBack(deliveries)
  }
}
