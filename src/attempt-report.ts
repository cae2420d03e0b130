/** What came of an attempt, as the log, the metrics and the counters tell it: one line for each delivery. */
import type { Counting } from './counting.ts'
import type { Outcome } from './delivery/settler.ts'
import type { SettledDelivery } from './store/settlement.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'

/** `settled` is undefined where somebody else had taken over. */
export function reportAttempt(
  { settlement, delivery }: Outcome,
  settled: SettledDelivery | undefined,
  logger: Logger,
  metrics: Metrics,
  counting: Counting,
): void {
  const outcome = settled === undefined ? 'superseded' : settlement.state
  metrics.deliveries.attempted(outcome, settlement.error, settlement.durationMs)
  if (settled !== undefined) {
    const { subscriptionId, state, durationMs } = settlement
    const { committedAt } = delivery
    const sinceCommitMs = committedAt === undefined ? undefined : Math.max(0, Date.now() - committedAt)
    if (state === 'delivered' && sinceCommitMs !== undefined) metrics.deliveries.delivered(sinceCommitMs)
    counting.attempted({ subscriptionId, state, durationMs, sinceCommitMs })
  }
  logger.line(
    settlement.state === 'dead' ? 'error' : 'info',
    {
      delivery_id: settlement.deliveryId,
      event_id: delivery.event.id,
      event_type: delivery.event.type,
      subscription_id: settlement.subscriptionId,
      attempt: settled?.attempts ?? delivery.attempt,
      batch_id: settlement.batch?.id,
      outcome,
      status: settlement.status,
      error: settlement.error,
      duration_ms: Math.round(settlement.durationMs),
      next_attempt_at: settled?.nextAttemptAt ?? undefined,
    },
    'delivery.attempted',
  )
}
