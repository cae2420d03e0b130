-- What an operator and the page ask of the counters. After views.sql, since the backlog stands in one of them.

create or replace function walhook.stats(
  period interval default '1 hour',
  subscription_id uuid default null,
  tenant text default null,
  out from_at timestamptz,
  out attempts bigint,
  out failed_attempts bigint,
  out failure_rate double precision,
  out delivered bigint,
  out dead bigint,
  out cancelled bigint,
  out attempt_p50_ms double precision,
  out attempt_p95_ms double precision,
  out attempt_p99_ms double precision,
  out delivered_p50_ms double precision,
  out delivered_p95_ms double precision,
  out delivered_p99_ms double precision,
  out pending bigint,
  out oldest_pending_at timestamptz,
  out drained_in interval
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with counted as (
    select
      coalesce(sum(c.attempts), 0)::bigint as attempts,
      coalesce(sum(c.failed_attempts), 0)::bigint as failed_attempts,
      coalesce(sum(c.delivered), 0)::bigint as delivered,
      coalesce(sum(c.dead), 0)::bigint as dead,
      coalesce(sum(c.cancelled), 0)::bigint as cancelled,
      walhook.sum_buckets(c.attempt_buckets) as attempt_buckets,
      walhook.sum_buckets(c.delivered_buckets) as delivered_buckets
    from walhook.counts_within(stats.period, stats.subscription_id, stats.tenant) as c
  ),
  owed as (
    select coalesce(sum(b.pending), 0)::bigint as pending, min(b.oldest_at) as oldest_at, max(b.drained_in) as drained_in
    from walhook.backlog as b
    where (stats.subscription_id is null or b.subscription_id = stats.subscription_id)
      and (
        stats.tenant is null
        or b.subscription_id = any (array(select s.id from walhook.subscriptions as s where s.tenant = stats.tenant))
      )
  )
  select
    walhook.stats_from(stats.period),
    c.attempts,
    c.failed_attempts,
    round(c.failed_attempts / nullif(c.attempts, 0)::numeric, 4)::double precision,
    c.delivered,
    c.dead,
    c.cancelled,
    walhook.percentile_ms(c.attempt_buckets, 0.5),
    walhook.percentile_ms(c.attempt_buckets, 0.95),
    walhook.percentile_ms(c.attempt_buckets, 0.99),
    walhook.percentile_ms(c.delivered_buckets, 0.5),
    walhook.percentile_ms(c.delivered_buckets, 0.95),
    walhook.percentile_ms(c.delivered_buckets, 0.99),
    o.pending,
    o.oldest_at,
    o.drained_in
  from counted as c, owed as o
$$;
comment on function walhook.stats(interval, uuid, text) is
  'How deliveries went in a period that ends now (a minute to seven days), of one subscription, of a tenant''s, or of all: counts, the share of attempts that failed, percentiles of how long attempts took and of commit to delivery, and what is owed now. drained_in is that of the slowest endpoint that moves. Counters are a few seconds old.';

create or replace function walhook.stats_series(
  period interval default '1 hour',
  subscription_id uuid default null,
  tenant text default null
)
returns table (
  at timestamptz,
  attempts bigint,
  failed_attempts bigint,
  delivered bigint,
  dead bigint,
  cancelled bigint,
  attempt_p50_ms double precision,
  attempt_p95_ms double precision,
  delivered_p50_ms double precision,
  delivered_p95_ms double precision
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with counted as (
    select
      date_bin(walhook.stats_step(stats_series.period), c.at, to_timestamp(0)) as at,
      sum(c.attempts)::bigint as attempts,
      sum(c.failed_attempts)::bigint as failed_attempts,
      sum(c.delivered)::bigint as delivered,
      sum(c.dead)::bigint as dead,
      sum(c.cancelled)::bigint as cancelled,
      walhook.sum_buckets(c.attempt_buckets) as attempt_buckets,
      walhook.sum_buckets(c.delivered_buckets) as delivered_buckets
    from walhook.counts_within(stats_series.period, stats_series.subscription_id, stats_series.tenant) as c
    group by 1
  )
  select
    point.at,
    coalesce(c.attempts, 0),
    coalesce(c.failed_attempts, 0),
    coalesce(c.delivered, 0),
    coalesce(c.dead, 0),
    coalesce(c.cancelled, 0),
    walhook.percentile_ms(c.attempt_buckets, 0.5),
    walhook.percentile_ms(c.attempt_buckets, 0.95),
    walhook.percentile_ms(c.delivered_buckets, 0.5),
    walhook.percentile_ms(c.delivered_buckets, 0.95)
  from generate_series(
    walhook.stats_from(stats_series.period), now(), walhook.stats_step(stats_series.period)
  ) as point (at)
  left join counted as c on c.at = point.at
  order by point.at
$$;
comment on function walhook.stats_series(interval, uuid, text) is
  'The same, point by point, for a chart: every step of the period, the present one being under way.';

create view walhook.subscription_stats as
select
  s.id,
  s.tenant,
  s.url,
  s.state,
  coalesce(day.attempts, 0) as attempts_24h,
  coalesce(day.failed_attempts, 0) as failed_attempts_24h,
  round(day.failed_attempts / nullif(day.attempts, 0)::numeric, 4) as failure_rate_24h,
  coalesce(week.attempts, 0) as attempts_7d,
  coalesce(week.failed_attempts, 0) as failed_attempts_7d,
  round(week.failed_attempts / nullif(week.attempts, 0)::numeric, 4) as failure_rate_7d,
  coalesce(week.delivered, 0) as delivered_7d,
  coalesce(week.dead, 0) as dead_7d
from walhook.subscriptions as s
cross join lateral (
  select sum(c.attempts)::bigint as attempts, sum(c.failed_attempts)::bigint as failed_attempts
  from walhook.delivery_counts as c
  where c.subscription_id = s.id and c.grain = 'quarter' and c.at >= walhook.stats_from('24 hours')
) as day
cross join lateral (
  select
    sum(c.attempts)::bigint as attempts, sum(c.failed_attempts)::bigint as failed_attempts,
    sum(c.delivered)::bigint as delivered, sum(c.dead)::bigint as dead
  from walhook.delivery_counts as c
  where c.subscription_id = s.id and c.grain = 'quarter' and c.at >= walhook.stats_from('7 days')
) as week;
comment on view walhook.subscription_stats is
  'Each subscription with how its attempts went in the last day and week. walhook.stats says more of one.';

drop view if exists walhook.replica_status;
create view walhook.replica_status as
select
  r.id,
  r.host,
  r.version,
  r.role,
  r.role = 'streaming' and r.seen_at > now() - interval '30 seconds' as streams,
  r.started_at,
  r.seen_at,
  r.seen_at <= now() - interval '30 seconds' as is_gone
from walhook.replicas as r;
comment on view walhook.replica_status is
  'Processes of Walhook, and which of them streams the slot. One that has not been seen for half a minute is gone, and forgotten after ten.';
