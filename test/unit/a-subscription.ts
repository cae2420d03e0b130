/** A subscription as an attempt reads it, with every option at its default. */
import { headerNames } from '../../src/core/header-names.ts'
import { requestForm, type RequestOptions } from '../../src/core/request-form.ts'
import { type Signer, signers, type SigningKeys, type SigningWish } from '../../src/core/signature.ts'
import type { Subscription } from '../../src/core/subscription.ts'

export function aSubscription(changes: Partial<Subscription> = {}): Subscription {
  return {
    id: '00000000-0000-7000-8000-000000000001',
    url: 'https://example.com/hook',
    state: 'active',
    signers: aSignature({ secrets: ['whsec_AQID'] }),
    access: { credentials: undefined, tls: undefined },
    consent: 'not_needed',
    timeoutMs: 1000,
    retry: { delaysMs: [1000], retryOn: 'any' },
    request: aRequestForm(),
    batch: undefined,
    ordering: 'none',
    rateLimit: undefined,
    maxInFlight: undefined,
    ttlMs: undefined,
    cancelled: new Set(),
    ...changes,
  }
}

export function aRequestForm(changes: Partial<RequestOptions> = {}): Subscription['request'] {
  return requestForm({
    method: 'POST',
    body: 'envelope',
    headers: {},
    forwardHeaders: [],
    headerPrefix: undefined,
    ...changes,
  })
}

/** What signs, with these schemes and keys; standard, where none is named. */
export function aSignature(keys: Partial<SigningKeys>, wish: Partial<SigningWish> = {}): readonly Signer[] {
  return signers(
    { schemes: ['standard'], hexHeader: undefined, names: headerNames(undefined), ...wish },
    { secrets: [], ed25519Key: undefined, ...keys },
  )
}
