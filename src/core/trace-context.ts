/** W3C Trace Context: read off an event, and passed on where it carries it; a value that is no header value is left out. */

const VALUE = /^[\x20-\x7e]{1,512}$/
const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/

export interface SpanReference {
  readonly traceId: string
  readonly spanId: string
  readonly tracestate: string | undefined
}

/** `ours`: the `traceparent` of a span of our own in the same trace, which stands in place of the event's. */
export function traceContext(
  headers: Readonly<Record<string, unknown>>,
  ours?: string,
): Record<string, string> {
  const passed: Record<string, string> = {}
  for (const name of ['traceparent', 'tracestate']) {
    const value = headers[name]
    if (typeof value === 'string' && VALUE.test(value)) passed[name] = value
  }
  if (ours !== undefined) passed['traceparent'] = ours
  return passed
}

/** The span that an event came from; undefined where there is none, or whoever began the trace did not sample it. */
export function sampledSpan(headers: Readonly<Record<string, unknown>>): SpanReference | undefined {
  const { traceparent, tracestate } = traceContext(headers)
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  if ((Number.parseInt(flags, 16) & 1) === 0) return undefined
  return { traceId, spanId, tracestate }
}
