/** What the relay has just recorded and this process holds, as the dispatcher takes it. */
import { deliverAfterOf } from './core/outbox-event.ts'
import { type HeldDelivery, LEASE_MS } from './delivery/held-delivery.ts'
import type { Recorded } from './relay/record-batch.ts'

/** By event: the `traceparent` of the span that relayed it. */
export type RelaySpans = ReadonlyMap<string, string>

export function freshDeliveries(
  { held, leaseStartedAt }: Recorded,
  relayedBy: RelaySpans,
): readonly HeldDelivery[] {
  return held.map(({ delivery, event, committedAt }) => ({
    id: delivery.id,
    subscriptionId: delivery.subscriptionId,
    event,
    isFresh: true,
    committedAt:
      deliverAfterOf(event) === undefined
        ? (committedAt?.getTime() ?? Date.parse(event.timestamp))
        : undefined,
    relayedBy: relayedBy.get(event.id),
    attempt: 1,
    scheduleFrom: 0,
    batch: undefined,
    heldUntil: delivery.heldUntil,
    leaseEndsAt: leaseStartedAt + LEASE_MS,
  }))
}
