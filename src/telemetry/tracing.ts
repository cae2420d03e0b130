/**
 * Continues the traces that events began: a span for the relay, and one for each attempt, whose id the receiver is told.
 * Only for events whose `traceparent` says that they are sampled. What the packages bring is loaded only where traces are
 * switched on; spans are sent in batches, from a queue that is bounded, and never waited for.
 */
import type { Context, Span, SpanContext, SpanOptions, Tracer } from '@opentelemetry/api'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import type { OutboxEvent } from '../core/outbox-event.ts'
import { type SpanReference, sampledSpan } from '../core/trace-context.ts'
import type { TraceSettings } from '../core/trace-settings.ts'
import type { ProcessMetrics } from './process-metrics.ts'

export interface AttemptSpan {
  /** For the receiver. */
  readonly traceparent: string
  end(result: { readonly status: number | undefined; readonly error: string | undefined }): void
}

export interface AttemptFacts {
  readonly deliveryId: string
  readonly subscriptionId: string
  readonly attempt: number
  readonly url: string
  readonly batchId: string | undefined
  /** The span that relayed it, where this process did. */
  readonly relayedBy: string | undefined
}

export interface Tracing extends AsyncDisposable {
  /** The span from commit to record, both in unix milliseconds. Undefined for an event that is not sampled. */
  relayed(event: OutboxEvent, committedAt: number, recordedAt: number): string | undefined
  attempt(event: OutboxEvent, facts: AttemptFacts): AttemptSpan | undefined
}

/** Queue and batch of spans that wait to be sent: at 1 KiB a span, a few MiB. */
const QUEUE = { maxQueueSize: 4_096, maxExportBatchSize: 512, scheduledDelayMillis: 2_000 }
const SEND_WITHIN_MS = 5_000

export async function startTracing(
  settings: TraceSettings,
  version: string,
  metrics: Pick<ProcessMetrics, 'spans'>,
): Promise<Tracing> {
  const [api, { TracerProvider, BatchSpanProcessor }, { resourceFromAttributes }, { OTLPTraceExporter }] =
    await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/resources'),
      import('@opentelemetry/exporter-trace-otlp-http'),
    ])
  const exporter = new OTLPTraceExporter({ url: settings.url, timeoutMillis: SEND_WITHIN_MS })
  const processor = new BatchSpanProcessor({ exporter: counted(exporter, metrics), ...QUEUE })
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': settings.serviceName,
      'service.version': version,
    }),
    spanProcessors: [processor],
  })
  const tracer = provider.getTracer('walhook', version)
  const start = (name: string, parent: SpanReference, options: SpanOptions): Span =>
    startSpan(tracer, name, options, contextOf(api, parent), metrics)

  return {
    relayed: (event, committedAt, recordedAt) => {
      const parent = sampledSpan(event.headers)
      if (parent === undefined) return undefined
      const span = start('outbox relay', parent, {
        kind: api.SpanKind.CONSUMER,
        startTime: Math.min(committedAt, recordedAt),
        attributes: attributesOf(event),
      })
      span.end(recordedAt)
      return traceparentOf(span.spanContext())
    },
    attempt: (event, facts) => {
      const sampled = sampledSpan(event.headers)
      if (sampled === undefined) return undefined
      const relayed =
        facts.relayedBy === undefined ? undefined : sampledSpan({ traceparent: facts.relayedBy })
      const span = start(
        'webhook attempt',
        { ...sampled, ...(relayed && { spanId: relayed.spanId }) },
        {
          kind: api.SpanKind.CLIENT,
          attributes: { ...attributesOf(event), ...attemptAttributes(facts) },
        },
      )
      return {
        traceparent: traceparentOf(span.spanContext()),
        end: ({ status, error }) => {
          if (status !== undefined) span.setAttribute('http.response.status_code', status)
          if (error !== undefined) span.setAttribute('error.type', error)
          const isDelivered = status !== undefined && status >= 200 && status < 300
          if (!isDelivered) span.setStatus({ code: api.SpanStatusCode.ERROR })
          span.end()
        },
      }
    },
    [Symbol.asyncDispose]: () => provider.shutdown().catch(() => undefined),
  }
}

function startSpan(
  tracer: Tracer,
  name: string,
  options: SpanOptions,
  context: Context,
  metrics: Pick<ProcessMetrics, 'spans'>,
): Span {
  metrics.spans('made', 1)
  return tracer.startSpan(name, options, context)
}

function contextOf(
  { trace, ROOT_CONTEXT, TraceFlags, createTraceState }: typeof import('@opentelemetry/api'),
  { traceId, spanId, tracestate }: SpanReference,
): Context {
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
    ...(tracestate !== undefined && { traceState: createTraceState(tracestate) }),
  })
}

function traceparentOf({ traceId, spanId }: SpanContext): string {
  return `00-${traceId}-${spanId}-01`
}

/** OpenTelemetry's names where it has them. No payload, no key, no tenant. */
function attributesOf(event: OutboxEvent): Record<string, string> {
  return {
    'messaging.system': 'walhook',
    'messaging.message.id': event.id,
    'walhook.event_type': event.type,
  }
}

/** Of the URL its host alone: path and query may be secrets. */
function attemptAttributes({
  deliveryId,
  subscriptionId,
  attempt,
  url,
  batchId,
}: AttemptFacts): Record<string, string | number> {
  return {
    'http.request.method': 'POST',
    'walhook.delivery_id': deliveryId,
    'walhook.subscription_id': subscriptionId,
    'walhook.attempt': attempt,
    ...(URL.canParse(url) && { 'server.address': new URL(url).hostname }),
    ...(batchId !== undefined && { 'walhook.batch_id': batchId }),
  }
}

function counted(exporter: SpanExporter, metrics: Pick<ProcessMetrics, 'spans'>): SpanExporter {
  return {
    export: (spans: ReadableSpan[], onDone) =>
      exporter.export(spans, (result) => {
        metrics.spans(result.code === 0 ? 'exported' : 'failed', spans.length)
        onDone(result)
      }),
    shutdown: () => exporter.shutdown(),
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
  }
}
