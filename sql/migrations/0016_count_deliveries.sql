-- What is counted as deliveries end, and which processes there are. Functions and views that read it are applied again.

create table walhook.delivery_counts (
  subscription_id uuid not null,
  grain text not null
    constraint delivery_counts_grain_is_known check (grain in ('minute', 'quarter', 'ever')),
  at timestamptz not null,
  writer bigint not null default 0,
  attempts bigint not null default 0,
  failed_attempts bigint not null default 0,
  delivered bigint not null default 0,
  dead bigint not null default 0,
  cancelled bigint not null default 0,
  attempt_buckets bigint[] not null default '{}',
  delivered_buckets bigint[] not null default '{}',
  first_delivered_at timestamptz,
  last_delivered_at timestamptz,
  primary key (subscription_id, grain, at, writer)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- For retention; what is added to a row moves nothing in it.
create index delivery_counts_age on walhook.delivery_counts (grain, at);

comment on table walhook.delivery_counts is
  'Counters, written every few seconds by each process: walhook.stats reads them, and what that costs does not grow with the tables. A crash may lose the last seconds of a counter. Minutes are kept for two hours, quarters of an hour for a week.';
comment on column walhook.delivery_counts.subscription_id is 'subscriptions.id; nothing but zeros for all of them together.';
comment on column walhook.delivery_counts.grain is 'minute, or quarter of an hour; ever since the subscription was made.';
comment on column walhook.delivery_counts.at is 'When the minute or the quarter begins; the epoch for ever.';
comment on column walhook.delivery_counts.writer is
  'Walhook''s processes add to 0; a transaction that cancels deliveries in SQL has a row of its own, so that nobody waits for it.';
comment on column walhook.delivery_counts.attempts is 'Attempts that were recorded.';
comment on column walhook.delivery_counts.failed_attempts is 'Those of them that were not answered with a 2xx.';
comment on column walhook.delivery_counts.delivered is 'Deliveries that became delivered.';
comment on column walhook.delivery_counts.dead is 'Deliveries that became dead.';
comment on column walhook.delivery_counts.cancelled is 'Deliveries that were cancelled.';
comment on column walhook.delivery_counts.attempt_buckets is
  'How long attempts took: how many took less than walhook.latency_bound(0) ms, less than (1), and so on.';
comment on column walhook.delivery_counts.delivered_buckets is
  'From an event''s commit to its delivery, in the same buckets; from created_at where the event had waited in the database. What was resent, replayed or delayed on purpose is left out.';
comment on column walhook.delivery_counts.first_delivered_at is 'When the first of delivered was recorded.';
comment on column walhook.delivery_counts.last_delivered_at is 'When the last of them was.';

-- What is there already: the week before is not known, but what became of it all is.
insert into walhook.delivery_counts (subscription_id, grain, at, delivered, dead, cancelled, first_delivered_at, last_delivered_at)
select
  subscription_id, 'ever', to_timestamp(0),
  count(*) filter (where state = 'delivered'),
  count(*) filter (where state = 'dead'),
  count(*) filter (where state = 'cancelled'),
  min(finished_at) filter (where state = 'delivered'),
  max(finished_at) filter (where state = 'delivered')
from walhook.deliveries
where state <> 'pending'
group by subscription_id;

-- Unlogged: each process writes its row anew where it is missing. It writes no more than that: an idle database is not to be kept busy.
create unlogged table walhook.replicas (
  id uuid primary key,
  host text not null,
  version text not null,
  role text not null
    constraint replicas_role_is_known check (role in ('starting', 'streaming', 'standby', 'interrupted')),
  started_at timestamptz not null default now(),
  gone_at timestamptz
) with (fillfactor = 50);

comment on table walhook.replicas is
  'Processes of Walhook: each writes its row when it starts and when its role changes, keeps a session of its own open, and takes the row away when it stops. walhook.replica_status says which of them are here.';
comment on column walhook.replicas.id is 'Made at each start. The session is called walhook replica and this.';
comment on column walhook.replicas.host is 'The name of its machine or container.';
comment on column walhook.replicas.version is 'Of Walhook.';
comment on column walhook.replicas.role is 'starting; streaming the slot; standby while another process streams; interrupted.';
comment on column walhook.replicas.started_at is 'When it wrote its first row.';
comment on column walhook.replicas.gone_at is 'When another process found its session ended. Ten minutes later it is forgotten.';

-- A tenant's statistics are those of its subscriptions.
create index if not exists subscriptions_tenant on walhook.subscriptions (tenant) where tenant is not null;
