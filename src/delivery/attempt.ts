/** One request, for one delivery or a batch: load → send → decide → record. No database transaction is open while it runs. */
import { type AttemptOutcome, outcomeOf, type WebhookResponse } from '../core/attempt-outcome.ts'
import type { SentBatch } from '../core/sent-batch.ts'
import { nextStep, withinPatience } from '../core/retry-schedule.ts'
import type { Subscription } from '../core/subscription.ts'
import { batchRequest, webhookRequest, type WireOptions } from '../core/webhook-request.ts'
import { isExpired, isOperatorEvent, isTestEvent } from '../core/outbox-event.ts'
import type { Settlement } from '../store/settlement.ts'
import { type HeldDelivery, latestStart, LEASE_MARGIN_MS, type Parcel } from './held-delivery.ts'
import type { OutgoingRequest } from './webhook-client.ts'

/** Told of an attempt as it begins and ends. */
export interface AttemptWatch {
  /** What the receiver is told in place of the event's own; undefined leaves that as it is. */
  readonly traceparent: string | undefined
  ended(response: WebhookResponse): void
}

export interface AttemptPorts {
  /** The subscription, where it was read so lately that an attempt may go by it. */
  known(subscriptionId: string): Subscription | undefined
  /** The subscription as it is now, or undefined where it was deleted or could not be read in time. */
  load(subscriptionId: string, deadline: number): Promise<Subscription | undefined>
  /** The same, once its endpoint was asked for the consent that it awaits. */
  seekConsent(subscription: Subscription, deadline: number): Promise<Subscription | undefined>
  send(
    request: OutgoingRequest,
    options: { timeoutMs: number; signal: AbortSignal; subscription: Subscription },
  ): Promise<WebhookResponse>
  /** The request is about to be sent. */
  watch(parcel: Parcel, request: { readonly url: string; readonly batchId: string | undefined }): AttemptWatch
  record(settlement: Settlement, delivery: HeldDelivery): void
  giveBack(deliveries: readonly HeldDelivery[]): void
  /** They are older than their subscription wants them: cancelled, without an attempt. Never rejects. */
  expire(deliveries: readonly HeldDelivery[]): Promise<void>
  readonly userAgent: string
  /** Aborts what is in flight: the grace of a stop has passed. */
  readonly signal: AbortSignal
  /** Milliseconds that only move forward. */
  now(): number
  /** Unix milliseconds. */
  clock(): number
  /** In [0, 1). */
  random(): number
  /** A new one. */
  batchId(): string
}

/**
 * Undefined: no attempt was made, or none that counts, and the deliveries were given back. Withheld: given back too, since
 * nothing can be sent for this subscription until somebody mends its secrets or brings the key, or its endpoint consents.
 */
export async function attempt(
  parcel: Parcel,
  ports: AttemptPorts,
): Promise<AttemptOutcome | 'withheld' | undefined> {
  const leaseEndsAt = Math.min(...parcel.map((delivery) => delivery.leaseEndsAt))
  const readBy = leaseEndsAt - LEASE_MARGIN_MS
  const [{ subscriptionId }] = parcel
  // Nearly every attempt has nothing to wait for before its request.
  const known = ports.known(subscriptionId) ?? (await ports.load(subscriptionId, readBy))
  const subscription = known?.consent === 'awaited' ? await ports.seekConsent(known, readBy) : known
  if (
    subscription === undefined ||
    subscription.state !== 'active' ||
    !fitsLease(leaseEndsAt, subscription, ports.now()) ||
    // Collected by a plan that has changed meanwhile.
    (subscription.batch === undefined && parcel.length > 1)
  ) {
    ports.giveBack(parcel)
    return undefined
  }
  const { request, signers } = subscription
  if (signers === undefined || subscription.access === undefined || subscription.consent === 'awaited') {
    ports.giveBack(parcel)
    return 'withheld'
  }

  const wanted = withoutCancelled(parcel, subscription, ports)
  const { ttlMs } = subscription
  const fresh = wanted && ttlMs !== undefined ? await withoutExpired(wanted, ttlMs, ports) : wanted
  if (fresh === undefined) return undefined
  // What had expired was cancelled in the database, however long that took.
  if (fresh !== wanted && !fitsLease(leaseEndsAt, subscription, ports.now())) {
    ports.giveBack(fresh)
    return undefined
  }
  const isByItself = subscription.batch === undefined || isTestEvent(fresh[0].event)
  const batch = isByItself ? undefined : batchOf(fresh, ports)
  const startedAt = ports.now()
  const watch = ports.watch(fresh, { url: subscription.url, batchId: batch?.id })
  const outgoing = requestFor(fresh, batch, subscription.url, { request, signers }, ports, watch.traceparent)
  const response = await ports.send(outgoing, {
    timeoutMs: subscription.timeoutMs,
    signal: ports.signal,
    subscription,
  })
  watch.ended(response)
  // Our own stop cut it short: nobody knows what the endpoint made of it, and it is not held against it.
  if (response.kind === 'failed' && response.error === 'aborted') {
    ports.giveBack(fresh)
    return undefined
  }

  const outcome = withinPatience(subscription.retry, outcomeOf(response, ports.clock()))
  const durationMs = ports.now() - startedAt
  // What went together comes back together.
  const random = ports.random()
  for (const delivery of fresh)
    ports.record(
      settlementOf(delivery, { subscription, batch, response, outcome, durationMs, random }),
      delivery,
    )
  return outcome
}

