/** A delivery as the dispatcher holds it, for tests: what a test does not name is some valid value. */
import type { HeldDelivery } from '../../src/delivery/held-delivery.ts'

let made = 0

export function aHeldDelivery(
  subscriptionId: string,
  changes: Partial<HeldDelivery> & {
    readonly payload?: string
    readonly headers?: Record<string, unknown>
  } = {},
): HeldDelivery {
  const { payload = '{}', headers = {}, ...rest } = changes
  return {
    id: String(++made),
    subscriptionId,
    event: {
      id: '0199c1a2-7b3d-7c4e-8f10-0123456789ab',
      type: 'order.created',
      key: null,
      tenant: null,
      payload,
      headers,
      timestamp: '2026-11-22T15:30:09.123456Z',
    },
    isFresh: true,
    committedAt: undefined,
    relayedBy: undefined,
    attempt: 1,
    scheduleFrom: 0,
    batch: undefined,
    heldUntil: '2026-11-22 15:31:09.123456+00',
    leaseEndsAt: 60_000,
    ...rest,
  }
}
