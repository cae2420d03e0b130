/** /v1/events: what was published, who got it and why others did not. */
import { z } from 'zod'
import { visibleJsonWith } from '../core/raw-json.ts'
import type { Database, Queryable } from '../store/database.ts'
import { type EventRow, findEvent, matchesOf, pageOfEvents, type WholeEvent } from '../store/events.ts'
import type { ApiApp } from './app.ts'
import { Cursor, pageOf, pageQuery } from './cursor.ts'
import { delivery, deliveryPage, deliveryQuery, eventTypePattern } from './delivery-schemas.ts'
import { notFound } from './problem.ts'
import { addPublishRoute } from './publish.ts'
import {
  bigintId,
  shownTime,
  shownTimeOrNull,
  tenantName,
  text,
  timestamp,
  timestampInput,
  uuid,
  wholeNumber,
} from './schemas.ts'

export const event = z
  .object({
    id: uuid,
    type: z.string(),
    key: z.string().nullable(),
    tenant: z.string().nullable(),
    created_at: timestamp,
    captured_from: z.string().nullable().describe('Where it was written, if not to the outbox.'),
    expunged_at: timestamp.nullable(),
  })
  .meta({ id: 'Event' })

export const wholeEvent = event
  .extend({
    refused_for: z
      .string()
      .nullable()
      .describe('Why the catalog of event types refused it; null where it did not.'),
    headers: z.record(z.string(), z.unknown()),
    payload: z.unknown().describe('As it was written: every digit of it.'),
  })
  .meta({ id: 'WholeEvent' })

export const match = z
  .object({
    subscription_id: uuid,
    matches: z.boolean(),
    reason: z
      .string()
      .nullable()
      .describe(
        'Why it does not match: event type, tenant, filter, made after the event, made or changed after the event, the catalog refused it, expunged.',
      ),
    url: z.string().nullable().describe('Null where the subscription was deleted.'),
    subscription_tenant: z.string().nullable(),
    state: z.enum(['active', 'paused', 'disabled']).nullable(),
    delivery_id: bigintId.nullable(),
    delivery_state: z.enum(['pending', 'delivered', 'dead', 'cancelled']).nullable(),
  })
  .meta({ id: 'Match' })

/** Postgres's text of a time, and an id: where a page ended. */
const eventCursor = new Cursor(
  'events',
  z.tuple([z.string().regex(/^(-?infinity|\d{4,}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00( BC)?)$/), z.guid()]),
)

const TAGS = ['events']
const params = z.strictObject({ id: uuid })

export function addEventRoutes(app: ApiApp, { database }: { readonly database: Database }): void {
  addPublishRoute(app, database)
  app.get(
    '/v1/events',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listEvents',
        tags: TAGS,
        summary: 'List events',
        description:
          'The newest first, without their payloads. Where few events pass a filter, a page can be short, or empty, and have a next_cursor even so.',
        querystring: z.strictObject({
          ...pageQuery,
          type: eventTypePattern.optional(),
          key: text(1000).optional(),
          tenant: tenantName.optional(),
          since: timestampInput.optional().describe('Created then or later.'),
          until: timestampInput.optional().describe('Created before.'),
        }),
        response: { 200: pageOf(event) },
      },
    },
    async ({ query: { limit, cursor, ...wish }, principal }) => {
      const [createdAt, id] = eventCursor.read(cursor) ?? []
      const before = createdAt === undefined || id === undefined ? undefined : { createdAt, id }
      const ofTenant = principal.tenant ?? undefined
      const page = await pageOfEvents(database, { ...wish, ofTenant }, { before, limit })
      const { before: next } = page
      return {
        data: page.rows.map(shown),
        next_cursor: eventCursor.after(next === undefined ? undefined : [next.createdAt, next.id]),
      }
    },
  )
  app.get(
    '/v1/events/:id',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getEvent',
        tags: TAGS,
        summary: 'Look at an event',
        params,
        response: { 200: wholeEvent },
      },
    },
    async ({ params: { id }, principal }, reply) => {
      const { payload, headers, ...row } = await requireEvent(database, id, principal.tenant)
      const text = visibleJsonWith({ ...shown(row), refused_for: row.refused_for }, { headers, payload })
      return reply.type('application/json; charset=utf-8').send(text as never)
    },
  )
  app.get(
    '/v1/events/:id/matches',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listMatches',
        tags: TAGS,
        summary: 'Who gets an event, and why others do not',
        description:
          'Those that match come first, with their deliveries; then near misses. There are no further pages: raise the limit.',
        params,
        querystring: z.strictObject({ limit: wholeNumber(1, 1000).default(100) }),
        response: { 200: z.object({ data: z.array(match), next_cursor: z.null() }) },
      },
    },
    async ({ params: { id }, query: { limit }, principal }) => {
      await requireEvent(database, id, principal.tenant)
      const rows = await matchesOf(database, id, { ofTenant: principal.tenant ?? undefined, limit })
      return { data: [...rows], next_cursor: null }
    },
  )
  app.get(
    '/v1/events/:id/deliveries',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listDeliveriesOfEvent',
        tags: TAGS,
        summary: 'List the deliveries of an event',
        description: 'The same as /v1/deliveries with its event_id; 404 where there is no such event.',
        params,
        querystring: z.strictObject(deliveryQuery),
        response: { 200: pageOf(delivery) },
      },
    },
    async ({ params: { id }, query, principal }) => {
      await requireEvent(database, id, principal.tenant)
      return deliveryPage(database, query, { eventId: id, ofTenant: principal.tenant ?? undefined })
    },
  )
}

async function requireEvent(db: Queryable, id: string, tenant: string | null): Promise<WholeEvent> {
  const found = await findEvent(db, id, tenant ?? undefined)
  if (found === undefined) throw notFound('event')
  return found
}

function shown({
  id,
  type,
  key,
  tenant,
  created_at,
  captured_from,
  expunged_at,
}: EventRow): z.output<typeof event> {
  return {
    id,
    type,
    key,
    tenant,
    created_at: shownTime(created_at),
    captured_from,
    expunged_at: shownTimeOrNull(expunged_at),
  }
}
