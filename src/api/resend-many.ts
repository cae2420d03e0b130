/** POST /v1/deliveries/resend: those that are named, or all that pass a filter, as walhook.replay sends them. */
import { z } from 'zod'
import { parseStatusRange } from '../core/status-range.ts'
import type { Database, Queryable } from '../store/database.ts'
import { pageOfDeliveries } from '../store/delivery-pages.ts'
import { findDelivery } from '../store/delivery-reports.ts'
import { askForReplay, type AskedReplay, askForReplayOf } from '../store/replays.ts'
import { resend } from '../store/resend.ts'
import type { ApiApp } from './app.ts'
import { eventTypePattern, statusRange } from './delivery-schemas.ts'
import { notFound, Problem } from './problem.ts'
import { bigintId, tenantName, text, timestampInput, uuid } from './schemas.ts'

const MOST_NAMED = 200
/** Of one event. */
const AT_ONCE = 1_000

const resendMany = z
  .strictObject({
    ids: z
      .array(bigintId)
      .min(1)
      .max(MOST_NAMED)
      .optional()
      .describe('Just these, all or none, and no filter beside them.'),
    subscription_id: uuid.optional().describe('Without one: of all.'),
    event_id: uuid.optional(),
    event_type: eventTypePattern.optional(),
    since: timestampInput.optional().describe('Only of events created then or later.'),
    until: timestampInput.optional().describe('Only of events created before.'),
    state: z
      .enum(['dead', 'delivered', 'cancelled'])
      .default('dead')
      .describe('Others than dead need a subscription or an event.'),
    key: text(1000).optional(),
    tenant: tenantName.optional(),
    status: statusRange.optional().describe('Of the last attempt.'),
    error: text(100).optional().describe('Error class of the last attempt.'),
    dry_run: z.boolean().default(false).describe('Only count.'),
  })
  .meta({ id: 'ResendMany', examples: [{ status: '5xx', since: '2026-11-22T15:00:00Z', dry_run: true }] })

export const resent = z
  .object({
    dry_run: z.boolean(),
    matched: z.int().min(0).describe('How many are sent again, or would be.'),
    replays: z
      .array(z.object({ id: bigintId.nullable(), subscription_id: uuid, total: z.int().min(0) }))
      .describe(
        'One for each subscription, where a filter was given: they go on by themselves. `id` is null in a dry run.',
      ),
  })
  .meta({ id: 'Resent' })

type Wish = z.output<typeof resendMany>
type Resent = z.output<typeof resent>

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
          'By ids or of one event, at once; or by filter, as replays, which can be watched and stopped. Count with dry_run first.',
        body: resendMany,
        response: { 200: resent },
      },
    },
    ({ body, principal: { tenant } }) =>
      database.transaction((tx) => {
        if (body.ids !== undefined) return byIds(tx, body, body.ids, tenant)
        return body.event_id === undefined ? byFilter(tx, body, tenant) : ofEvent(tx, body, tenant)
      }),
  )
}

async function byIds(
  tx: Queryable,
  { ids: _ids, dry_run: isDryRun, state: _state, ...filter }: Wish,
  ids: readonly string[],
  tenant: string | null,
): Promise<Resent> {
  if (Object.keys(filter).length > 0)
    throw new Problem('invalid', 'Send either ids or a filter.', {
      errors: [{ field: 'ids', detail: 'has to stand without a filter' }],
    })
  for (const id of ids)
    if ((await findDelivery(tx, id, tenant ?? undefined)) === undefined) throw notFound(`delivery: ${id}`)
  return resendAll(tx, ids, isDryRun)
}

/** They are few, and found by the event. */
async function ofEvent(tx: Queryable, wish: Wish, tenant: string | null): Promise<Resent> {
  const found: string[] = []
  let beforeId: string | undefined
  do {
    const page = await pageOfDeliveries(
      tx,
      {
        ofTenant: tenant ?? undefined,
        state: wish.state,
        subscriptionId: wish.subscription_id,
        eventId: wish.event_id,
        eventType: wish.event_type,
        key: wish.key,
        tenant: wish.tenant,
        status: wish.status === undefined ? undefined : parseStatusRange(wish.status),
        error: wish.error,
        since: wish.since,
        until: wish.until,
      },
      { beforeId, limit: AT_ONCE },
    )
    found.push(...page.rows.map(({ id }) => id))
    beforeId = page.beforeId
  } while (beforeId !== undefined)
  return resendAll(tx, found, wish.dry_run)
}

/** Each once, and in one order for everybody: two that name the same ones then wait and do not deadlock. */
async function resendAll(tx: Queryable, ids: readonly string[], isDryRun: boolean): Promise<Resent> {
  const inOrder = [...new Set(ids)].toSorted((a, b) => Number(BigInt(a) - BigInt(b)))
  if (!isDryRun) for (const id of inOrder) await resend(tx, id)
  return { dry_run: isDryRun, matched: inOrder.length, replays: [] }
}

async function byFilter(tx: Queryable, wish: Wish, tenant: string | null): Promise<Resent> {
  const asked = {
    subscriptionId: wish.subscription_id,
    eventTypes: wish.event_type === undefined ? undefined : [wish.event_type],
    createdFrom: wish.since,
    createdTo: wish.until,
    states: [wish.state],
    key: wish.key,
    status: wish.status === undefined ? undefined : parseStatusRange(wish.status),
    error: wish.error,
    dryRun: wish.dry_run,
  }
  const replays = await askedOf(tx, asked, wish.tenant, tenant)
  return {
    dry_run: wish.dry_run,
    matched: replays.reduce((sum, { total }) => sum + total, 0),
    replays: replays.map(({ id, subscription_id, total }) => ({ id, subscription_id, total })),
  }
}

async function askedOf(
  tx: Queryable,
  asked: Parameters<typeof askForReplayOf>[2],
  wanted: string | undefined,
  own: string | null,
): Promise<readonly AskedReplay[]> {
  if (own === null)
    return askForReplay(tx, { ...asked, tenant: wanted, backfill: false }, { withinTheLimit: true })
  return wanted === undefined || wanted === own ? askForReplayOf(tx, own, asked) : []
}
