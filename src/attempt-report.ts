/** What came of an attempt, as the log and the metrics tell it: one line for each delivery. */
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
): void {
  const outcome = settled === undefined ? 'superseded' : settlement.state
  metrics.attempted(outcome, settlement.error, settlement.durationMs)
  logger[settlement.state === 'dead' ? 'error' : 'info'](
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
