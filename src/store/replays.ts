/** Replays as they are asked for, looked at and carried on. Which deliveries that concerns is decided in sql/replay.sql alone. */
import type { StatusRange } from '../core/status-range.ts'
import type { Queryable } from './database.ts'

export interface ReplayWish {
  readonly subscriptionId?: string | undefined
  readonly eventTypes?: readonly string[] | undefined
  /** Timestamps as Postgres reads them. */
  readonly createdFrom?: string | undefined
  readonly createdTo?: string | undefined
  readonly states?: readonly string[] | undefined
  readonly key?: string | undefined
  readonly tenant?: string | undefined
  readonly toUrl?: string | undefined
  /** Of the last attempt. */
  readonly status?: StatusRange | undefined
  readonly error?: string | undefined
  readonly backfill: boolean
  readonly dryRun: boolean
}

export type AskedReplay = Readonly<{
  /** A bigint as text; null where nothing was made: a dry run, or nothing to send. */
  id: string | null
  kind: 'resend' | 'copy' | 'backfill'
  subscription_id: string
  to_subscription_id: string
  total: number
}>

/**
 * One for each subscription. Counting reads what there is to read, however long that takes; `withinTheLimit` is for those
 * who do not wait. Errors: Postgres's, with the field that is at fault.
 */
export async function askForReplay(
  tx: Queryable,
  wish: ReplayWish,
  { withinTheLimit = false }: { readonly withinTheLimit?: boolean } = {},
): Promise<readonly AskedReplay[]> {
  if (!withinTheLimit) await tx.query('set local statement_timeout = 0')
  return tx.query<AskedReplay>(
    /* sql */ `
    select id::text as id, kind, subscription_id, to_subscription_id, total::double precision as total
    from walhook.replay(
      subscription_id => $1::uuid, event_types => $2::text[], created_from => $3::timestamptz,
      created_to => $4::timestamptz, states => $5::text[], key => $6, tenant => $7, to_url => $8, backfill => $9,
      dry_run => $10,
      statuses => case when $11::integer is not null then int4range($11, $12, '[]') end, error => $13
    )`,
    [
      wish.subscriptionId ?? null,
      wish.eventTypes ?? null,
      wish.createdFrom ?? null,
      wish.createdTo ?? null,
      wish.states ?? null,
      wish.key ?? null,
      wish.tenant ?? null,
      wish.toUrl ?? null,
      wish.backfill,
      wish.dryRun,
      wish.status?.from ?? null,
      wish.status?.to ?? null,
      wish.error ?? null,
    ],
  )
}

/**
 * The same for deliveries that are to be sent again, of one tenant's own subscriptions and no others. Counted within the time
 * that any statement has.
 */
export function askForReplayOf(
  tx: Queryable,
  ofTenant: string,
  wish: Omit<ReplayWish, 'tenant' | 'toUrl' | 'backfill'>,
): Promise<readonly AskedReplay[]> {
  return tx.query<AskedReplay>(
    /* sql */ `
    select r.id::text as id, r.kind, r.subscription_id, r.to_subscription_id, r.total::double precision as total
    from walhook.subscriptions as s
    cross join lateral walhook.replay(
      subscription_id => s.id, event_types => $3::text[], created_from => $4::timestamptz,
      created_to => $5::timestamptz, states => $6::text[], key => $7, tenant => $1, dry_run => $8,
      statuses => case when $9::integer is not null then int4range($9, $10, '[]') end, error => $11
    ) as r
    where s.tenant = $1 and ($2::uuid is null or s.id = $2) and r.total > 0
    order by s.id`,
    [
      ofTenant,
      wish.subscriptionId ?? null,
      wish.eventTypes ?? null,
      wish.createdFrom ?? null,
      wish.createdTo ?? null,
      wish.states ?? null,
      wish.key ?? null,
      wish.dryRun,
      wish.status?.from ?? null,
      wish.status?.to ?? null,
      wish.error ?? null,
    ],
  )
}

