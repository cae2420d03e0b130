/** What is done with a subscription, beside changing its options; and what can be tried before it is done. */
import { z } from 'zod'
import type { Database } from '../store/database.ts'
import { tryFilter } from '../store/filters.ts'
import { listSubscriptionAttempts } from '../store/subscription-attempts.ts'
import { pauseSubscription, resumeSubscription, rotateSecret } from '../store/subscription-changes.ts'
import { testSubscription } from '../subscription-test.ts'
import type { ApiApp } from './app.ts'
import { Cursor, pageOf, pageQuery } from './cursor.ts'
import { notFound } from './problem.ts'
import { bigintId, tenantName, text, timestamp, uuid } from './schemas.ts'
import { shownSubscription, subscription } from './subscription-schemas.ts'
import { found, subscriptionPath, tagged } from './subscriptions.ts'

const TAGS = ['subscriptions']
/** How long an answer waits for the outcome of a test. */
const TEST_WAIT_MS = 5_000

export const testOutcome = z
  .object({
    delivery_id: bigintId,
    event_id: uuid.describe('The webhook-id.'),
    state: z
      .enum(['pending', 'delivered', 'dead', 'cancelled'])
      .describe('pending: under way, or tried again later.'),
    waits_as: z.string().nullable(),
    next_attempt_at: timestamp.nullable(),
    attempt: z
      .object({
        number: z.int(),
        duration_ms: z.int(),
        response_status: z.int().nullable(),
        error: z.string().nullable().describe('Error class.'),
        response_body: z.string().nullable().describe('The beginning of the answer. Do not trust it.'),
      })
      .nullable()
      .describe('The last one; null while the test is under way.'),
  })
  .meta({ id: 'TestOutcome' })

const subscriptionAttempt = z
  .object({
    delivery_id: bigintId,
    event_id: uuid,
    number: z.int(),
    started_at: timestamp,
    duration_ms: z.int(),
    response_status: z.int().nullable(),
    error: z.string().nullable(),
    response_body: z.string().nullable(),
    batch_id: uuid.nullable(),
  })
  .meta({ id: 'SubscriptionAttempt' })

export const triedEvent = z
  .object({
    event_id: uuid,
    type: z.string(),
    key: z.string().nullable(),
    tenant: z.string().nullable(),
    created_at: timestamp,
    matches: z.boolean(),
    payload: z.string().describe('Its first 1,000 characters.'),
  })
  .meta({ id: 'TriedEvent' })

const attemptCursor = new Cursor('subscription attempts', z.tuple([bigintId, z.int()]))

