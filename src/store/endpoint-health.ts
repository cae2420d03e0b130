/**
 * How long an endpoint has been failing: written by the settlement, in its transaction, and only where something changes.
 * Invariant: rows are taken in the order of their subscriptions, since other replicas write the same ones.
 */
import {
  type DisableReason,
  type EndpointNews,
  type EndpointOutcome,
  FAILURES_TO_JUDGE_BY,
  newsOf,
} from '../core/endpoint-health.ts'
import type { Queryable } from './database.ts'

export type HealthChange =
  | { readonly kind: 'failing' | 'recovered'; readonly subscriptionId: string; readonly failures: number }
  | { readonly kind: 'disabled'; readonly subscriptionId: string; readonly reason: DisableReason }

/** The longest that an operator waits to be told, and the share of `disable_after` that it may be. */
const TELL_AFTER = { most: '1 hour', share: 0.1 }

/** `wereFailing`: subscriptions that had a row. A success of any other changes nothing, and costs no statement. */
export async function recordHealth(
  tx: Queryable,
  outcomes: readonly EndpointOutcome[],
  wereFailing: ReadonlySet<string>,
): Promise<readonly HealthChange[]> {
  const news = newsOf(outcomes)
  const ended = news.filter((each) => each.succeeded && wereFailing.has(each.subscriptionId))
  const failed = news.filter((each) => each.failures > 0)
  // Two statements, each in order, could still meet another process's crosswise.
  if (ended.length > 0 && failed.length > 0) await lockPeriods(tx, news)
  const recovered = await endPeriods(tx, ended)
  const judged = await countFailures(tx, failed)
  const worthTelling = new Set(news.filter((each) => each.isWorthTelling).map((each) => each.subscriptionId))
  const failing = await tellFailing(tx, judged, worthTelling)
  const disabled = await disable(tx, [
    ...news.flatMap(asked),
    ...judged.filter((each) => each.isOverdue).map(overdue),
  ])
  return [...recovered, ...failing, ...disabled]
}

const LOCK_PERIODS = /* sql */ `
  select from walhook.failing_endpoints where subscription_id = any ($1::uuid[]) order by subscription_id for update`

async function lockPeriods(tx: Queryable, news: readonly EndpointNews[]): Promise<void> {
  await tx.query(LOCK_PERIODS, [news.map((each) => each.subscriptionId)])
}

const END_PERIODS = {
  name: 'walhook_end_failing_periods',
  text: /* sql */ `
    with taken as (
      select subscription_id from walhook.failing_endpoints
      where subscription_id = any ($1::uuid[])
      order by subscription_id
      for update
    ),
    ended as (
      delete from walhook.failing_endpoints as f using taken where f.subscription_id = taken.subscription_id
      returning f.*
    )
    select
      e.subscription_id as "subscriptionId",
      e.failures,
      case when s.tenant is distinct from 'walhook' then
        walhook.tell_operators(
          'walhook.subscription.recovered', s.id::text,
          walhook.subscription_facts(s) || jsonb_build_object('failing_since', e.since)
        )
      end as event
    from ended as e
    join walhook.subscriptions as s on s.id = e.subscription_id
    where e.owes_recovery`,
}

async function endPeriods(tx: Queryable, news: readonly EndpointNews[]): Promise<HealthChange[]> {
  if (news.length === 0) return []
  const rows = await tx.query<{ subscriptionId: string; failures: number }>(END_PERIODS, [
    news.map((each) => each.subscriptionId),
  ])
  return rows.map(({ subscriptionId, failures }) => ({ kind: 'recovered', subscriptionId, failures }))
}

interface Judged {
  readonly id: string
  /** It was logged. */
  readonly toldFailing: boolean
  /** An event said so. */
  readonly owesRecovery: boolean
  readonly isOverdue: boolean
  readonly stateReason: string
}

const COUNT_FAILURES = {
  name: 'walhook_count_failures',
  text: /* sql */ `
    with failed as (
      insert into walhook.failing_endpoints as f
        (subscription_id, since, failures, last_failure_at, last_status, last_error)
      select n.subscription_id, now(), n.failures, now(), n.last_status, n.last_error
      from unnest($1::uuid[], $2::int[], $3::int[], $4::text[]) as n (subscription_id, failures, last_status, last_error)
      where exists (select from walhook.subscriptions as s where s.id = n.subscription_id)
      order by n.subscription_id
      on conflict (subscription_id) do update
      set since = case when f.failures = 0 then excluded.since else f.since end,
          failures = f.failures + excluded.failures,
          last_failure_at = excluded.last_failure_at,
          last_status = excluded.last_status,
          last_error = excluded.last_error
      returning f.*
    ),
    judged as (
      select
        f.*, s.disable_after,
        now() - f.since as failing_for,
        walhook.duration_ms(s.disable_after) * interval '1 millisecond' as patience
      from failed as f
      join walhook.subscriptions as s on s.id = f.subscription_id and s.state = 'active'
      where f.failures >= $5
    )
    select
      subscription_id as id,
      told_failing as "toldFailing",
      owes_recovery as "owesRecovery",
      failing_for >= patience as "isOverdue",
      format('failing for %s: last %s', disable_after, coalesce(last_error, last_status::text)) as "stateReason"
    from judged
    where failing_for >= least(patience * $6::double precision, $7::interval)`,
}

