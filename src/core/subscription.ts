/** A subscription as an attempt needs it: where to, signed with what, how patiently. */
import type { Access } from './access.ts'
import type { Consent } from './consent.ts'
import { parseDuration } from './duration.ts'
import type { RequestForm } from './request-form.ts'
import type { RetryPolicy } from './retry-schedule.ts'
import type { Signer } from './signature.ts'

export interface Subscription {
  readonly id: string
  readonly url: string
  readonly state: 'active' | 'paused' | 'disabled'
  /** Prepared with every key that is live now; undefined where one of them cannot be read. */
  readonly signers: readonly Signer[] | undefined
  /** What proves who we are; undefined where it is there and cannot be used. */
  readonly access: Access | undefined
  /** Whether the endpoint agreed to be sent to, where it has to. */
  readonly consent: Consent
  readonly timeoutMs: number
  readonly retry: RetryPolicy
  readonly request: RequestForm
  /** Undefined where each event is sent by itself. */
  readonly batch: Batching | undefined
  readonly ordering: 'none' | 'key'
  /** Over all replicas; no faster than the endpoint allowed. */
  readonly rateLimit: RateLimit | undefined
  /** From each replica; undefined for the process's own limit. */
  readonly maxInFlight: number | undefined
  /** An event that is older is not sent any more. */
  readonly ttlMs: number | undefined
  /** Deliveries that were cancelled or expunged lately, while somebody may have had them in hand. */
  readonly cancelled: ReadonlySet<string>
}

/** What of a subscription decides when its deliveries may start, and how many go together. */
export type DeliveryPlan = Pick<Subscription, 'batch' | 'rateLimit' | 'maxInFlight' | 'timeoutMs'>

/** Each by itself, and at once. */
export const PLAIN: DeliveryPlan = {
  batch: undefined,
  rateLimit: undefined,
  maxInFlight: undefined,
  timeoutMs: 15_000,
}

export interface Batching {
  readonly maxEvents: number
  /** From the first event's arrival here to the request. */
  readonly maxWaitMs: number
}

export const DEFAULT_BATCH: Batching = { maxEvents: 100, maxWaitMs: 5_000 }

export interface RateLimit {
  readonly perSecond: number
  /** How many may go at one moment. */
  readonly burst: number
}

/** `10/s`, `600/m`, `10/s burst 50`; without a burst, what a second brings and at least one. */
export function parseRateLimit(text: string): RateLimit {
  const match = /^(\d+)\/([sm])(?: burst (\d+))?$/.exec(text)
  if (match === null) throw new TypeError(`not a rate: ${text}`)
  const perSecond = Number(match[1]) / (match[2] === 'm' ? 60 : 1)
  return { perSecond, burst: match[3] === undefined ? Math.max(1, Math.floor(perSecond)) : Number(match[3]) }
}

/** Durations were checked where they were written: a text that is none is a bug, and throws. */
export function trustedDuration(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined) throw new TypeError(`not a duration: ${text}`)
  return ms
}
