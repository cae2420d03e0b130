-- How deliveries go, from counters that are kept as they end.

drop view if exists walhook.subscription_stats;
drop function if exists walhook.stats(interval, uuid, text);
drop function if exists walhook.stats_series(interval, uuid, text);

create or replace function walhook.latency_bound(bucket integer) returns double precision
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select power(2::double precision, bucket / 2.0::double precision)
$$;
comment on function walhook.latency_bound(integer) is
  'What is in this bucket of a latency histogram took less, in milliseconds, and no less than the bound of the one before. The first is 0.';

create or replace function walhook.add_buckets(bigint[], bigint[]) returns bigint[]
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select case
    when $1 = '{}' then $2
    when $2 = '{}' then $1
    else array(
      select coalesce(pair.a, 0) + coalesce(pair.b, 0)
      from unnest($1, $2) with ordinality as pair (a, b, bucket)
      order by pair.bucket
    )
  end
$$;
comment on function walhook.add_buckets(bigint[], bigint[]) is 'The sum of two histograms.';

create or replace aggregate walhook.sum_buckets(bigint[]) (
  sfunc = walhook.add_buckets, stype = bigint[], initcond = '{}', combinefunc = walhook.add_buckets, parallel = safe
);
comment on aggregate walhook.sum_buckets(bigint[]) is 'The sum of histograms.';

create or replace function walhook.percentile_ms(buckets bigint[], share double precision) returns double precision
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select round(
    (lower_bound + (upper_bound - lower_bound) * (wanted - (up_to - counted)) / counted)::numeric, 1
  )::double precision
  from (
    select
      counted,
      sum(counted) over (order by bucket) as up_to,
      sum(counted) over () * share as wanted,
      case when bucket = 1 then 0 else walhook.latency_bound(bucket::integer - 2) end as lower_bound,
      walhook.latency_bound(bucket::integer - 1) as upper_bound,
      bucket
    from unnest(buckets) with ordinality as histogram (counted, bucket)
    where counted > 0
  ) as filled
  where up_to >= wanted
  order by bucket
  limit 1
$$;
comment on function walhook.percentile_ms(bigint[], double precision) is
  'The latency that this share of a histogram stayed below: exact to the bucket, which is at most two fifths wide. Null where nothing was counted.';

create or replace function walhook.stats_step(period interval) returns interval
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if period is null or period < interval '1 minute' or period > interval '7 days' then
    perform walhook.refuse('period', 'has to be from 1 minute to 7 days');
  end if;
  return case
    when period <= interval '1 hour' then interval '1 minute'
    when period <= interval '24 hours' then interval '15 minutes'
    else interval '1 hour'
  end;
end
$$;
comment on function walhook.stats_step(interval) is
  'How far apart the points of a series over this period are: up to an hour a minute, up to a day a quarter of an hour, up to a week an hour.';

-- Whole steps, the present one being under way.
create or replace function walhook.stats_from(period interval) returns timestamptz
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select date_bin(walhook.stats_step(period), now(), to_timestamp(0)) - period + walhook.stats_step(period)
$$;
comment on function walhook.stats_from(interval) is 'Where the statistics of a period that ends now begin.';

create or replace function walhook.counts_within(period interval, subscription_id uuid, tenant text)
returns setof walhook.delivery_counts
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select c.*
  from walhook.delivery_counts as c
  where c.grain = case when walhook.stats_step(counts_within.period) = interval '1 minute' then 'minute' else 'quarter' end
    and c.at >= walhook.stats_from(counts_within.period)
    and c.subscription_id = any (
      case
        when counts_within.tenant is not null then array(
          select s.id
          from walhook.subscriptions as s
          where s.tenant = counts_within.tenant
            and (counts_within.subscription_id is null or s.id = counts_within.subscription_id)
        )
        else array[coalesce(counts_within.subscription_id, '00000000-0000-0000-0000-000000000000')]
      end
    )
$$;
comment on function walhook.counts_within(interval, uuid, text) is
  'The counters of a period that ends now: of one subscription, of those of a tenant, or of all together.';

create or replace function walhook.count_cancelled(subscription_id uuid, cancelled bigint) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  insert into walhook.delivery_counts as c (subscription_id, grain, at, writer, cancelled)
  select whose.id, grained.grain, grained.at, pg_current_xact_id()::text::bigint, count_cancelled.cancelled
  from
    (values (count_cancelled.subscription_id), ('00000000-0000-0000-0000-000000000000')) as whose (id),
    (
      values
        ('minute', date_trunc('minute', now())),
        ('quarter', date_bin('15 minutes', now(), to_timestamp(0)))
    ) as grained (grain, at)
  where count_cancelled.cancelled > 0
  on conflict on constraint delivery_counts_pkey do update set cancelled = c.cancelled + excluded.cancelled
$$;
comment on function walhook.count_cancelled(uuid, bigint) is
  'For what cancels deliveries in SQL: counts them in rows of this transaction''s own, for which nobody waits.';
