/** /v1/deliveries: look at them one by one or in pages, and change what becomes of one. A tenant's key sees what its subscriptions are owed. */
import { z } from 'zod'
import { deliveryAsCurl } from '../delivery-curl.ts'
import type { Database, Queryable } from '../store/database.ts'
import { type DeliveryStatus, findDelivery, listAttempts } from '../store/delivery-reports.ts'
import { findDeliveryRequest } from '../store/delivery-request.ts'
import { cancelDelivery, resend } from '../store/resend.ts'
import { findSubscriptionById } from '../store/subscription-overviews.ts'
import type { ApiApp } from './app.ts'
import { pageOf } from './cursor.ts'
import {
  delivery,
  deliveryPage,
  deliveryQuery,
  deliveryWithAttempts,
  shownAttempt,
  shownDelivery,
} from './delivery-schemas.ts'
import { notFound, Problem } from './problem.ts'
import { addResendManyRoute } from './resend-many.ts'
import { bigintId, uuid } from './schemas.ts'

const TAGS = ['deliveries']
const params = z.strictObject({ id: bigintId })

export function addDeliveryRoutes(app: ApiApp, { database }: { readonly database: Database }): void {
  app.get(
    '/v1/deliveries',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listDeliveries',
        tags: TAGS,
        summary: 'List deliveries',
        description:
          'The newest first. Where few deliveries pass a filter, a page can be short, or empty, and have a next_cursor even so.',
        querystring: z.strictObject({
          ...deliveryQuery,
          subscription_id: uuid.optional(),
          event_id: uuid.optional(),
        }),
        response: { 200: pageOf(delivery) },
      },
    },
    ({ query: { subscription_id: subscriptionId, event_id: eventId, ...asked }, principal }) =>
      deliveryPage(database, asked, { subscriptionId, eventId, ofTenant: principal.tenant ?? undefined }),
  )
  app.get(
    '/v1/subscriptions/:id/deliveries',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listDeliveriesOfSubscription',
        tags: TAGS,
        summary: "List a subscription's deliveries",
        description:
          'The same as /v1/deliveries with its subscription_id; 404 where there is no such subscription.',
        params: z.strictObject({ id: uuid }),
        querystring: z.strictObject(deliveryQuery),
        response: { 200: pageOf(delivery) },
      },
    },
    async ({ params: { id }, query, principal }) => {
      if ((await findSubscriptionById(database, id, principal.tenant)) === undefined)
        throw notFound('subscription')
      return deliveryPage(database, query, { subscriptionId: id, ofTenant: principal.tenant ?? undefined })
    },
  )
  app.get(
    '/v1/deliveries/:id',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getDelivery',
        tags: TAGS,
        summary: 'Look at a delivery, with every attempt',
        params,
        response: { 200: deliveryWithAttempts },
      },
    },
    async ({ params: { id }, principal }) => {
      const found = await requireDelivery(database, id, principal.tenant)
      return {
        ...shownDelivery(found),
        attempts: (await listAttempts(database, id)).map(shownAttempt),
      }
    },
  )
  app.post(
    '/v1/deliveries/:id/resend',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'resendDelivery',
        tags: TAGS,
        summary: 'Make a delivery due now',
        description: 'Whatever its state, with its whole retry schedule before it.',
        params,
        response: { 200: delivery },
      },
    },
    ({ params: { id }, principal }) =>
      change(id, principal.tenant, async (tx) => void (await resend(tx, id))),
  )
  app.post(
    '/v1/deliveries/:id/cancel',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'cancelDelivery',
        tags: TAGS,
        summary: 'Cancel a pending delivery',
        description:
          'An attempt that has not begun does not begin; one that is under way ends as it does. 409 where it is delivered or dead.',
        params,
        response: { 200: delivery },
      },
    },
    ({ params: { id }, principal }) => change(id, principal.tenant, (tx) => cancelDelivery(tx, id)),
  )
  app.get(
    '/v1/deliveries/:id/curl',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getDeliveryAsCurl',
        tags: TAGS,
        summary: 'A delivery as a curl line',
        description:
          'What the next attempt would send, for a POSIX shell; without signature, credentials and certificates, and with … in place of own headers that sound like a secret.',
        params,
        response: {
          200: { description: 'The line.', content: { 'text/plain': { schema: z.string() } } },
        },
      },
    },
    async ({ params: { id }, principal }, reply) => {
      const request = await findDeliveryRequest(database, id, principal.tenant ?? undefined)
      if (request === undefined) throw notFound('delivery')
      const line = deliveryAsCurl(request, Date.now())
      if (line === undefined)
        throw new Problem(
          'conflict',
          'Its event is not there any more, or was expunged: nothing can be sent.',
        )
      return reply.type('text/plain; charset=utf-8').send(`${line}\n`)
    },
  )
  addResendManyRoute(app, database)

  const change = (
    id: string,
    tenant: string | null,
    act: (tx: Queryable) => Promise<void>,
  ): Promise<z.output<typeof delivery>> =>
    database.transaction(async (tx) => {
      await requireDelivery(tx, id, tenant)
      await act(tx)
      return shownDelivery(await requireDelivery(tx, id, tenant))
    })
}

async function requireDelivery(db: Queryable, id: string, tenant: string | null): Promise<DeliveryStatus> {
  const found = await findDelivery(db, id, tenant ?? undefined)
  if (found === undefined) throw notFound('delivery')
  return found
}
