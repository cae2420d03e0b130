/** Which deliveries a command is about: the same options wherever there are many. */
import { type Command, Option } from 'commander'
import type { StatusRange } from '../core/status-range.ts'
import type { DeliveryWish } from '../store/delivery-pages.ts'
import { DELIVERY_STATES, type DeliveryState } from '../store/delivery-reports.ts'
import { eventId, pointInTime, statusRange, subscriptionId } from './arguments.ts'

export interface DeliveryFilterOptions {
  readonly state?: DeliveryState
  readonly subscription?: string
  readonly event?: string
  readonly type?: string
  readonly key?: string
  readonly tenant?: string
  readonly status?: StatusRange
  readonly error?: string
}

export interface TimeOptions {
  readonly since?: string
  readonly until?: string
}

export function addDeliveryFilter(command: Command): Command {
  return command
    .addOption(new Option('--state <state>', 'only those in this state').choices(DELIVERY_STATES))
    .option('--subscription <id>', 'only those of this subscription', subscriptionId)
    .option('--event <id>', 'only those of this event', eventId)
    .option('--type <pattern>', 'only those of events of this type: order.created or order.*')
    .option('--key <key>', 'only those of events of this key')
    .option('--tenant <tenant>', 'only those of this tenant')
    .option(
      '--status <status>',
      'only those whose last attempt got this HTTP status: 503 or 5xx',
      statusRange,
    )
    .option('--error <class>', 'only those whose last attempt had this error class: timeout')
}

export function addTimes(command: Command): Command {
  return command
    .option(
      '--since <time>',
      "only since then: '2026-11-22 15:00' (UTC), or 2h for two hours ago",
      pointInTime(Date.now),
    )
    .option('--until <time>', 'only before that', pointInTime(Date.now))
}

export function deliveryWish(options: DeliveryFilterOptions & TimeOptions): DeliveryWish {
  const { subscription: subscriptionOf, event, type: eventType, ...same } = options
  const { state, key, tenant, status, error, since, until } = same
  return {
    state,
    subscriptionId: subscriptionOf,
    eventId: event,
    eventType,
    key,
    tenant,
    status,
    error,
    since,
    until,
  }
}
