/** W3C Trace Context, passed on where an event carries it; a value that is no header value is left out. */

const VALUE = /^[\x20-\x7e]{1,512}$/

export function traceContext(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  const passed: Record<string, string> = {}
  for (const name of ['traceparent', 'tracestate']) {
    const value = headers[name]
    if (typeof value === 'string' && VALUE.test(value)) passed[name] = value
  }
  return passed
}
