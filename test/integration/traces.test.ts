/** Traces: what the application began goes on through relay and attempt to the receiver, and a collector hears of it. */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { test as base } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'

interface Attribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

interface Span {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly Attribute[]
  readonly status: { readonly code: number }
}

interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[]
  }[]
}

/** Takes OTLP/HTTP JSON, as a collector does. */
class Collector {
  readonly exports: Export[] = []
  readonly paths = new Set<string>()
  status = 200
  readonly #server = createServer((request, response) => {
    void json(request).then((body) => {
      this.paths.add(`${request.method} ${request.url} ${request.headers['content-type']}`)
      if (this.status === 200) this.exports.push(body as Export)
      response.writeHead(this.status, { 'content-type': 'application/json' }).end('{}')
    })
  })
  url = ''

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    this.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
    return this
  }

  get spans(): readonly Span[] {
    return this.exports.flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    )
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

// eslint-disable-next-line no-empty-pattern
const test = base.extend('collector', async ({}, { onCleanup }) => {
  const collector = await new Collector().listen()
  onCleanup(() => collector.close())
  return collector
})

const SPAN = '00f067aa0ba902b7'
const traceId = (): string => randomUUID().replaceAll('-', '')
const headersOf = (trace: string, flags = '01'): string =>
  JSON.stringify({ traceparent: `00-${trace}-${SPAN}-${flags}`, tracestate: 'shop=1' })
const attribute = (span: Span | undefined, key: string): unknown =>
  Object.values(span?.attributes.find((each) => each.key === key)?.value ?? {})[0]

test('a trace goes on to the receiver, attempt by attempt, and nothing secret with it', async ({
  db,
  receiver,
  sidecar,
  collector,
}) => {
  const { url, stop } = await sidecar({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_SERVICE_NAME: 'hooks',
  }).then((running) => ({ url: running.url, stop: () => running.stop() }))
  await subscribe(db, receiver.url('/hook?token=hidden'), { retrySchedule: ['100ms'] })
  receiver.on('/hook?token=hidden', [respond(500), respond(200), respond(200), respond(200)])
  const trace = traceId()
  const event = await publish(db, { headers: headersOf(trace) })
  await untilSettled(db, 1)
  const unsampled = traceId()
  await publish(db, { headers: headersOf(unsampled, '00') })
  await publish(db)
  await untilSettled(db, 3)

  const requests = receiver.requests('/hook?token=hidden')
  const [relayed, failed, delivered, ...others] = await eventually(() => {
    const spans = collector.spans.toSorted((a, b) => a.name.localeCompare(b.name))
    expect(spans.map(({ name }) => name)).toEqual(['outbox relay', 'webhook attempt', 'webhook attempt'])
    return spans
  })
  expect(others).toEqual([])
  expect(relayed).toMatchObject({ traceId: trace, parentSpanId: SPAN })
  expect(BigInt(relayed?.endTimeUnixNano ?? 0)).toBeGreaterThanOrEqual(
    BigInt(relayed?.startTimeUnixNano ?? 0),
  )
  expect(failed).toMatchObject({ traceId: trace, parentSpanId: relayed?.spanId, status: { code: 2 } })
  expect(delivered).toMatchObject({ traceId: trace, kind: 3 })
  expect(attribute(failed, 'http.response.status_code')).toBe(500)
  expect(attribute(delivered, 'walhook.attempt')).toBe(2)
  expect(attribute(delivered, 'messaging.message.id')).toBe(event)
  expect(attribute(delivered, 'server.address')).toBe('127.0.0.1')
  expect(requests.slice(0, 2).map(({ headers }) => headers['traceparent'])).toEqual([
    `00-${trace}-${failed?.spanId}-01`,
    `00-${trace}-${delivered?.spanId}-01`,
  ])
  expect(requests[0]?.headers['tracestate']).toBe('shop=1')
  // Nobody asked for a trace of these.
  expect(new Set(requests.slice(2).map(({ headers }) => headers['traceparent']))).toEqual(
    new Set([`00-${unsampled}-${SPAN}-00`, undefined]),
  )
  const [resource] = collector.exports.flatMap(({ resourceSpans }) => resourceSpans)
  expect(resource?.resource.attributes).toContainEqual({
    key: 'service.name',
    value: { stringValue: 'hooks' },
  })
  expect([...collector.paths]).toEqual(['POST /v1/traces application/json'])
  expect(JSON.stringify(collector.exports)).not.toContain('hidden')
  await eventually(async () => {
    const text = await (await fetch(`${url}/metrics`)).text()
    expect(text).toContain('walhook_spans_total{outcome="made"} 3')
    expect(text).toContain('walhook_spans_total{outcome="exported"} 3')
  })

  // What is under way when it stops is sent; and a collector that refuses costs no delivery.
  const last = traceId()
  collector.status = 400
  await publish(db, { headers: headersOf(last) })
  await untilSettled(db, 4)
  collector.status = 200
  const kept = traceId()
  await publish(db, { headers: headersOf(kept) })
  await untilSettled(db, 5)
  await stop()
  expect(collector.spans.filter((span) => span.traceId === kept)).toHaveLength(2)
})

test('without a collector the trace is passed on as it came', async ({ db, receiver, sidecar }) => {
  await sidecar()
  await subscribe(db, receiver.url())
  const trace = traceId()
  await publish(db, { headers: headersOf(trace) })
  const [request] = await receiver.waitFor(1)
  expect(request?.headers).toMatchObject({ traceparent: `00-${trace}-${SPAN}-01`, tracestate: 'shop=1' })
})
