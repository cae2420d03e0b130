-- What an operator looks at. Dropped and made again at each migration, so that columns can change.

drop view if exists walhook.delivery_status;
create view walhook.delivery_status as
select
  d.id,
  d.state,
  o.type as event_type,
  o.key,
  coalesce(o.tenant, s.tenant) as tenant,
  s.url,
  d.attempts,
  d.last_status,
  d.last_error,
  case when d.state = 'pending' then
    case
      when s.state <> 'active' then 'parked'
      when s.handshake and not exists (
        select from walhook.consents as c
        where c.subscription_id = s.id and c.url = s.url and c.consented_at is not null
      ) then 'awaiting consent'
      when d.scheduled and d.attempts = 0 then 'delayed'
      when d.scheduled then 'retry scheduled'
      when d.next_attempt_at = 'infinity' then 'behind its key'
      when d.next_attempt_at > now() then 'in flight'
      else 'waiting'
    end
  end as waits_as,
  nullif(d.next_attempt_at, 'infinity') as next_attempt_at,
  d.created_at,
  d.finished_at,
  d.event_id,
  d.subscription_id
from walhook.deliveries as d
left join walhook.outbox as o on o.id = d.event_id
left join walhook.subscriptions as s on s.id = d.subscription_id;
comment on view walhook.delivery_status is 'Every delivery with its event and its endpoint: the first place to look.';

drop view if exists walhook.subscription_health;
create view walhook.subscription_health as
select
  s.id,
  s.tenant,
  s.url,
  s.state,
  s.state_reason,
  s.secret_preview,
  s.ed25519_public_key,
  f.since as failing_since,
  f.failures as failures_in_a_row,
  f.since + walhook.duration_ms(s.disable_after) * interval '1 millisecond' as disabled_from,
  owed.pending,
  coalesce(ever.delivered, 0) as delivered,
  (select count(*) from walhook.deliveries as d where d.subscription_id = s.id and d.state = 'dead') as dead,
  owed.oldest_pending_at,
  ever.last_delivered_at
from walhook.subscriptions as s
left join walhook.failing_endpoints as f on f.subscription_id = s.id and f.failures > 0
left join walhook.delivery_counts as ever
  on ever.subscription_id = s.id and ever.grain = 'ever' and ever.at = to_timestamp(0) and ever.writer = 0
-- By the index of what is pending, and that of what is dead: what is delivered is never counted again.
cross join lateral (
  select count(*) as pending, min(d.created_at) as oldest_pending_at
  from walhook.deliveries as d
  where d.subscription_id = s.id and d.state = 'pending'
) as owed;
comment on view walhook.subscription_health is 'Each subscription with what is owed to it and what became of the rest: pending and dead as they are now, delivered ever since (a counter, a few seconds old).';

drop view if exists walhook.backlog;
create view walhook.backlog as
with owed as (
  select
    d.subscription_id,
    count(*) as pending,
    count(*) filter (where d.scheduled and d.attempts = 0) as delayed,
    count(*) filter (where d.scheduled and d.attempts > 0) as retries_scheduled,
    count(*) filter (where not d.scheduled and d.next_attempt_at <= now()) as waiting,
    count(*) filter (where d.next_attempt_at = 'infinity') as behind_their_key,
    min(d.created_at) as oldest_at
  from walhook.deliveries as d
  where d.state = 'pending'
  group by d.subscription_id
)
select
  o.subscription_id,
  s.url,
  s.state as subscription_state,
  o.pending,
  case when s.state <> 'active' then o.pending else 0 end as parked,
  o.delayed,
  o.retries_scheduled,
  o.waiting,
  o.behind_their_key,
  o.oldest_at,
  now() - o.oldest_at as oldest_age,
  round(l.per_second::numeric, 2) as delivered_per_second,
  case when s.state = 'active' then (o.pending - o.delayed) / l.per_second * interval '1 second' end as drained_in
