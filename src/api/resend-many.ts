/** POST /v1/deliveries/resend: those that are named, or all that pass a filter, as walhook.replay sends them. */
import { z } from 'zod'
import { parseStatusRange } from '../core/status-range.ts'
import type { Database } from '../store/database.ts'
import { findDelivery } from '../store/delivery-reports.ts'
import { askForReplay, type AskedReplay, askForReplayOf } from '../store/replays.ts'
import { resend } from '../store/resend.ts'
import type { ApiApp } from './app.ts'
import { eventTypePattern, statusRange } from './delivery-schemas.ts'
import { notFound, Problem } from './problem.ts'
import { bigintId, tenantName, text, timestampInput, uuid } from './schemas.ts'

const MOST_NAMED = 200

const resendMany = z
  .strictObject({
    ids: z
      .array(bigintId)
      .min(1)
      .max(MOST_NAMED)
      .optional()
      .describe('Just these, all or none, and no filter beside them.'),
    subscription_id: uuid.optional().describe('Without one: the dead letters of all.'),
    event_types: z.array(eventTypePattern).min(1).max(100).optional(),
    since: timestampInput.optional().describe('Only events created then or later.'),
    until: timestampInput.optional().describe('Only events created before.'),
    states: z
      .array(z.enum(['dead', 'delivered', 'cancelled']))
      .min(1)
      .max(3)
      .optional()
      .describe('Default: dead. Others need a subscription.'),
    key: text(1000).optional(),
    tenant: tenantName.optional(),
    status: statusRange.optional().describe('Of the last attempt.'),
    error: text(100).optional().describe('Error class of the last attempt.'),
    dry_run: z.boolean().default(false).describe('Only count.'),
  })
  .meta({
    id: 'ResendMany',
    examples: [{ subscription_id: '01a22683-92ce-72b3-a7a5-ec8addbc699d', status: '5xx', dry_run: true }],
  })

const resent = z
  .object({
    dry_run: z.boolean(),
    total: z.int().min(0).describe('How many are sent again, or would be.'),
    replays: z
      .array(z.object({ id: bigintId.nullable(), subscription_id: uuid, total: z.int().min(0) }))
      .describe(
        'One for each subscription, where a filter was given: they go on by themselves. `id` is null in a dry run.',
      ),
  })
  .meta({ id: 'Resent' })

type Wish = z.output<typeof resendMany>

export function addResendManyRoute(app: ApiApp, database: Database): void {
  app.post(
    '/v1/deliveries/resend',
    {
      config: { scope: 'operate' },
      schema: {
        operationId: 'resendDeliveries',
        tags: ['deliveries'],
        summary: 'Send many deliveries again',
        description:
          'By ids, at once; or by filter, as replays, which can be watched and stopped. Count with dry_run first.',
        body: resendMany,
        response: { 200: resent },
      },
    },
    ({ body, principal: { tenant } }) =>
      body.ids === undefined ? byFilter(database, body, tenant) : byIds(database, body, body.ids, tenant),
  )
}

async function byIds(
  database: Database,
  { dry_run: isDryRun, ...wish }: Wish,
  ids: readonly string[],
  tenant: string | null,
): Promise<z.output<typeof resent>> {
  if (Object.keys(wish).length > 1)
    throw new Problem('malformed', 'Send either ids or a filter.', {
      errors: [{ field: 'ids', detail: 'has to stand without a filter' }],
    })
  // Each once, and in one order for everybody: two that name the same ones then wait and do not deadlock.
  const inOrder = [...new Set(ids)].toSorted((a, b) => Number(BigInt(a) - BigInt(b)))
  await database.transaction(async (tx) => {
    for (const id of inOrder) {
      if ((await findDelivery(tx, id, tenant ?? undefined)) === undefined) throw notFound(`delivery: ${id}`)
      if (!isDryRun) await resend(tx, id)
    }
  })
  return { dry_run: isDryRun, total: inOrder.length, replays: [] }
}

async function byFilter(
  database: Database,
  wish: Wish,
  tenant: string | null,
): Promise<z.output<typeof resent>> {
  const asked = {
    subscriptionId: wish.subscription_id,
    eventTypes: wish.event_types,
    createdFrom: wish.since,
    createdTo: wish.until,
    states: wish.states,
    key: wish.key,
    status: wish.status === undefined ? undefined : parseStatusRange(wish.status),
    error: wish.error,
    dryRun: wish.dry_run,
  }
  const replays = await database.transaction((tx): Promise<readonly AskedReplay[]> => {
    if (tenant === null)
      return askForReplay(tx, { ...asked, tenant: wish.tenant, backfill: false }, { withinTheLimit: true })
    return wish.tenant === undefined || wish.tenant === tenant
      ? askForReplayOf(tx, tenant, asked)
      : Promise.resolve([])
  })
  return {
    dry_run: wish.dry_run,
    total: replays.reduce((sum, { total }) => sum + total, 0),
    replays: replays.map(({ id, subscription_id, total }) => ({ id, subscription_id, total })),
  }
}
