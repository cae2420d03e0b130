/** What has gone wrong on the way, read off Walhook's tables. Counts stop at `upTo`, and each statement looks at one thing. */
import type {
  BacklogFacts,
  DeadLetterFacts,
  GapFacts,
  RetentionFacts,
  SubscriptionFacts,
} from '../core/doctor-traffic.ts'
import type { Queryable } from './database.ts'

interface Count {
  readonly count: number
}

async function counted(db: Queryable, statement: string, values: readonly unknown[]): Promise<number> {
  const [row] = await db.query<Count>(statement, values)
  return row?.count ?? 0
}

const COUNT_WAITING_EVENTS = /* sql */ `
  select count(*)::integer as count
  from (
    select
    from walhook.outbox as o
    where o.created_at > coalesce((select r.committed_at from walhook.relay as r where r.slot_name = $1), '-infinity')
      and o.created_at < now() - interval '10 seconds'
      and not exists (select from walhook.deliveries as d where d.event_id = o.id)
    limit $2
  ) as waiting`

/** Events that no relay has recorded, as far as times tell. */
export function countWaitingEvents(db: Queryable, slotName: string, upTo: number): Promise<number> {
  return counted(db, COUNT_WAITING_EVENTS, [slotName, upTo])
}

const READ_GAP = /* sql */ `
  select
    rescan_reason as "owedFor",
    extract(epoch from now() - audited_at)::double precision * 1000 as "auditedAgoMs"
  from walhook.relay
  where slot_name = $1`

export async function readGap(
  db: Queryable,
  slotName: string,
): Promise<Pick<GapFacts, 'owedFor' | 'auditedAgoMs'>> {
  const [row] = await db.query<{ owedFor: string | null; auditedAgoMs: number | null }>(READ_GAP, [slotName])
  return { owedFor: row?.owedFor ?? undefined, auditedAgoMs: row?.auditedAgoMs ?? undefined }
}

export function countMalformed(db: Queryable, upTo: number): Promise<number> {
  return counted(
    db,
    /* sql */ `select count(*)::integer as count from (select from walhook.malformed limit $1) as rows`,
    [upTo],
  )
}

export function countDeadEvents(db: Queryable, upTo: number): Promise<number> {
  return counted(
    db,
    /* sql */ `select count(*)::integer as count from (select from walhook.dead_events limit $1) as rows`,
    [upTo],
  )
}

const READ_RETENTION = /* sql */ `
  select
    (
      select extract(epoch from now() - min(applied_at))::double precision * 1000 from walhook.retention
    ) as "appliedAgoMs",
    exists (
      select from walhook.outbox where created_at < now() - $1 * interval '1 millisecond' - interval '1 day'
    ) as "outboxHoldsOld"`

export async function readRetention(
  db: Queryable,
  outboxMs: number,
): Promise<Pick<RetentionFacts, 'appliedAgoMs' | 'outboxHoldsOld'>> {
  const [row] = await db.query<{ appliedAgoMs: number | null; outboxHoldsOld: boolean }>(READ_RETENTION, [
    outboxMs,
  ])
  return { appliedAgoMs: row?.appliedAgoMs ?? undefined, outboxHoldsOld: row?.outboxHoldsOld === true }
}

const READ_SUBSCRIPTIONS = /* sql */ `
  select
    count(*) filter (where state = 'active')::integer as active,
    count(*) filter (where state = 'paused')::integer as paused,
    count(*) filter (where state = 'disabled')::integer as disabled,
    (
      select count(*)::integer
      from walhook.failing_endpoints as f
      join walhook.subscriptions as s on s.id = f.subscription_id and s.state = 'active'
      where f.failures > 0
    ) as failing,
    coalesce(
      (
        select json_agg(json_build_object('id', id, 'reason', coalesce(reason, 'nobody said why')))
        from (
          select id, state_reason as reason from walhook.subscriptions where state = 'disabled' order by updated_at desc limit 3
        ) as few
      ),
      '[]'
    ) as examples
  from walhook.subscriptions`

export async function readSubscriptionStates(db: Queryable): Promise<SubscriptionFacts> {
  const [facts] = await db.query<SubscriptionFacts>(READ_SUBSCRIPTIONS)
  if (facts === undefined) throw new Error('count returned no row')
  return facts
}

