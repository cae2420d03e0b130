/** Deliveries and attempts as the API shows them, and how lists of them are asked for. */
import { z } from 'zod'
import { parseStatusRange, STATUS_RANGE } from '../core/status-range.ts'
import { pageOfDeliveries, type DeliveryWish } from '../store/delivery-pages.ts'
import { type AttemptReport, DELIVERY_STATES, type DeliveryStatus } from '../store/delivery-reports.ts'
import type { Queryable } from '../store/database.ts'
import { Cursor, type Page, pageQuery } from './cursor.ts'
import {
  bigintId,
  shownTime,
  shownTimeOrNull,
  tenantName,
  text,
  timestamp,
  timestampInput,
  uuid,
} from './schemas.ts'

export const delivery = z
  .object({
    id: bigintId,
    state: z.enum(DELIVERY_STATES),
    event_id: uuid.describe("The event's, and the webhook-id of each request."),
    event_type: z.string().nullable().describe('Null where the outbox does not have the event any more.'),
    key: z.string().nullable(),
    tenant: z.string().nullable(),
    subscription_id: uuid,
    url: z.string().nullable().describe('Null where the subscription was deleted.'),
    attempts: z.int().min(0).describe('Made so far.'),
    last_status: z.int().nullable().describe('HTTP status of the last attempt.'),
    last_error: z.string().nullable().describe('Error class of the last attempt, or why there was none.'),
    waits_as: z
      .string()
      .nullable()
      .describe(
        'What a pending one waits for: waiting, in flight, retry scheduled, delayed, parked, behind its key, awaiting consent.',
      ),
    next_attempt_at: timestamp.nullable(),
    created_at: timestamp,
    finished_at: timestamp.nullable(),
  })
  .meta({ id: 'Delivery' })

export const attempt = z
  .object({
    number: z.int().min(1),
    started_at: timestamp,
    duration_ms: z.int().min(0),
    response_status: z.int().nullable(),
    error: z.string().nullable().describe('Error class.'),
    response_body: z
      .string()
      .nullable()
      .describe('The beginning of the answer: what an endpoint sent. Do not trust it.'),
    batch_id: uuid.nullable().describe('The webhook-id of the request, where it was a batch.'),
  })
  .meta({ id: 'Attempt' })

export const deliveryWithAttempts = delivery
  .omit({ attempts: true })
  .extend({ attempts: z.array(attempt).describe('In order, for as long as they are kept.') })
  .meta({ id: 'DeliveryWithAttempts' })

/** `order.created`, `order.*` or `*`. */
export const eventTypePattern = text(257)
  .regex(
    /^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$/,
    'has to be an event type or a pattern: order.created, order.* or *',
  )
  .meta({ examples: ['order.*'] })

export const statusRange = z
  .string()
  .regex(STATUS_RANGE, 'has to be a status like 503, or a class like 5xx')
  .meta({ examples: ['503', '5xx'] })

/** Beside the subscription and the event, which some paths name. */
export const deliveryQuery = {
  ...pageQuery,
  state: z.enum(DELIVERY_STATES).optional(),
  tenant: tenantName.optional(),
  event_type: eventTypePattern.optional(),
  key: text(1000).optional().describe("The event's key."),
  since: timestampInput.optional().describe('Recorded then or later.'),
  until: timestampInput.optional().describe('Recorded before.'),
  status: statusRange.optional().describe('Of the last attempt: 503, or 5xx.'),
  error: text(100).optional().describe('Error class of the last attempt.'),
}

const query = z.object(deliveryQuery)
const deliveryCursor = new Cursor('deliveries', z.tuple([bigintId]))

/** What a list of deliveries asks for, whatever path it has; `of` is what the path says. */
export async function deliveryPage(
  database: Queryable,
  asked: z.output<typeof query>,
  of: Pick<DeliveryWish, 'ofTenant' | 'subscriptionId' | 'eventId'>,
): Promise<Page<z.output<typeof delivery>>> {
  const { limit, cursor, event_type: eventType, status, ...same } = asked
  const wish: DeliveryWish = {
    ...same,
    ...of,
    eventType,
    status: status === undefined ? undefined : parseStatusRange(status),
  }
  const [beforeId] = deliveryCursor.read(cursor) ?? []
  const page = await pageOfDeliveries(database, wish, { beforeId, limit })
  return {
    data: page.rows.map(shownDelivery),
    next_cursor: deliveryCursor.after(page.beforeId === undefined ? undefined : [page.beforeId]),
  }
}

export function shownDelivery(row: DeliveryStatus): z.output<typeof delivery> {
  return {
    ...row,
    next_attempt_at: shownTimeOrNull(row.next_attempt_at),
    created_at: shownTime(row.created_at),
    finished_at: shownTimeOrNull(row.finished_at),
  }
}

export function shownAttempt(row: AttemptReport): z.output<typeof attempt> {
  return { ...row, started_at: shownTime(row.started_at) }
}