from owed as o
left join walhook.subscriptions as s on s.id = o.subscription_id
-- How fast it went in the last five minutes, or since it began to go within them.
cross join lateral (
  select sum(c.delivered) / greatest(extract(epoch from now() - min(c.first_delivered_at)), 1) as per_second
  from walhook.delivery_counts as c
  where c.subscription_id = o.subscription_id
    and c.grain = 'minute'
    and c.at > now() - interval '5 minutes'
    and c.delivered > 0
) as l;
comment on view walhook.backlog is
  'What is still owed, by subscription, and how long it takes at the rate of the last five minutes if nothing is added. drained_in is null while nothing moves, or nobody knows.';

drop view if exists walhook.slot_health;
create view walhook.slot_health as
select
  r.slot_name,
  p.slot_name is not null as exists,
  -- By way of json: invalidation_reason is there from Postgres 17 on.
  case when p.slot_name is null then 'missing' else coalesce(p.wal_status, 'reserved') end as state,
  to_jsonb(p) ->> 'invalidation_reason' as invalidation_reason,
  p.plugin::text,
  p.active,
  p.active_pid,
  p.wal_status,
  p.safe_wal_size as safe_wal_bytes,
  pg_wal_lsn_diff(pg_current_wal_lsn(), p.restart_lsn)::bigint as retained_wal_bytes,
  pg_wal_lsn_diff(pg_current_wal_lsn(), p.confirmed_flush_lsn)::bigint as unconfirmed_wal_bytes,
  p.confirmed_flush_lsn,
  r.lsn as recorded_lsn,
  r.committed_at as last_event_committed_at,
  r.updated_at as recorded_at,
  r.rescan_reason as rescan_owed_for,
  r.audited_at,
  extract(epoch from w.flush_lag)::double precision as lag_seconds
from walhook.relay as r
left join pg_replication_slots as p on p.slot_name = r.slot_name and p.database = current_database()
left join pg_stat_replication as w on w.pid = p.active_pid;
comment on view walhook.slot_health is
  'The replication slot: whether it is there and used, and how much write-ahead log it makes Postgres keep. state is missing, reserved, extended, unreserved or lost. lag_seconds is what Postgres measured from a commit to its confirmation; null where all is confirmed, nobody streams, or the login may not see it.';

drop view if exists walhook.blocked_keys;
create view walhook.blocked_keys as
select
  d.subscription_id,
  s.url,
  o.key,
  d.id as delivery_id,
  d.finished_at as since,
  (
    select count(*)
    from walhook.deliveries as w
    where w.subscription_id = d.subscription_id
      and w.order_key = d.order_key
      and w.state = 'pending'
      and (w.next_attempt_at = 'infinity' or w.next_attempt_at < 'infinity')
  ) as waiting,
  d.last_status,
  d.last_error
from walhook.deliveries as d
join walhook.subscriptions as s on s.id = d.subscription_id
left join walhook.outbox as o on o.id = d.event_id
where d.order_key is not null and d.holds_key_until = 'infinity';
comment on view walhook.blocked_keys is
  'Keys that wait behind a dead delivery (on_dead = block). walhook.resend sends it again at its place; walhook.release_key lets the others pass.';

drop view if exists walhook.consent_status;
create view walhook.consent_status as
select
  s.id as subscription_id,
  s.url,
  case when c.consented_at is not null then 'given' when c.asked_at is null then 'not asked' else 'refused' end as consent,
  c.consented_at,
  c.allowed_rate,
  c.refused_for,
  c.refusals,
  c.asked_at,
  case when c.consented_at is null then c.asked_at + walhook.consent_pause(c.refusals) end as asked_again_at
from walhook.subscriptions as s
left join walhook.consents as c on c.subscription_id = s.id and c.url = s.url
where s.handshake;
comment on view walhook.consent_status is
  'Each subscription with a handshake: whether its endpoint consented, to how many requests a minute, or why it did not and when it is asked again. It is asked when a delivery waits.';
