-- What Walhook's tables take, and how long they keep it.

drop view if exists walhook.space;
create view walhook.space as
with tables as (
  select c.oid, n.nspname, c.relname, coalesce(parent.relname, c.relname) as table_name, parent.relname is not null as is_partition
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  left join pg_inherits as i on i.inhrelid = c.oid
  left join pg_class as parent on parent.oid = i.inhparent
  where c.relkind = 'r' and n.nspname in ('walhook', 'walhook_jobs')
)
select
  -- pg-boss has tables of its own making: together they are the retry jobs.
  case when t.nspname = 'walhook_jobs' then 'jobs' else t.table_name end as table_name,
  case when t.is_partition and t.nspname = 'walhook' then t.relname end as partition_name,
  sum(greatest(c.reltuples, 0))::bigint as rows_estimate,
  sum(coalesce(st.n_dead_tup, 0))::bigint as dead_rows,
  sum(pg_total_relation_size(t.oid))::bigint as total_bytes,
  sum(pg_table_size(t.oid))::bigint as table_bytes,
  sum(pg_indexes_size(t.oid))::bigint as index_bytes,
  max(greatest(st.last_vacuum, st.last_autovacuum)) as last_vacuum,
  case max(t.relname) filter (where t.nspname = 'walhook')
    when 'outbox' then (select o.created_at from walhook.outbox as o order by o.id limit 1)
    when 'deliveries' then (select d.created_at from walhook.deliveries as d order by d.id limit 1)
    when 'malformed' then (select m.created_at from walhook.malformed as m order by m.id limit 1)
    when 'replays' then (select p.created_at from walhook.replays as p order by p.id limit 1)
  end as oldest_at,
  max(k.keep) as kept_for,
  max(k.applied_at) as retention_applied_at
from tables as t
join pg_class as c on c.oid = t.oid
left join pg_stat_all_tables as st on st.relid = t.oid
left join walhook.retention as k on t.nspname = 'walhook' and k.table_name = t.table_name
group by 1, 2;
comment on view walhook.space is
  'What each table takes on disk, by partition where there are any. Rows are estimates of the last vacuum or analyze; oldest_at is that of the row with the lowest id.';
