/** An attempt as it begins and ends, for metrics and traces. */
import { type WebhookResponse } from './core/attempt-outcome.ts'
import type { AttemptWatch } from './delivery/attempt.ts'
import type { Parcel } from './delivery/held-delivery.ts'
import type { Metrics } from './telemetry/metrics.ts'
import type { AttemptSpan, Tracing } from './telemetry/tracing.ts'

const UNTRACED: AttemptWatch = { traceparent: undefined, ended: () => undefined }

/** A batch is a span in the trace of each event; none of them is told to the receiver, to whom it is one request. */
export function watchAttempt(
  parcel: Parcel,
  request: { readonly url: string; readonly batchId: string | undefined },
  metrics: Metrics,
  tracing: Tracing | undefined,
): AttemptWatch {
  for (const { attempt, committedAt } of parcel)
    if (attempt === 1 && committedAt !== undefined)
      metrics.deliveries.firstAttempted(Math.max(0, Date.now() - committedAt))
  if (tracing === undefined) return UNTRACED
  const spans = parcel.flatMap(
    ({ id: deliveryId, subscriptionId, attempt, event, relayedBy }): AttemptSpan[] => {
      const facts = { deliveryId, subscriptionId, attempt, relayedBy, ...request }
      const span = tracing.attempt(event, facts)
      return span === undefined ? [] : [span]
    },
  )
  if (spans.length === 0) return UNTRACED
  return {
    traceparent: request.batchId === undefined ? spans[0]?.traceparent : undefined,
    ended: (response: WebhookResponse) => {
      const result =
        response.kind === 'answered'
          ? { status: response.status, error: response.bodyError }
          : { status: undefined, error: response.error }
      for (const span of spans) span.end(result)
    },
  }
}
