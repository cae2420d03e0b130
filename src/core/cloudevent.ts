/**
 * An event as a CloudEvent 1.0: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, with the JSON format
 * and the HTTP binding beside it. An attribute never holds what CloudEvents has no place for: it is left out.
 */
import type { OutboxEvent } from './outbox-event.ts'
import { traceContext } from './trace-context.ts'

/** What a URI reference is made of (RFC 3986), and no more of it than a header should hold. */
const URI_REFERENCE = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]{1,1024}$/
/** In attributes, CloudEvents has no control characters. */
const CONTROL = /\p{Cc}/u
/** The HTTP binding encodes these in header values; the rest of printable ASCII stands as it is. */
const TO_ENCODE = /[^\x21-\x7e]|["%]/gu

/** Structured mode, but for the brackets of a batch. The payload goes in as it stands. */
export function cloudEventJson(event: OutboxEvent): string {
  const members = attributes(event).map(([name, value]) => `"${name}":${JSON.stringify(value)}`)
  return `{"specversion":"1.0",${members.join(',')},"datacontenttype":"application/json","data":${event.payload}}`
}

/** Binary mode: beside a body that is the payload alone. */
export function cloudEventHeaders(event: OutboxEvent): Record<string, string> {
  const headers: Record<string, string> = { 'ce-specversion': '1.0' }
  for (const [name, value] of attributes(event)) headers[`ce-${name}`] = percentEncoded(value)
  return headers
}

/** `tenant` is an extension of ours; the trace is CloudEvents' own extension for distributed tracing. */
function attributes(event: OutboxEvent): readonly (readonly [name: string, value: string])[] {
  const found: [string, string][] = [
    ['id', event.id],
    ['source', sourceOf(event)],
    ['type', event.type],
    ['time', event.timestamp],
  ]
  if (event.key !== null && isAttribute(event.key)) found.push(['subject', event.key])
  if (event.tenant !== null && isAttribute(event.tenant)) found.push(['tenant', event.tenant])
  return [...found, ...Object.entries(traceContext(event.headers))]
}

/** As the application says in the event's headers; otherwise of us, and the tenant. */
function sourceOf({ headers, tenant }: OutboxEvent): string {
  const said = headers['source']
  if (typeof said === 'string' && URI_REFERENCE.test(said)) return said
  return tenant === null ? '/walhook' : `/walhook/${encodeURIComponent(tenant.toWellFormed())}`
}

function isAttribute(text: string): boolean {
  return text !== '' && !CONTROL.test(text)
}

function percentEncoded(value: string): string {
  return value.replace(TO_ENCODE, (character) =>
    Buffer.from(character).toString('hex').toUpperCase().replace(/../g, '%$&'),
  )
}
