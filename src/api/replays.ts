/** /v1/replays: many deliveries sent again, to their endpoint or another, or made of older events. */
import { z } from 'zod'
import type { Database } from '../store/database.ts'
import { askForReplay, continueReplay, listReplays, type ReplayStatus, stopReplay } from '../store/replays.ts'
import { isSubscriptionOf } from '../store/subscription-lookup.ts'
import type { ApiApp } from './app.ts'
import { Cursor, pageOf, pageQuery } from './cursor.ts'
import { notFound, Problem } from './problem.ts'
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

const kind = z
  .enum(['resend', 'copy', 'backfill'])
  .describe(
    'resend: deliveries are made due again. copy: to another URL. backfill: of events that it was never sent.',
  )

const replay = z
  .object({
    id: bigintId,
    kind,
    state: z.enum(['running', 'stopped', 'done', 'failed']),
    reason: z.string().nullable().describe('Why it failed.'),
    waits_for: z.string().nullable().describe('What a running one waits for.'),
    replayed: z.int().min(0).describe('So far.'),
    total: z.int().min(0).describe('When it was asked for.'),
    percent: z.number().min(0).max(100),
    per_second: z.number().min(0),
    remaining: z.string().nullable().describe('How long it may still take: hours, minutes and seconds.'),
    url: z.string().nullable().describe('Where they go.'),
    subscription_id: uuid.describe('Whose deliveries they are.'),
    to_subscription_id: uuid.describe('Who gets them.'),
    created_by: z.string().describe("The database's login that asked for it."),
    created_at: timestamp,
    updated_at: timestamp,
    finished_at: timestamp.nullable(),
  })
  .meta({ id: 'Replay' })

const newReplay = z
  .strictObject({
    subscription_id: uuid
      .nullish()
      .describe(
        "Whose deliveries; without it, the dead letters of all. A tenant's key has to name one of that tenant.",
      ),
    event_types: z.array(text(255)).max(100).nullish().describe('Only these: order.created, order.* or *.'),
    created_from: timestampInput.nullish().describe('Only events created then or later.'),
    created_to: timestampInput.nullish().describe('Only events created before that.'),
    states: z
      .array(z.enum(['dead', 'delivered', 'cancelled']))
      .max(3)
      .nullish()
      .describe('Of which deliveries; the dead ones where nothing is said.'),
    key: text(1_000).nullish().describe('Only events of this key.'),
    tenant: tenantName.nullish().describe('Only events of this tenant.'),
    to_url: text(2_048)
      .nullish()
      .describe('To this URL in place of its own, with the same ids and signatures.'),
    backfill: z
      .boolean()
      .default(false)
      .describe('Events that match the subscription and that it was never sent.'),
    dry_run: z.boolean().default(false).describe('Only count.'),
  })
  .meta({
    id: 'NewReplay',
    examples: [{ event_types: ['order.*'], created_from: '2026-11-22T15:00:00Z', dry_run: true }],
  })

const askedReplay = z
  .object({
    id: bigintId.nullable().describe('Null where nothing was made: a dry run, or nothing to send.'),
    kind,
    subscription_id: uuid,
    to_subscription_id: uuid,
    total: z.int().min(0).describe('How many deliveries or events that is.'),
  })
  .meta({ id: 'AskedReplay' })

const askedReplays = z.object({ data: z.array(askedReplay).describe('One for each subscription.') })

const replayCursor = new Cursor('replays', z.tuple([bigintId]))
const params = z.strictObject({ id: bigintId })
const TAGS = ['replays']

export function addReplayRoutes(app: ApiApp, { database }: { readonly database: Database }): void {
  app.get(
    '/v1/replays',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listReplays',
        tags: TAGS,
        summary: 'List replays',
        querystring: z.strictObject(pageQuery),
        response: { 200: pageOf(replay) },
      },
    },
    async ({ query: { limit, cursor }, principal: { tenant } }) => {
      const [beforeId] = replayCursor.read(cursor) ?? []
      const rows = await listReplays(database, { tenant, beforeId, limit: limit + 1 })
      return replayCursor.page(rows, limit, ({ id }) => [id], shown)
    },
  )
  app.post(
    '/v1/replays',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'createReplay',
        tags: TAGS,
        summary: 'Send many deliveries again',
        description:
          'All or nothing: either each subscription that is concerned has its replay, or none has. With `dry_run` it only counts. The sidecar does the work; look at it with getReplay.',
        body: newReplay,
        response: {
          200: askedReplays.describe('A dry run, or nothing to send.'),
          201: askedReplays.describe('They have begun.'),
        },
      },
    },
    async ({ body, principal }, reply) => {
      const tenant = requireOwn(body, principal.tenant)
      const asked = await database.transaction(async (tx) => {
        const { subscription_id: id } = body
        if (id != null && !(await isSubscriptionOf(tx, id, principal.tenant))) throw notFound('subscription')
        return askForReplay(tx, wishOf(body, tenant), { withinTheLimit: true })
      })
      return reply.status(asked.some(({ id }) => id !== null) ? 201 : 200).send({ data: [...asked] })
    },
  )
  app.get(
    '/v1/replays/:id',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getReplay',
        tags: TAGS,
        summary: 'One replay: how far it has come',
        params,
        response: { 200: replay },
      },
    },
    async ({ params: { id }, principal: { tenant } }) => find(database, id, tenant),
  )
  for (const [verb, summary, act] of [
    ['stop', 'Stop a replay: nothing more is made due', stopReplay],
    ['continue', 'Go on with a replay that was stopped or failed, where it was', continueReplay],
  ] as const)
    app.post(
      `/v1/replays/:id/${verb}`,
      {
        config: { scope: 'operate' },
        schema: { operationId: `${verb}Replay`, tags: TAGS, summary, params, response: { 200: replay } },
      },
      async ({ params: { id }, principal: { tenant } }) => {
        await find(database, id, tenant)
        await act(database, id)
        return find(database, id, tenant)
      },
    )
}

/** Its own subscription, and its own events. */
function requireOwn(
  { subscription_id, tenant }: z.output<typeof newReplay>,
  own: string | null,
): string | undefined {
  if (own === null) return tenant ?? undefined
  if (tenant != null && tenant !== own) throw new Problem('forbidden', 'The key is for another tenant.')
  if (subscription_id != null) return own
  const detail = "has to be given with a tenant's key"
  throw new Problem('invalid', `subscription_id ${detail}.`, {
    errors: [{ field: 'subscription_id', detail }],
  })
}

function wishOf(
  body: z.output<typeof newReplay>,
  tenant: string | undefined,
): Parameters<typeof askForReplay>[1] {
  return {
    subscriptionId: body.subscription_id ?? undefined,
    eventTypes: body.event_types ?? undefined,
    createdFrom: body.created_from ?? undefined,
    createdTo: body.created_to ?? undefined,
    states: body.states ?? undefined,
    key: body.key ?? undefined,
    tenant,
    toUrl: body.to_url ?? undefined,
    backfill: body.backfill,
    dryRun: body.dry_run,
  }
}

async function find(database: Database, id: string, tenant: string | null): Promise<z.output<typeof replay>> {
  const [row] = await listReplays(database, { ids: [id], tenant, limit: 1 })
  if (row === undefined) throw notFound('replay')
  return shown(row)
}

function shown(row: ReplayStatus): z.output<typeof replay> {
  return {
    ...row,
    created_at: shownTime(row.created_at),
    updated_at: shownTime(row.updated_at),
    finished_at: shownTimeOrNull(row.finished_at),
  }
}
