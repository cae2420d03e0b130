/** /v1/subscriptions: looked at, made, changed and deleted. A tenant's key has that tenant's, and knows of no other. */
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { urlFault } from '../core/endpoint-url.ts'
import type { Principal } from '../core/principal.ts'
import type { Database, Queryable } from '../store/database.ts'
import { changeSubscription, createSubscription, deleteSubscription } from '../store/subscription-changes.ts'
import {
  findSubscriptionById,
  listSubscriptions,
  lockSubscription,
  SUBSCRIPTION_STATES,
  type SubscriptionOverview,
} from '../store/subscription-overviews.ts'
import type { ApiApp } from './app.ts'
import { Cursor, pageOf, pageQuery } from './cursor.ts'
import { entityTag, requireMatch, sendEntityTag } from './entity-tag.ts'
import { notFound, Problem } from './problem.ts'
import { conditional, eventTypeName, tenantName, text, uuid } from './schemas.ts'
import {
  createdSubscription,
  newSubscription,
  type ShownSubscription,
  shownSubscription,
  subscription,
  subscriptionChanges,
} from './subscription-schemas.ts'

const TAGS = ['subscriptions']
const subscriptionCursor = new Cursor('subscriptions', z.tuple([z.uuid()]))
export const subscriptionPath = z.strictObject({ id: uuid })

export function addSubscriptionRoutes(app: ApiApp, { database }: { readonly database: Database }): void {
  app.get(
    '/v1/subscriptions',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listSubscriptions',
        tags: TAGS,
        summary: 'List subscriptions',
        description: 'The newest first, each with its health and its last attempts.',
        querystring: z.strictObject({
          ...pageQuery,
          state: z.enum(SUBSCRIPTION_STATES).optional(),
          tenant: tenantName.optional(),
          url: text(2_048).optional().describe('Only those whose URL has this in it.'),
          name: text(100).optional(),
          event_type: eventTypeName
            .optional()
            .describe('Only those that a pattern makes receive it, whatever their filter.'),
          failing: z
            .literal('true', 'has to be true, or absent')
            .optional()
            .describe('Only active ones whose last attempt failed.'),
        }),
        response: { 200: pageOf(subscription) },
      },
    },
    async ({ query, principal }) => {
      const { limit, cursor, state, url, name, event_type: eventType, failing } = query
      const [before] = subscriptionCursor.read(cursor) ?? []
      const tenant = query.tenant ?? principal.tenant
      // Of another tenant there is nothing to be seen.
      const isOthers = principal.tenant !== null && tenant !== principal.tenant
      const isFailing = failing === undefined ? undefined : (true as const)
      const filter = { state, url, name, eventType, isFailing, before, limit: limit + 1 }
      const rows = isOthers ? [] : await listSubscriptions(database, tenant, filter)
      return subscriptionCursor.page(rows, limit, ({ id }) => [id], shownSubscription)
    },
  )
  app.post(
    '/v1/subscriptions',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'createSubscription',
        tags: TAGS,
        summary: 'Make a subscription',
        description:
          'It receives the events that are committed from now on. The answer holds its signing secret, this once.',
        body: newSubscription,
        response: { 201: createdSubscription },
      },
    },
    async ({ body, principal }, reply) => {
      const { secret, ...options } = body
      requireCallable(options.url)
      const made = await database.transaction(async (tx) => {
        const tenant = tenantOf(principal, options.tenant)
        const { id, secret: shown } = await createSubscription(
          tx,
          { ...options, tenant },
          secret ?? undefined,
        )
        return { overview: await found(tx, id, null), secret: shown }
      })
      reply.header('location', `/v1/subscriptions/${made.overview.id}`)
      return reply.status(201).send({ ...tagged(reply, made.overview), secret: made.secret })
    },
  )
  app.get(
    '/v1/subscriptions/:id',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getSubscription',
        tags: TAGS,
        summary: 'Get a subscription',
        description: 'With its health and its last attempts. Its secrets are nowhere to be read again.',
        params: subscriptionPath,
        response: { 200: subscription },
      },
    },
    async ({ params: { id }, principal: { tenant } }, reply) =>
      tagged(reply, await found(database, id, tenant)),
  )
  app.patch(
    '/v1/subscriptions/:id',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'changeSubscription',
        tags: TAGS,
        summary: 'Change a subscription',
        description:
          'Changes what is named, and nothing else; null makes an option what it is by default. Takes effect within a second. With If-Match, only if nobody changed it since.',
        params: subscriptionPath,
        headers: conditional,
        body: subscriptionChanges,
        response: { 200: subscription },
      },
    },
    async (request, reply) => {
      const { body, principal } = request
      const { id } = request.params
      requireCallable(body.url)
      if (body.tenant !== undefined) tenantOf(principal, body.tenant)
      const after = await database.transaction(async (tx) => {
        requireMatch(request, tagOf(await locked(tx, id, principal.tenant)))
        await changeSubscription(tx, id, principal.tenant, body)
        return found(tx, id, null)
      })
      return tagged(reply, after)
    },
  )
  app.delete(
    '/v1/subscriptions/:id',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'deleteSubscription',
        tags: TAGS,
        summary: 'Delete a subscription',
        description: 'What it is still owed is cancelled, and stays visible.',
        params: subscriptionPath,
        headers: conditional,
        response: { 204: z.null().describe('It is gone.') },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const { tenant } = request.principal
      await database.transaction(async (tx) => {
        requireMatch(request, tagOf(await locked(tx, id, tenant)))
        await deleteSubscription(tx, id, tenant)
      })
      return reply.status(204).send(null)
    },
  )
}

/** Errors: 404, of another tenant's too. */
export async function found(db: Queryable, id: string, tenant: string | null): Promise<SubscriptionOverview> {
  const overview = await findSubscriptionById(db, id, tenant)
  if (overview === undefined) throw notFound('subscription')
  return overview
}

async function locked(tx: Queryable, id: string, tenant: string | null): Promise<SubscriptionOverview> {
  const overview = await lockSubscription(tx, id, tenant)
  if (overview === undefined) throw notFound('subscription')
  return overview
}

/** An answer that says in which state it shows the subscription. */
export function tagged(reply: FastifyReply, overview: SubscriptionOverview): ShownSubscription {
  sendEntityTag(reply, tagOf(overview))
  return shownSubscription(overview)
}

function tagOf({ id, version }: SubscriptionOverview): string {
  return entityTag(id, version)
}

/** Whose it is to be. Errors: 403, where a tenant's key asks for another. */
function tenantOf({ tenant: own }: Principal, asked: string | null | undefined): string | null {
  if (own === null) return asked ?? null
  if (asked !== undefined && asked !== own)
    throw new Problem('forbidden', "A tenant's key has subscriptions of that tenant only.")
  return own
}

function requireCallable(url: string | undefined): void {
  const fault = url === undefined ? undefined : urlFault(url)
  if (fault === undefined) return
  throw new Problem('invalid', `url ${fault}.`, { errors: [{ field: 'url', detail: fault }] })
}