/** A row of walhook.replay_status; timestamps and `remaining` are Postgres's text. */
export type ReplayStatus = Readonly<{
  id: string
  kind: 'resend' | 'copy' | 'backfill'
  state: 'running' | 'stopped' | 'done' | 'failed'
  reason: string | null
  waits_for: string | null
  replayed: number
  total: number
  percent: number
  per_second: number
  remaining: string | null
  url: string | null
  subscription_id: string
  to_subscription_id: string
  created_by: string
  created_at: string
  updated_at: string
  finished_at: string | null
}>

const STATUS = /* sql */ `
  select
    id::text as id, kind, state, reason, waits_for, replayed::double precision as replayed,
    total::double precision as total, percent::double precision as percent,
    per_second::double precision as per_second, date_trunc('second', remaining)::text as remaining, url,
    subscription_id, to_subscription_id, created_by, created_at::text as created_at,
    updated_at::text as updated_at, finished_at::text as finished_at
  from walhook.replay_status as r
  where ($1::bigint[] is null or r.id = any ($1))
    and ($3::bigint is null or r.id < $3)
    and (
      $4::text is null
      or exists (select from walhook.subscriptions as s where s.id = r.subscription_id and s.tenant = $4)
    )
  order by r.id desc
  limit $2`

export interface ReplayPage {
  /** Only these. */
  readonly ids?: readonly string[]
  /** Only those of this tenant's subscriptions; null means all. */
  readonly tenant: string | null
  readonly beforeId?: string | undefined
  readonly limit: number
}

/** The newest first. */
export function listReplays(db: Queryable, page: ReplayPage): Promise<readonly ReplayStatus[]> {
  return db.query<ReplayStatus>(STATUS, [page.ids ?? null, page.limit, page.beforeId ?? null, page.tenant])
}

/** Errors: P0002 where there is none. */
export async function stopReplay(db: Queryable, id: string): Promise<void> {
  await db.query('select from walhook.stop_replay($1::bigint)', [id])
}

/** Errors: P0002 where there is none; 22023 where it is over. */
export async function continueReplay(db: Queryable, id: string): Promise<void> {
  await db.query('select from walhook.continue_replay($1::bigint)', [id])
}

const FIND_RUNNABLE = {
  name: 'walhook_find_runnable_replays',
  text: /* sql */ `
    select r.id::text as id
    from walhook.replays as r
    left join walhook.subscriptions as s on s.id = r.to_subscription_id
    where r.state = 'running'
      and case when s.id is null then true else s.state = 'active' and walhook.has_room_for_replay(s.id) end
    order by r.updated_at, r.id
    limit $1`,
}

/** Replays of which a piece can be done now; the one that has waited longest comes first. */
export async function findRunnableReplays(db: Queryable, limit: number): Promise<readonly string[]> {
  const rows = await db.query<{ id: string }>(FIND_RUNNABLE, [limit])
  return rows.map((row) => row.id)
}

export interface ReplayPiece {
  readonly id: string
  readonly kind: ReplayStatus['kind']
  readonly state: ReplayStatus['state']
  readonly reason: string | null
  readonly subscriptionId: string
  /** So far, all pieces together. */
  readonly replayed: number
  readonly total: number
}

const ADVANCE = {
  name: 'walhook_advance_replay',
  text: /* sql */ `
    select
      id::text as id, kind, state, reason, to_subscription_id as "subscriptionId",
      replayed::double precision as replayed, total::double precision as total
    from walhook.advance_replay($1::bigint)`,
}

/** One piece and how far it came, in one transaction. Undefined where there was nothing to be done. */
export async function advanceReplay(db: Queryable, id: string): Promise<ReplayPiece | undefined> {
  const [piece] = await db.query<ReplayPiece | { readonly id: null }>(ADVANCE, [id])
  return piece === undefined || piece.id === null ? undefined : piece
}

/** Until a person continues it. */
export async function failReplay(db: Queryable, id: string, reason: string): Promise<void> {
  await db.query(
    /* sql */ `
    update walhook.replays
    set state = 'failed', reason = $2, updated_at = now(), finished_at = now()
    where id = $1::bigint and state = 'running'`,
    [id, reason],
  )
}
