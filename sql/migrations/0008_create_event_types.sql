-- The catalog of event types, and what it refused: with WALHOOK_EVENT_TYPES=strict, an event that it does not prove is kept
-- from every subscription, and stands in dead_events until somebody releases it.

create table walhook.event_types (
  name text primary key,
  description text,
  schema json,
  example json,
  deprecated boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table walhook.event_types is
  'The catalog: which types of events there are, and what their payloads look like. WALHOOK_EVENT_TYPES says what it decides.';
comment on column walhook.event_types.name is 'An event type: order.created.';
comment on column walhook.event_types.description is 'For people, as Markdown.';
comment on column walhook.event_types.schema is
  'JSON Schema (draft 2020-12) of the payload; at most 64 KiB. Null lets every payload pass.';
comment on column walhook.event_types.example is 'A payload, for people who write receivers.';
comment on column walhook.event_types.deprecated is 'Whether it is on its way out. Its events are still delivered.';
comment on column walhook.event_types.created_at is 'When it was made.';
comment on column walhook.event_types.updated_at is 'When it was last written. Replicas tell by it that a schema is another one.';

create table walhook.dead_events (
  event_id uuid primary key,
  type text not null,
  reason text not null,
  lsn pg_lsn,
  created_at timestamptz not null default now()
);
comment on table walhook.dead_events is
  'Events that the catalog refused: no subscription got a delivery. The event itself stays in the outbox for as long; walhook.release_event sends it on its way.';
comment on column walhook.dead_events.event_id is 'outbox.id.';
comment on column walhook.dead_events.type is 'The event''s type.';
comment on column walhook.dead_events.reason is 'Why it was refused. Never quotes the payload.';
comment on column walhook.dead_events.lsn is
  'Where its transaction''s commit record stands: it is owed to the subscriptions that are older. Null where that is not known.';
comment on column walhook.dead_events.created_at is 'When it was refused.';