/** Those that have been failing for long enough to be told. */
async function countFailures(tx: Queryable, news: readonly EndpointNews[]): Promise<Judged[]> {
  if (news.length === 0) return []
  return tx.query<Judged>(COUNT_FAILURES, [
    news.map((each) => each.subscriptionId),
    news.map((each) => each.failures),
    news.map((each) => each.lastStatus ?? null),
    news.map((each) => each.lastError ?? null),
    FAILURES_TO_JUDGE_BY,
    TELL_AFTER.share,
    TELL_AFTER.most,
  ])
}

const TELL_FAILING = /* sql */ `
  with told as (
    update walhook.failing_endpoints as f
    set told_failing = true, owes_recovery = f.owes_recovery or n.is_worth_telling
    from unnest($1::uuid[], $2::boolean[]) as n (subscription_id, is_worth_telling)
    where f.subscription_id = n.subscription_id
    returning f.*, n.is_worth_telling
  )
  select
    t.subscription_id as "subscriptionId",
    t.failures,
    case when t.is_worth_telling and s.tenant is distinct from 'walhook' then
      walhook.tell_operators(
        'walhook.subscription.failing', s.id::text,
        walhook.subscription_facts(s) || jsonb_build_object(
          'failing_since', t.since, 'failures', t.failures, 'last_status', t.last_status, 'last_error', t.last_error,
          'disabled_at', t.since + walhook.duration_ms(s.disable_after) * interval '1 millisecond'
        )
      )
    end as event
  from told as t
  join walhook.subscriptions as s on s.id = t.subscription_id`

async function tellFailing(
  tx: Queryable,
  judged: readonly Judged[],
  worthTelling: ReadonlySet<string>,
): Promise<HealthChange[]> {
  const untold = judged.filter(
    ({ id, toldFailing, owesRecovery }) => !toldFailing || (worthTelling.has(id) && !owesRecovery),
  )
  if (untold.length === 0) return []
  const rows = await tx.query<{ subscriptionId: string; failures: number }>(TELL_FAILING, [
    untold.map((each) => each.id),
    untold.map((each) => worthTelling.has(each.id)),
  ])
  return rows.map(({ subscriptionId, failures }) => ({ kind: 'failing', subscriptionId, failures }))
}

interface Disabling {
  readonly subscriptionId: string
  readonly reason: DisableReason
  /** For people. */
  readonly stateReason: string
}

function asked({ subscriptionId, disables }: EndpointNews): Disabling[] {
  if (disables === undefined) return []
  return [
    {
      subscriptionId,
      reason: disables,
      stateReason: disables === 'gone' ? 'gone' : 'the endpoint asked for it',
    },
  ]
}

function overdue({ id, stateReason }: Judged): Disabling {
  return { subscriptionId: id, reason: 'failing', stateReason }
}

const DISABLE = /* sql */ `
  with due as (
    select s.id, d.reason, d.state_reason
    from unnest($1::uuid[], $2::text[], $3::text[]) as d (id, reason, state_reason)
    join walhook.subscriptions as s on s.id = d.id and s.state = 'active'
    order by s.id
    for update of s
  ),
  disabled as (
    update walhook.subscriptions as s
    set state = 'disabled', state_reason = due.state_reason
    from due
    where s.id = due.id
    returning s as subscription, s.id, due.reason
  ),
  owed as (
    update walhook.failing_endpoints as f set owes_recovery = true from disabled where f.subscription_id = disabled.id
  )
  select
    d.id as "subscriptionId",
    d.reason,
    case when (d.subscription).tenant is distinct from 'walhook' then
      walhook.tell_operators(
        'walhook.subscription.disabled', d.id::text,
        walhook.subscription_facts(d.subscription) || jsonb_build_object(
          'reason', d.reason, 'state_reason', (d.subscription).state_reason, 'failing_since', f.since,
          'failures', coalesce(f.failures, 0), 'last_status', f.last_status, 'last_error', f.last_error
        )
      )
    end as event
  from disabled as d
  left join walhook.failing_endpoints as f on f.subscription_id = d.id`

/** Nothing more is sent until a person resumes it; what it is owed waits. */
async function disable(tx: Queryable, wished: readonly Disabling[]): Promise<HealthChange[]> {
  const due = new Map<string, Disabling>()
  for (const each of wished) if (!due.has(each.subscriptionId)) due.set(each.subscriptionId, each)
  if (due.size === 0) return []
  const disabling = [...due.values()]
  const rows = await tx.query<{ subscriptionId: string; reason: DisableReason }>(DISABLE, [
    disabling.map((each) => each.subscriptionId),
    disabling.map((each) => each.reason),
    disabling.map((each) => each.stateReason),
  ])
  return rows.map(({ subscriptionId, reason }) => ({ kind: 'disabled', subscriptionId, reason }))
}