const READ_CONSENTS = /* sql */ `
  select
    count(*)::integer as needed,
    count(*) filter (where c.refusals > 0 and c.consented_at is null)::integer as refused
  from walhook.subscriptions as s
  left join walhook.consents as c on c.subscription_id = s.id and c.url = s.url
  where s.handshake and s.state = 'active'`

export async function readConsents(
  db: Queryable,
): Promise<{ readonly needed: number; readonly refused: number }> {
  const [facts] = await db.query<{ needed: number; refused: number }>(READ_CONSENTS)
  return facts ?? { needed: 0, refused: 0 }
}

const READ_DEAD_LETTERS = /* sql */ `
  with dead as materialized (
    select subscription_id, coalesce(last_error, last_status::text, 'unknown') as error
    from walhook.deliveries
    where state = 'dead' and finished_at > now() - interval '1 day'
    limit $1
  )
  select
    (select count(*)::integer from dead) as count,
    (
      select json_build_object('subscriptionId', subscription_id, 'error', error, 'count', count(*))
      from dead
      group by subscription_id, error
      order by count(*) desc
      limit 1
    ) as most`

export async function readDeadLetters(db: Queryable, upTo: number): Promise<DeadLetterFacts> {
  const [row] = await db.query<{ count: number; most: DeadLetterFacts['most'] | null }>(READ_DEAD_LETTERS, [
    upTo,
  ])
  return { count: row?.count ?? 0, most: row?.most ?? undefined }
}

const COUNT_BLOCKED_KEYS = /* sql */ `
  select count(*)::integer as count
  from (
    select from walhook.deliveries where order_key is not null and holds_key_until = 'infinity' limit $1
  ) as blocked`

export function countBlockedKeys(db: Queryable, upTo: number): Promise<number> {
  return counted(db, COUNT_BLOCKED_KEYS, [upTo])
}

const READ_BACKLOG = /* sql */ `
  select
    count(*)::integer as overdue,
    extract(epoch from now() - min(next_attempt_at))::double precision * 1000 as "oldestMs"
  from (
    select d.next_attempt_at
    from walhook.subscriptions as s
    cross join lateral (
      select next_attempt_at
      from walhook.deliveries
      where subscription_id = s.id and state = 'pending' and next_attempt_at < now() - interval '2 minutes'
      order by next_attempt_at
      limit $1
    ) as d
    left join walhook.consents as c on c.subscription_id = s.id and c.url = s.url
    where s.state = 'active' and (not s.handshake or c.consented_at is not null)
    limit $1
  ) as overdue`

/** What an active subscription is owed, and nobody has taken for two minutes. */
export async function readBacklog(db: Queryable, upTo: number): Promise<BacklogFacts> {
  const [row] = await db.query<{ overdue: number; oldestMs: number | null }>(READ_BACKLOG, [upTo])
  return { overdue: row?.overdue ?? 0, oldestMs: row?.oldestMs ?? undefined }
}

const LIST_SUBSCRIPTIONS = /* sql */ `
  select s.id, s.state = 'active' as "isActive"
  from walhook.subscriptions as s
  left join walhook.failing_endpoints as f on f.subscription_id = s.id and f.failures > 0
  order by s.state <> 'active', f.last_failure_at desc nulls last, s.id desc
  limit $1`

/** Those that deliver first, and of them those that fail, the latest failure first. */
export function listSubscriptionsToTry(
  db: Queryable,
  limit: number,
): Promise<{ readonly id: string; readonly isActive: boolean }[]> {
  return db.query(LIST_SUBSCRIPTIONS, [limit])
}

const COUNT_PLAIN = /* sql */ `
  select count(*)::integer as count
  from walhook.subscriptions
  where secret not like 'enc:%' or previous_secret not like 'enc:%' or ed25519_key not like 'enc:%'
     or auth not like 'enc:%' or tls not like 'enc:%'`

/** Subscriptions with something that is not sealed. */
export function countPlainSecrets(db: Queryable): Promise<number> {
  return counted(db, COUNT_PLAIN, [])
}
