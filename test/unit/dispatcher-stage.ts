/** A dispatcher and what it asked of its surroundings: attempts end when the test says so, or never. */
import type { AttemptOutcome } from '../../src/core/attempt-outcome.ts'
import { OPENS_AFTER } from '../../src/core/circuit.ts'
import { type DeliveryPlan, PLAIN } from '../../src/core/subscription.ts'
import { Dispatcher, type DispatcherLimits, type DispatcherPorts } from '../../src/delivery/dispatcher.ts'
import type { HeldDelivery, Parcel } from '../../src/delivery/held-delivery.ts'
import { aHeldDelivery } from './a-held-delivery.ts'

/** Not by being too slow: its window stays as it is. */
export const FAILED: AttemptOutcome = { kind: 'unreachable', error: 'reset' }
export const DELIVERED: AttemptOutcome = { kind: 'delivered', status: 204 }
export const LIMITS: DispatcherLimits = {
  maxInFlight: 16,
  maxInFlightPerEndpoint: 16,
  maxHeld: 1_000,
  maxHeldBytes: 64 * 1024 * 1024,
}

interface Running {
  readonly delivery: HeldDelivery
  readonly parcel: Parcel
  readonly settle: PromiseWithResolvers<AttemptOutcome | undefined>
}

export class DispatcherStage {
  readonly started: HeldDelivery[] = []
  readonly returned: HeldDelivery[] = []
  readonly bugs: unknown[] = []
  readonly roomFor: string[] = []
  running: Running[] = []
  now = 0
  /** Every subscription's. */
  plan: DeliveryPlan = PLAIN
  permit: (waiting: number) => number | undefined = () => undefined
  mayStart = true
  readonly dispatcher: Dispatcher

  constructor(limits: Partial<DispatcherLimits> = {}) {
    const ports: DispatcherPorts = {
      plan: () => this.plan,
      readPlan: () => Promise.resolve(this.plan),
      permit: (_subscriptionId, _rate, waiting) => this.permit(waiting),
      attempt: (parcel) => {
        const [delivery] = parcel
        const settle = Promise.withResolvers<AttemptOutcome | undefined>()
        this.started.push(...parcel)
        this.running.push({ delivery, parcel, settle })
        return settle.promise
      },
      giveBack: (deliveries) => void this.returned.push(...deliveries),
      mayStart: () => this.mayStart,
      onBug: (error) => void this.bugs.push(error),
      onRoom: (subscriptionId) => void this.roomFor.push(subscriptionId),
      now: () => this.now,
    }
    this.dispatcher = new Dispatcher({ ...LIMITS, ...limits }, ports)
  }

  offer(endpoint: string, count: number, payload = '{}'): readonly HeldDelivery[] {
    const deliveries = Array.from({ length: count }, () => aHeldDelivery(endpoint, { payload }))
    this.dispatcher.offer(deliveries)
    return deliveries
  }

  inFlight(endpoint: string): number {
    return this.running.filter(({ delivery }) => delivery.subscriptionId === endpoint).length
  }

  /** Ends the oldest attempt that is running, of `endpoint` or of any; resolves when the dispatcher has taken note. */
  async end(outcome: AttemptOutcome | undefined, endpoint?: string): Promise<void> {
    const running = this.running.find((r) => endpoint === undefined || r.delivery.subscriptionId === endpoint)
    if (running === undefined) throw new Error('no attempt is running')
    this.running = this.running.filter((r) => r !== running)
    running.settle.resolve(outcome)
    await settled()
  }

  async openCircuit(endpoint: string): Promise<void> {
    for (let i = 0; i < OPENS_AFTER; i++) {
      if (this.inFlight(endpoint) === 0) this.offer(endpoint, 1)
      await this.end(FAILED, endpoint)
    }
  }

  /** Ends every attempt, and those that start then, but for those of `hanging`. */
  async endAll(outcome: AttemptOutcome | undefined, hanging: ReadonlySet<string> = new Set()): Promise<void> {
    for (;;) {
      const ending = this.running.filter(({ delivery }) => !hanging.has(delivery.subscriptionId))
      if (ending.length === 0) return
      this.running = this.running.filter(({ delivery }) => hanging.has(delivery.subscriptionId))
      for (const { settle } of ending) settle.resolve(outcome)
      await settled()
    }
  }
}

/** After every promise that is settled by now has told its followers. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
