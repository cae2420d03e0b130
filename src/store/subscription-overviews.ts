/** Subscriptions as people look at them: from walhook.subscription_overview, which shows no secret and scans no table. */
import { rfc3339 } from '../core/outbox-event.ts'
import type { Queryable } from './database.ts'

export interface RecentAttempt {
  /** A bigint as text. */
  readonly delivery_id: string
  readonly attempt: number
  readonly at: string
  readonly duration_ms: number
  readonly status: number | null
  readonly error: string | null
  readonly outcome: 'delivered' | 'failed'
}

export interface SubscriptionHealth {
  readonly failing_since: string | null
  readonly failures_in_a_row: number
  /** Of a week's attempts; null where there were none. */
  readonly failure_rate_7d: number | null
  /** 10000 stands for that many or more. */
  readonly pending: number
  readonly dead: number
  readonly oldest_pending_at: string | null
  readonly last_delivered_at: string | null
}

export type SubscriptionState = 'active' | 'paused' | 'disabled'
export const SUBSCRIPTION_STATES: readonly SubscriptionState[] = ['active', 'paused', 'disabled']

/** Times are RFC 3339, UTC, microseconds. */
export type SubscriptionOverview = Readonly<{
  id: string
  name: string | null
  tenant: string | null
  url: string
  description: string | null
  event_types: readonly string[]
  filter: string | null
  state: SubscriptionState
  state_reason: string | null
  secret_preview: string
  previous_secret_until: string | null
  ed25519_public_key: string | null
  method: string
  body: string
  /** With … for each value whose name sounds like a secret. */
  headers: Readonly<Record<string, string>>
  forward_headers: readonly string[]
  signature: readonly string[]
  signature_header: string | null
  header_prefix: string | null
  has_auth: boolean
  has_tls: boolean
  handshake: boolean
  batch: Readonly<{ max_events?: number; max_wait?: string }> | null
  ordering: string
  on_dead: string
  rate_limit: string | null
  max_in_flight: number | null
  timeout: string
  retry_schedule: readonly string[]
  retry_on: string
  ttl: string | null
  disable_after: string
  /** Whose keys it signs with, where a replay made it to stand for another one. */
  signs_as: string | null
  created_at: string
  updated_at: string
  /** Another text after each change. */
  version: string
  health: SubscriptionHealth
  /** The newest first, at most 20. */
  recent: readonly RecentAttempt[]
}>

type OverviewRow = Omit<SubscriptionOverview, 'health'> & SubscriptionHealth

const READ = {
  name: 'walhook_read_subscriptions',
  text: /* sql */ `
    select
      id, name, tenant, url, description, event_types, filter::text as filter, state, state_reason, secret_preview,
      previous_secret_until::text as previous_secret_until, ed25519_public_key, method, body, headers, forward_headers,
      signature, signature_header, header_prefix, has_auth, has_tls, handshake, batch, ordering, on_dead, rate_limit,
      max_in_flight, timeout, retry_schedule, retry_on, ttl, disable_after, signs_as, created_at::text as created_at,
      updated_at::text as updated_at, version, failing_since::text as failing_since,
      coalesce(failures_in_a_row, 0) as failures_in_a_row, pending::int as pending, dead::int as dead,
      oldest_pending_at::text as oldest_pending_at, last_delivered_at::text as last_delivered_at, recent,
      (select t.failure_rate_7d::double precision from walhook.subscription_stats as t where t.id = o.id) as failure_rate_7d
    from walhook.subscription_overview as o
    where id = any ($1::uuid[]) and ($2::text is null or tenant = $2)
    order by id desc`,
}

export interface SubscriptionFilter {
  readonly state?: SubscriptionState | undefined
  /** A part of it, in whatever case. */
  readonly url?: string | undefined
  readonly name?: string | undefined
  /** Those that a pattern of theirs makes receive events of this type, whatever their filter. */
  readonly eventType?: string | undefined
  /** Active, and the last attempt failed. */
  readonly isFailing?: true | undefined
  /** Those made before this one. */
  readonly before?: string | undefined
  readonly limit: number
}

const FIND = /* sql */ `
  select id
  from walhook.subscriptions
  where ($1::text is null or tenant = $1)
    and ($2::text is null or state = $2)
    and ($3::text is null or position(lower($3) in lower(url)) > 0)
    and ($4::text is null or name = $4)
    and ($5::text is null or walhook.subscription_match_keys(null, event_types) && walhook.event_match_keys($5, null))
    and ($6::uuid is null or id < $6)
    and ($7::boolean is null or state = 'active' and id in (
      select f.subscription_id from walhook.failing_endpoints as f where f.failures > 0
    ))
  order by id desc
  limit $8`

/** The newest first. Ids are in the order of time, unless somebody brought one along. */
export async function listSubscriptions(
  db: Queryable,
  tenant: string | null,
  filter: SubscriptionFilter,
): Promise<readonly SubscriptionOverview[]> {
  const { state, url, name, eventType, isFailing, before, limit } = filter
  const rows = await db.query<{ id: string }>(FIND, [
    tenant,
    state ?? null,
    url ?? null,
    name ?? null,
    eventType ?? null,
    before ?? null,
    isFailing ?? null,
    limit,
  ])
  return readSubscriptions(
    db,
    rows.map(({ id }) => id),
    tenant,
  )
}

/** Undefined where there is none, or it is another tenant's. */
export async function findSubscriptionById(
  db: Queryable,
  id: string,
  tenant: string | null,
): Promise<SubscriptionOverview | undefined> {
  const [found] = await readSubscriptions(db, [id], tenant)
  return found
}

/** Those that exist, the newest first. */
export async function readSubscriptions(
  db: Queryable,
  ids: readonly string[],
  tenant: string | null,
): Promise<readonly SubscriptionOverview[]> {
  if (ids.length === 0) return []
  const rows = await db.query<OverviewRow>(READ, [ids, tenant])
  return rows.map(overviewOf)
}

function overviewOf({
  failing_since,
  failures_in_a_row,
  failure_rate_7d,
  pending,
  dead,
  oldest_pending_at,
  last_delivered_at,
  ...row
}: OverviewRow): SubscriptionOverview {
  const { recent, created_at, updated_at, previous_secret_until } = row
  return {
    ...row,
    previous_secret_until: time(previous_secret_until),
    created_at: time(created_at),
    updated_at: time(updated_at),
    health: {
      failing_since: time(failing_since),
      failures_in_a_row,
      failure_rate_7d,
      pending,
      dead,
      oldest_pending_at: time(oldest_pending_at),
      last_delivered_at: time(last_delivered_at),
    },
    recent: recent.map((attempt) => ({ ...attempt, at: time(asText(attempt.at)) })),
  }
}

function time<Text extends string | null>(text: Text): Text | string {
  return text === null ? text : (rfc3339(text) ?? text)
}

/** Within JSON, Postgres writes times in another way. */
function asText(json: string): string {
  return json.replace('T', ' ').replace(/\+00:00$/, '+00')
}

const LOCK = /* sql */ `
  select id
  from walhook.subscriptions
  where id = $1 and ($2::text is null or tenant = $2)
  for no key update`

/** The same as it is until the transaction ends: whoever compares a version before changing it needs that. */
export async function lockSubscription(
  tx: Queryable,
  id: string,
  tenant: string | null,
): Promise<SubscriptionOverview | undefined> {
  const [locked] = await tx.query<{ id: string }>(LOCK, [id, tenant])
  return locked && findSubscriptionById(tx, id, tenant)
}
