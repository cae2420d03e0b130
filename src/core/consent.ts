/**
 * The CloudEvents webhook handshake (HTTP 1.1 Web Hooks for Event Delivery 1.0, §4): what asks an endpoint for its consent, what
 * is one, and how fast it then may be sent to. The status alone is never a consent: servers answer OPTIONS that know
 * nothing of webhooks.
 */
import { z } from 'zod'
import type { WebhookResponse } from './attempt-outcome.ts'
import type { RateLimit } from './subscription.ts'

/** An endpoint that did not consent gets nothing. */
export type Consent = 'not_needed' | 'given' | 'awaited'

export type ConsentAnswer =
  /** `perMinute` is undefined where there is no limit. */
  | { readonly kind: 'consented'; readonly perMinute: number | undefined }
  /** The reason is an error class, a status, or what was wrong with which header. */
  | { readonly kind: 'refused'; readonly reason: string }

/** Whose webhooks these are: what an endpoint consents to. */
export const originName = z
  .string()
  .max(253, 'has to be at most 253 characters')
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i,
    'has to be the name of a host, like webhooks.example.com',
  )

/** The answer's headers that matter, as they are asked for. */
export const CONSENT_HEADERS = ['webhook-allowed-origin', 'webhook-allowed-rate'] as const

const LONGEST_RATE = 2_147_483_647

export function consentRequestHeaders(origin: string, own: RateLimit | undefined): Record<string, string> {
  const perMinute = own === undefined ? undefined : Math.max(1, Math.floor(own.perSecond * 60))
  return {
    'webhook-request-origin': origin,
    ...(perMinute !== undefined && { 'webhook-request-rate': String(perMinute) }),
  }
}

export function judgeConsent(response: WebhookResponse, origin: string): ConsentAnswer {
  if (response.kind === 'failed') return { kind: 'refused', reason: response.error }
  if (response.status < 200 || response.status > 299)
    return { kind: 'refused', reason: `status_${response.status}` }
  const allowed = response.headers?.['webhook-allowed-origin']?.trim()
  if (allowed === undefined) return { kind: 'refused', reason: 'no_allowed_origin' }
  // Names of hosts have no case.
  if (allowed !== '*' && allowed.toLowerCase() !== origin.toLowerCase())
    return { kind: 'refused', reason: 'another_allowed_origin' }
  const rate = response.headers?.['webhook-allowed-rate']?.trim()
  if (rate === undefined || rate === '*') return { kind: 'consented', perMinute: undefined }
  if (!/^0*[1-9]\d*$/.test(rate)) return { kind: 'refused', reason: 'unreadable_allowed_rate' }
  return { kind: 'consented', perMinute: Math.min(Number(rate), LONGEST_RATE) }
}

/** The slower of the subscription's own limit and the allowed one: in no minute does more go than is allowed. */
export function withinAllowedRate(
  own: RateLimit | undefined,
  perMinute: number | undefined,
): RateLimit | undefined {
  if (perMinute === undefined) return own
  // A burst comes on top of what a minute brings, so that it is taken off that. One alone spaces requests out.
  const burst = Math.max(1, Math.floor(perMinute / 60))
  const perSecond = (burst === 1 ? perMinute : perMinute - burst) / 60
  if (own === undefined) return { perSecond, burst }
  return { perSecond: Math.min(own.perSecond, perSecond), burst: Math.min(own.burst, burst) }
}