interface AttemptResult {
  readonly subscription: Subscription
  readonly batch: SentBatch | undefined
  readonly response: WebhookResponse
  readonly outcome: AttemptOutcome
  readonly durationMs: number
  readonly random: number
}

function settlementOf(
  delivery: HeldDelivery,
  { subscription, batch, response, outcome, durationMs, random }: AttemptResult,
): Settlement {
  const step = nextStep(subscription.retry, delivery.attempt - delivery.scheduleFrom, outcome, random)
  return {
    deliveryId: delivery.id,
    subscriptionId: delivery.subscriptionId,
    heldUntil: delivery.heldUntil,
    state: step.kind === 'complete' ? 'delivered' : step.kind === 'retry' ? 'pending' : 'dead',
    retryAfterMs: step.kind === 'retry' ? step.afterMs : undefined,
    batch,
    durationMs,
    status: response.kind === 'answered' ? response.status : undefined,
    error: step.kind === 'dead' && step.reason === 'aborted_by_endpoint' ? step.reason : errorOf(response),
    responseBody: response.kind === 'answered' ? response.body : undefined,
    disables: disablingReason(response, outcome),
    isOperatorEvent: isOperatorEvent(delivery.event),
  }
}

/** What comes back whole goes under the id that it had. A part of it would be told apart from the whole by nobody. */
function batchOf(parcel: Parcel, ports: AttemptPorts): SentBatch {
  const [{ batch }] = parcel
  return batch?.size === parcel.length ? batch : { id: ports.batchId(), size: parcel.length }
}

function errorOf(response: WebhookResponse): Settlement['error'] {
  return response.kind === 'answered' ? response.bodyError : response.error
}

function disablingReason(response: WebhookResponse, outcome: AttemptOutcome): Settlement['disables'] {
  if (outcome.kind === 'gone') return 'gone'
  return response.kind === 'answered' && response.asks === 'disable' ? 'asked' : undefined
}

/** Undefined where nothing is left to be sent. One that was put back since is found again once it is given back. */
function withoutCancelled(
  parcel: Parcel,
  { cancelled }: Subscription,
  ports: AttemptPorts,
): Parcel | undefined {
  if (cancelled.size === 0) return parcel
  const isCancelled = ({ id }: HeldDelivery): boolean => cancelled.has(id)
  ports.giveBack(parcel.filter(isCancelled))
  const [first, ...others] = parcel.filter((delivery) => !isCancelled(delivery))
  return first === undefined ? undefined : [first, ...others]
}

/** Undefined where nothing is left to be sent. */
async function withoutExpired(
  parcel: Parcel,
  ttlMs: number,
  ports: AttemptPorts,
): Promise<Parcel | undefined> {
  const now = ports.clock()
  const expired = parcel.filter(({ event }) => isExpired(event, ttlMs, now))
  if (expired.length === 0) return parcel
  await ports.expire(expired)
  const [first, ...others] = parcel.filter((delivery) => !expired.includes(delivery))
  return first === undefined ? undefined : [first, ...others]
}

function fitsLease(leaseEndsAt: number, subscription: Subscription, now: number): boolean {
  return now <= latestStart(leaseEndsAt, subscription.timeoutMs)
}

function requestFor(
  parcel: Parcel,
  batch: SentBatch | undefined,
  url: string,
  options: WireOptions,
  ports: AttemptPorts,
  traceparent: string | undefined,
): OutgoingRequest {
  const [delivery] = parcel
  const facts = {
    attempt: delivery.attempt,
    timestamp: Math.floor(ports.clock() / 1000),
    userAgent: ports.userAgent,
    traceparent,
  }
  const events = parcel.map(({ event }) => event)
  const request =
    batch === undefined
      ? webhookRequest(delivery.event, options, facts)
      : batchRequest(batch.id, events, options, facts)
  return { url, ...request }
}