export function addSubscriptionActionRoutes(
  app: ApiApp,
  { database }: { readonly database: Database },
): void {
  app.post(
    '/v1/subscriptions/:id/pause',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'pauseSubscription',
        tags: TAGS,
        summary: 'Pause a subscription',
        description: 'Its deliveries are recorded and wait; nothing is dropped.',
        params: subscriptionPath,
        body: z.strictObject({ reason: text(1_000).nullish().describe('For people.') }),
        response: { 200: subscription },
      },
    },
    async ({ params: { id }, body, principal: { tenant } }, reply) => {
      if (!(await pauseSubscription(database, id, tenant, body.reason ?? undefined)))
        throw notFound('subscription')
      return tagged(reply, await found(database, id, tenant))
    },
  )
  app.post(
    '/v1/subscriptions/:id/resume',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'resumeSubscription',
        tags: TAGS,
        summary: 'Resume a subscription',
        description:
          'Makes one that is paused or disabled active again; what waited is delivered, oldest first.',
        params: subscriptionPath,
        response: { 200: subscription },
      },
    },
    async ({ params: { id }, principal: { tenant } }, reply) => {
      if (!(await resumeSubscription(database, id, tenant))) throw notFound('subscription')
      return tagged(reply, await found(database, id, tenant))
    },
  )
  app.post(
    '/v1/subscriptions/:id/rotate-secret',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'rotateSubscriptionSecret',
        tags: TAGS,
        summary: 'Give it a new signing secret',
        description:
          'The answer holds it, this once. Requests bear both signatures until the overlap has passed.',
        params: subscriptionPath,
        body: z.strictObject({
          secret: text(255).nullish().describe('By default a fresh one.'),
          overlap: text(20)
            .nullish()
            .describe('How long the old one signs too; by default 24h, 0s for not at all.'),
        }),
        response: {
          200: subscription
            .extend({ secret: z.string().describe('The new one. It is shown this once.') })
            .meta({ id: 'RotatedSubscription' }),
        },
      },
    },
    async ({ params: { id }, body, principal: { tenant } }) => {
      const rotation = { secret: body.secret ?? undefined, overlap: body.overlap ?? undefined }
      const secret = await rotateSecret(database, id, tenant, rotation)
      if (secret === undefined) throw notFound('subscription')
      return { ...shownSubscription(await found(database, id, tenant)), secret }
    },
  )
  app.post(
    '/v1/subscriptions/:id/test',
    {
      config: { scope: 'operate', limit: { max: 5, windowMs: 60_000 } },
      schema: {
        operationId: 'testSubscription',
        tags: TAGS,
        summary: 'Send a test event',
        description:
          'An event walhook.test, to this subscription and no other, whatever its patterns and filter; by itself, signed, and recorded like any delivery. Waits up to 5 s for the outcome. At most five a minute.',
        params: subscriptionPath,
        response: {
          200: testOutcome.describe('What came of it.'),
          202: testOutcome.describe('It is under way.'),
        },
      },
    },
    async ({ params: { id }, principal: { tenant } }, reply) => {
      const outcome = await testSubscription(database, id, tenant, { waitMs: TEST_WAIT_MS })
      if (outcome === undefined) throw notFound('subscription')
      return reply.status(outcome.attempt === null ? 202 : 200).send(outcome)
    },
  )
  app.get(
    '/v1/subscriptions/:id/attempts',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listSubscriptionAttempts',
        tags: TAGS,
        summary: "List a subscription's attempts",
        description: 'By delivery, the newest first, and of each the last attempt first.',
        params: subscriptionPath,
        querystring: z.strictObject(pageQuery),
        response: { 200: pageOf(subscriptionAttempt) },
      },
    },
    async ({ params: { id }, query: { limit, cursor }, principal: { tenant } }) => {
      const place = attemptCursor.read(cursor)
      await found(database, id, tenant)
      const after = place && { deliveryId: place[0], number: place[1] }
      const rows = await listSubscriptionAttempts(database, id, after, limit + 1)
      return attemptCursor.page(
        rows,
        limit,
        (row) => [row.delivery_id, row.number],
        (row) => row,
      )
    },
  )
  app.post(
    '/v1/filters/dry-run',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'tryFilter',
        tags: TAGS,
        summary: 'Try a filter on recent events',
        description: 'Which of the most recent events it would let pass. Changes nothing.',
        body: z
          .strictObject({
            filter: text(10_000).describe('SQL/JSON path predicate over the payload.'),
            event_types: z.array(text(255)).nullish().describe('Only events of these types.'),
            tenant: tenantName.nullish().describe("Only this tenant's events."),
            limit: z.int().min(1).max(200).default(50),
          })
          .meta({ examples: [{ filter: '$.amount > 100', event_types: ['order.*'] }] }),
        response: { 200: z.object({ data: z.array(triedEvent).describe('The newest first.') }) },
      },
    },
    async ({ body, principal }) => {
      const { filter, event_types: eventTypes, limit } = body
      const tenant = body.tenant ?? principal.tenant
      const isOthers = principal.tenant !== null && tenant !== principal.tenant
      const tried = await tryFilter(database, tenant, { filter, eventTypes: eventTypes ?? undefined, limit })
      return { data: isOthers ? [] : [...tried] }
    },
  )
}
