/** A delivery that this process holds in memory, under a lease. */
import type { SentBatch } from '../core/sent-batch.ts'
import type { OutboxEvent } from '../core/outbox-event.ts'

export interface HeldDelivery {
  /** A bigint as text. */
  readonly id: string
  readonly subscriptionId: string
  readonly event: OutboxEvent
  /** It came over the log just now, and has not waited in the database. */
  readonly isFresh: boolean
  /**
   * When its event was committed, in unix milliseconds; when it was written, where it has waited in the database. Undefined where
   * its age says nothing of us: sent again, backfilled, or delayed on purpose.
   */
  readonly committedAt: number | undefined
  /** The `traceparent` of the span that relayed it; undefined where there is none. */
  readonly relayedBy: string | undefined
  /** The attempt that is owed, from 1. */
  readonly attempt: number
  /** Attempts that belong to an earlier schedule, before a resend. */
  readonly scheduleFrom: number
  /** The batch in which the last attempt failed. */
  readonly batch: SentBatch | undefined
  /** The lease as Postgres's text: it fences what we record. */
  readonly heldUntil: string
  /** The same lease on this process's clock, on the safe side: counted from before the statement was sent. */
  readonly leaseEndsAt: number
}

/** What one request carries: a delivery, or a batch of one subscription's. */
export type Parcel = readonly [HeldDelivery, ...HeldDelivery[]]

/** How long a delivery is held. An attempt starts only if it can end, by its own deadline, before the lease does. */
export const LEASE_MS = 60_000

/** What may pass between the end of an attempt's deadline and its outcome in our hands. */
export const LEASE_MARGIN_MS = 2_000

/** The latest moment at which an attempt of it may start, on this process's clock. */
export function latestStart(leaseEndsAt: number, timeoutMs: number): number {
  return leaseEndsAt - timeoutMs - LEASE_MARGIN_MS
}

/** What memory a delivery is taken to need, beside its payload and headers. */
const OVERHEAD_BYTES = 1_024

export function sizeInMemory(delivery: HeldDelivery): number {
  return OVERHEAD_BYTES + delivery.event.payload.length + headerLength(delivery.event.headers)
}

/** They may be 16 KiB, of which a webhook carries two. Most events have none, and this is asked for each. */
function headerLength(headers: OutboxEvent['headers']): number {
  let length = 0
  for (const [name, value] of Object.entries(headers))
    length += name.length + (typeof value === 'string' ? value : JSON.stringify(value)).length
  return length
}
