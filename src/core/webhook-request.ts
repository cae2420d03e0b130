/**
 * Events as the request that goes over the wire: method, body, headers, signatures. Invariant: what is signed are the
 * bytes of the body that are sent, and what is identified is the event, the same on every attempt.
 */
import { batchBody, bodyForm } from './body-form.ts'
import type { HeaderNames } from './header-names.ts'
import type { OutboxEvent } from './outbox-event.ts'
import { ownHeaders, type RequestForm } from './request-form.ts'
import type { Signer } from './signature.ts'
import { traceContext } from './trace-context.ts'

export interface WebhookRequest {
  readonly method: 'POST' | 'PUT'
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface AttemptFacts {
  /** From 1. */
  readonly attempt: number
  /** This attempt's unix seconds. */
  readonly timestamp: number
  readonly userAgent: string
  /** Of the span of this attempt, where it is traced. */
  readonly traceparent?: string | undefined
}

/** How it is to look, and what signs it. */
export interface WireOptions {
  readonly request: RequestForm
  readonly signers: readonly Signer[]
}

export function webhookRequest(
  event: OutboxEvent,
  { request, signers }: WireOptions,
  facts: AttemptFacts,
): WebhookRequest {
  const form = bodyForm(request.body)
  const body = Buffer.from(form.one(event))
  const headers = headersOf(request, { id: event.id, type: event.type, contentType: form.contentType }, facts)
  sign(headers, signers, { id: event.id, timestamp: facts.timestamp, body })
  Object.assign(
    headers,
    traceContext(event.headers, facts.traceparent),
    form.headers?.(event),
    ownHeaders(request, event.headers),
  )
  return { method: request.method, headers, body }
}

/** Many events in one request, which has an id of its own. Nothing of a single event stands in its headers. */
export function batchRequest(
  batchId: string,
  events: readonly OutboxEvent[],
  { request, signers }: WireOptions,
  facts: AttemptFacts,
): WebhookRequest {
  const { contentType, text } = batchBody(request.body, batchId, events)
  const body = Buffer.from(text)
  const headers = headersOf(request, { id: batchId, type: 'batch', contentType }, facts)
  sign(headers, signers, { id: batchId, timestamp: facts.timestamp, body })
  return { method: request.method, headers: Object.assign(headers, request.headers), body }
}

function headersOf(
  { names, userAgent }: { readonly names: HeaderNames; readonly userAgent: string | undefined },
  about: { readonly id: string; readonly type: string; readonly contentType: string },
  facts: AttemptFacts,
): Record<string, string> {
  const headers: Record<string, string> = {
    'content-type': about.contentType,
    'user-agent': userAgent ?? facts.userAgent,
  }
  for (const name of names.id) headers[name] = about.id
  headers[names.timestamp] = String(facts.timestamp)
  for (const name of names.eventType) headers[name] = about.type
  headers[names.attempt] = String(facts.attempt)
  return headers
}

function sign(
  headers: Record<string, string>,
  signers: readonly Signer[],
  message: Parameters<Signer['sign']>[0],
): void {
  for (const { header, sign: signature } of signers) headers[header] = signature(message)
}
