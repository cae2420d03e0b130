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
  with counted as materialized (
    select * from walhook.counts_within(stats.period, stats.subscription_id, stats.tenant)
  ),
  summed as (
    select
      coalesce(sum(c.attempts), 0)::bigint as attempts,
      coalesce(sum(c.failed_attempts), 0)::bigint as failed_attempts,
      coalesce(sum(c.delivered), 0)::bigint as delivered,
      coalesce(sum(c.dead), 0)::bigint as dead,
      coalesce(sum(c.cancelled), 0)::bigint as cancelled
    from counted as c
  ),
  -- Bucket by bucket, which is many times faster than histogram by histogram.
  latencies as (
    select
      array_agg(b.attempts order by b.bucket) filter (where b.attempts is not null) as attempt_buckets,
      array_agg(b.delivered order by b.bucket) filter (where b.delivered is not null) as delivered_buckets
    from (
      select pair.bucket, sum(pair.attempts)::bigint as attempts, sum(pair.delivered)::bigint as delivered
      from counted as c
      cross join lateral unnest(c.attempt_buckets, c.delivered_buckets) with ordinality as pair (attempts, delivered, bucket)
      group by pair.bucket
    ) as b
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
    walhook.percentile_ms(l.attempt_buckets, 0.5),
    walhook.percentile_ms(l.attempt_buckets, 0.95),
    walhook.percentile_ms(l.attempt_buckets, 0.99),
    walhook.percentile_ms(l.delivered_buckets, 0.5),
    walhook.percentile_ms(l.delivered_buckets, 0.95),
    walhook.percentile_ms(l.delivered_buckets, 0.99),
    o.pending,
    o.oldest_at,
    o.drained_in
  from summed as c, latencies as l, owed as o
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
  with counted as materialized (
    select date_bin(walhook.stats_step(stats_series.period), c.at, to_timestamp(0)) as point, c.*
    from walhook.counts_within(stats_series.period, stats_series.subscription_id, stats_series.tenant) as c
  ),
  summed as (
    select
      c.point,
      sum(c.attempts)::bigint as attempts,
      sum(c.failed_attempts)::bigint as failed_attempts,
      sum(c.delivered)::bigint as delivered,
      sum(c.dead)::bigint as dead,
      sum(c.cancelled)::bigint as cancelled
    from counted as c
    group by c.point
  ),
  latencies as (
    select
      b.point,
      array_agg(b.attempts order by b.bucket) filter (where b.attempts is not null) as attempt_buckets,
      array_agg(b.delivered order by b.bucket) filter (where b.delivered is not null) as delivered_buckets
    from (
      select c.point, pair.bucket, sum(pair.attempts)::bigint as attempts, sum(pair.delivered)::bigint as delivered
      from counted as c
      cross join lateral unnest(c.attempt_buckets, c.delivered_buckets) with ordinality as pair (attempts, delivered, bucket)
      group by c.point, pair.bucket
    ) as b
    group by b.point
  )
  select
    point.at,
    coalesce(c.attempts, 0),
    coalesce(c.failed_attempts, 0),
    coalesce(c.delivered, 0),
    coalesce(c.dead, 0),
    coalesce(c.cancelled, 0),
    walhook.percentile_ms(l.attempt_buckets, 0.5),
    walhook.percentile_ms(l.attempt_buckets, 0.95),
    walhook.percentile_ms(l.delivered_buckets, 0.5),
    walhook.percentile_ms(l.delivered_buckets, 0.95)
  from generate_series(
    walhook.stats_from(stats_series.period), now(), walhook.stats_step(stats_series.period)
  ) as point (at)
  left join summed as c on c.point = point.at
  left join latencies as l on l.point = point.at
  order by point.at
$$;
comment on function walhook.stats_series(interval, uuid, text) is
  'The same, point by point, for a chart: every step of the period, the present one being under way.';

create view walhook.subscription_stats as
with since as materialized (
  select walhook.stats_from('7 days') as week, walhook.stats_from('24 hours') as day
)
select
  s.id,
  s.tenant,
  s.url,
  s.state,
  coalesce(lately.attempts_24h, 0) as attempts_24h,
  coalesce(lately.failed_attempts_24h, 0) as failed_attempts_24h,
  round(lately.failed_attempts_24h / nullif(lately.attempts_24h, 0)::numeric, 4) as failure_rate_24h,
  coalesce(lately.attempts, 0) as attempts_7d,
  coalesce(lately.failed_attempts, 0) as failed_attempts_7d,
  round(lately.failed_attempts / nullif(lately.attempts, 0)::numeric, 4) as failure_rate_7d,
  coalesce(lately.delivered, 0) as delivered_7d,
  coalesce(lately.dead, 0) as dead_7d
from walhook.subscriptions as s
cross join since
cross join lateral (
  select
    sum(c.attempts)::bigint as attempts,
    sum(c.attempts) filter (where c.at >= since.day)::bigint as attempts_24h,
    sum(c.failed_attempts)::bigint as failed_attempts,
    sum(c.failed_attempts) filter (where c.at >= since.day)::bigint as failed_attempts_24h,
    sum(c.delivered)::bigint as delivered,
    sum(c.dead)::bigint as dead
  from walhook.delivery_counts as c
  where c.subscription_id = s.id and c.grain = 'quarter' and c.at >= since.week
) as lately;
comment on view walhook.subscription_stats is
  'Each subscription with how its attempts went in the last day and week. walhook.stats says more of one.';

create or replace function walhook.is_replica_here(replica uuid) returns boolean
language sql stable strict
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select
    from pg_stat_activity as a
    where a.datname = current_database() and a.application_name = 'walhook replica ' || replica
  )
$$;
comment on function walhook.is_replica_here(uuid) is
  'Whether the session is open that this process keeps open for as long as it runs.';

drop view if exists walhook.replica_status;
create view walhook.replica_status as
select
  r.id,
  r.host,
  r.version,
  r.role,
  r.role = 'streaming' and here as streams,
  r.started_at,
  case when here then now() else coalesce(r.gone_at, r.started_at) end as seen_at,
  not here as is_gone
from walhook.replicas as r
cross join lateral walhook.is_replica_here(r.id) as here;
comment on view walhook.replica_status is
  'Processes of Walhook, and which of them streams the slot. One whose session has ended is gone, and forgotten after ten minutes.';
