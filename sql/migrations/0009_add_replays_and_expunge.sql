-- Replays: what was asked for and how far it has come, so that any process can go on with it. Expunged events. And what retention
-- needs to stay cheap, however many deliveries there are.

create table walhook.replays (
  id bigint generated always as identity primary key,
  kind text not null
    constraint replays_kind_is_known check (kind in ('resend', 'copy', 'backfill')),
  state text not null default 'running'
    constraint replays_state_is_known check (state in ('running', 'stopped', 'done', 'failed')),
  reason text,
  subscription_id uuid not null,
  to_subscription_id uuid not null,
  states text[] not null
    constraint replays_states_can_be_sent_again check (states <@ '{dead,delivered,cancelled}'),
  event_types text[],
  created_from timestamptz not null,
  created_to timestamptz not null,
  key text,
  tenant text,
  total bigint not null,
  replayed bigint not null default 0,
  after_id bigint not null default 0,
  last_id bigint not null,
  after_at timestamptz not null,
  after_event_id uuid not null default '00000000-0000-0000-0000-000000000000',
  stride interval not null default '1 minute'
    constraint replays_stride_goes_forward check (stride > interval '0'),
  running_since timestamptz not null default now(),
  replayed_before bigint not null default 0,
  created_by text not null default session_user,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  finished_at timestamptz,
  constraint replays_finished_when_over check ((state in ('done', 'failed')) = (finished_at is not null))
);
-- Looked at each second; holds what is under way, and so next to nothing.
create index replays_running on walhook.replays (id) where state = 'running';

comment on table walhook.replays is 'Deliveries sent again, or made of older events, in pieces. A row is the job: what was asked, and how far it has come.';
comment on column walhook.replays.id is 'For walhook.stop_replay and walhook.continue_replay.';
comment on column walhook.replays.kind is
  'resend: its deliveries are made due again. copy: their events go to another URL. backfill: older events that it has no delivery of.';
comment on column walhook.replays.state is 'running (or waiting: replay_status says for what); stopped by a person; done; failed.';
comment on column walhook.replays.reason is 'Why it failed: subscription_deleted, or the SQLSTATE of an error.';
comment on column walhook.replays.subscription_id is 'Whose deliveries are sent again; for a backfill, who gets the events.';
comment on column walhook.replays.to_subscription_id is 'Who gets them: the same, or for a copy the subscription that was made with the other URL.';
comment on column walhook.replays.states is 'Which deliveries: dead, delivered, cancelled. Empty for a backfill, which makes new ones.';
comment on column walhook.replays.event_types is 'Only events that meet one of these patterns; null means all.';
comment on column walhook.replays.created_from is 'Only events created then or later.';
comment on column walhook.replays.created_to is 'Only events created before that.';
comment on column walhook.replays.key is 'Only events of this key; null means all.';
comment on column walhook.replays.tenant is 'Only events of this tenant; null means all.';
comment on column walhook.replays.total is 'How many there were when it was asked for.';
comment on column walhook.replays.replayed is 'How many have been made due so far. What was resent, expunged or removed meanwhile is not among them.';
comment on column walhook.replays.after_id is 'Goes on with deliveries after this one.';
comment on column walhook.replays.last_id is 'Ends with this delivery: what came later was not asked for.';
comment on column walhook.replays.after_at is 'A backfill goes on with events created then, after after_event_id.';
comment on column walhook.replays.after_event_id is 'See after_at.';
comment on column walhook.replays.stride is 'How much of the outbox''s time a backfill looks through in one piece; follows how much there is in it.';
comment on column walhook.replays.running_since is 'When it began or was continued.';
comment on column walhook.replays.replayed_before is 'replayed, at running_since.';
comment on column walhook.replays.created_by is 'The login that asked for it.';
comment on column walhook.replays.created_at is 'When it was asked for.';
comment on column walhook.replays.updated_at is 'When the last piece was done, or a person stopped or continued it.';
comment on column walhook.replays.finished_at is 'When it was done, or failed.';

-- The secrets of a sealed row are sealed for that row: a copy of them could not be opened.
alter table walhook.subscriptions add column signs_as uuid references walhook.subscriptions (id) on delete cascade;
comment on column walhook.subscriptions.signs_as is
  'Requests are signed with that subscription''s secrets, whatever they are by then, and not with its own: made by a replay to another URL.';

alter table walhook.outbox add column expunged_at timestamptz;
comment on column walhook.outbox.expunged_at is 'When walhook.expunge removed payload and headers. Such an event is not sent any more.';
-- Of the few that are: what an endpoint answers after the expunge is removed as well.
create index outbox_expunged on walhook.outbox (id) where expunged_at is not null;

-- Dead letters of one subscription, in the order in which they are sent again. Nothing else writes to it.
create index deliveries_dead on walhook.deliveries (subscription_id, id) where state = 'dead';
-- What retention may remove, oldest first. A BRIN would cost less to write, but its ranges never shrink: once the space of removed
-- rows has been used again, all of them begin in the past, and each look reads the whole table.
create index deliveries_finished on walhook.deliveries (finished_at) where finished_at is not null;

-- A delivery's row is written two times or more. A fifth of a table that keeps a month would be millions of dead rows, which every
-- index scan of the claim steps over; so vacuum comes at a fiftieth, and often takes little. No fillfactor: state and next_attempt_at
-- stand in an index, so no update can stay on its page as a heap-only one.
alter table walhook.deliveries set (
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05
);
-- Events are written once and removed once, an hour's worth at a time: the space should be free for the next hour.
alter table walhook.outbox set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

create table walhook.retention (
  table_name text primary key,
  keep interval not null,
  removed bigint not null,
  applied_at timestamptz not null default now()
);
comment on table walhook.retention is 'What retention did last, by table, and how long it keeps what is finished. Shown by walhook.space.';
comment on column walhook.retention.table_name is 'In schema walhook.';
comment on column walhook.retention.keep is 'WALHOOK_RETENTION of the process that applied it.';
comment on column walhook.retention.removed is 'Rows that the last run removed; of attempts, day partitions.';
comment on column walhook.retention.applied_at is 'When that was.';
