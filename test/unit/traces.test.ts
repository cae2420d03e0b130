/** Traces: where they go, by the variables that OpenTelemetry has for it, and whose trace an event is of. */
import { describe, expect, test } from 'vitest'
import { describeConfig, parseConfig } from '../../src/config.ts'
import { sampledSpan, traceContext } from '../../src/core/trace-context.ts'
import { traceSettings } from '../../src/core/trace-settings.ts'

const BASE = 'OTEL_EXPORTER_OTLP_ENDPOINT'
const EXACT = 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'

describe('where traces go', () => {
  test.each([
    [{}, undefined],
    [{ [BASE]: '' }, undefined],
    [{ [BASE]: 'http://c:4318' }, { url: 'http://c:4318/v1/traces', serviceName: 'walhook' }],
    [{ [BASE]: 'http://c:4318/otel/' }, { url: 'http://c:4318/otel/v1/traces', serviceName: 'walhook' }],
    [
      { [BASE]: 'http://c', [EXACT]: 'https://d/here', OTEL_SERVICE_NAME: 'hooks' },
      { url: 'https://d/here', serviceName: 'hooks' },
    ],
    [{ [BASE]: 'http://c', OTEL_SDK_DISABLED: 'TRUE' }, undefined],
    [{ [BASE]: 'http://c', OTEL_TRACES_EXPORTER: 'none' }, undefined],
  ])('%j', (environment, settings) => {
    expect(traceSettings(environment)).toEqual(settings)
  })

  test.each([
    [BASE, 'collector:4318'],
    [EXACT, 'http://'],
  ])('%s is refused as %s', (name, value) => {
    expect(() => parseConfig({ DATABASE_URL: 'postgres://h/d', [name]: value })).toThrow(
      `${name} has to be an http or https URL`,
    )
  })

  test('the start-up line has the host alone', () => {
    const config = parseConfig({ DATABASE_URL: 'postgres://h/d', [BASE]: 'http://user:pw@c:4318/secret' })
    expect(describeConfig(config)).toMatchObject({ traces: 'c:4318' })
  })
})

describe('whose trace an event is of', () => {
  const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
  const SPAN = '00f067aa0ba902b7'

  test('is read off its traceparent, where that is sampled', () => {
    expect(sampledSpan({ traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'a=b' })).toEqual({
      traceId: TRACE,
      spanId: SPAN,
      tracestate: 'a=b',
    })
    // Of a later version there may be more.
    expect(sampledSpan({ traceparent: `01-${TRACE}-${SPAN}-03-more` })).toMatchObject({ spanId: SPAN })
  })

  test.each([
    `00-${TRACE}-${SPAN}-00`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
    42,
    undefined,
  ])('%s is nobody’s', (traceparent) => {
    expect(sampledSpan({ traceparent })).toBeUndefined()
  })

  test('what is passed on is as it came, unless an attempt has a span of its own', () => {
    const headers = { traceparent: `00-${TRACE}-${SPAN}-00`, tracestate: 'a=b', 'x-other': '1' }
    expect(traceContext(headers)).toEqual({ traceparent: headers.traceparent, tracestate: 'a=b' })
    expect(traceContext(headers, 'ours')).toEqual({ traceparent: 'ours', tracestate: 'a=b' })
  })
})
