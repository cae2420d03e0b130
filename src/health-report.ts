/** What becomes of subscriptions and of events that came too late, as the log and the metrics tell it. */
import type { HeldDelivery } from './delivery/held-delivery.ts'
import type { LiveHints } from './live-hints.ts'
import type { HealthChange } from './store/endpoint-health.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'

export function reportHealth(change: HealthChange, logger: Logger, metrics: Metrics, hints: LiveHints): void {
  const { kind, subscriptionId: subscription_id } = change
  hints.subscription(subscription_id)
  switch (kind) {
    case 'failing':
      logger.warn({ subscription_id, failures: change.failures }, 'subscription.failing')
      return
    case 'recovered':
      logger.info({ subscription_id, failures: change.failures }, 'subscription.recovered')
      return
    case 'disabled':
      metrics.disabled(change.reason)
      logger.error({ subscription_id, reason: change.reason }, 'subscription.disabled')
      return
    default:
      change satisfies never
  }
}

export function reportExpired(deliveries: readonly HeldDelivery[], logger: Logger, metrics: Metrics): void {
  metrics.expired(deliveries.length)
  for (const { id, event, subscriptionId } of deliveries)
    logger.info(
      { delivery_id: id, event_id: event.id, event_type: event.type, subscription_id: subscriptionId },
      'delivery.expired',
    )
}
