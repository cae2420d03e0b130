-- The tables of an event's path: outbox → subscriptions → deliveries → attempts, and the relay's position.
-- Constraints encode the state machine, and their names are the first thing an application reads when it
-- writes something that cannot be: they say what is wrong.

comment on schema walhook is
  'Webhooks from committed events: write to outbox, look at delivery_status, ask matching_subscriptions.';

-- Time-ordered ids (RFC 9562, version 7) on every supported server; Postgres has its own from 18 on.
create function walhook.uuidv7() returns uuid
language sql volatile parallel safe
as $$
  select encode(
    set_bit(
      set_bit(
        overlay(
          uuid_send(gen_random_uuid())
          placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
          from 1 for 6
        ),
        52, 1
      ),
      53, 1
    ),
    'hex'
  )::uuid
$$;
comment on function walhook.uuidv7() is
  'A time-ordered UUID (version 7): milliseconds since 1970, then random bits. The default of outbox.id.';

create function walhook.is_event_type(type text) returns boolean
language sql immutable parallel safe
as $$ select type ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' and length(type) <= 255 $$;
comment on function walhook.is_event_type(text) is
  'Whether a text is an event type: names of letters, digits, _ and -, joined by dots; at most 255 characters.';

create function walhook.is_event_type_pattern(pattern text) returns boolean
language sql immutable parallel safe
as $$ select pattern = '*' or walhook.is_event_type(regexp_replace(pattern, '\.\*$', '')) $$;
comment on function walhook.is_event_type_pattern(text) is
  'Whether a text is a pattern: an event type, a prefix and .* (any depth below it), or * for every type.';

create function walhook.are_event_type_patterns(patterns text[]) returns boolean
language sql immutable parallel safe
as $$
  select cardinality(patterns) between 1 and 100
     and (select bool_and(p is not null and walhook.is_event_type_pattern(p)) from unnest(patterns) as p)
$$;
comment on function walhook.are_event_type_patterns(text[]) is
  'Whether a list is a subscription''s event_types: 1 to 100 patterns, every one well formed.';

create function walhook.duration_ms(duration text) returns bigint
language sql immutable parallel safe
as $$
  select case
    when duration ~ '^[0-9]{1,9}(ms|s|m|h|d)$' then
      substring(duration from '^[0-9]+')::bigint
      * case substring(duration from '[a-z]+$')
          when 'ms' then 1 when 's' then 1000 when 'm' then 60000 when 'h' then 3600000 else 86400000
        end
  end
$$;
comment on function walhook.duration_ms(text) is
  'A duration such as 500ms, 5s, 10m, 2h or 5d in milliseconds; null when the text is not a duration.';

create function walhook.is_retry_schedule(delays text[]) returns boolean
language sql immutable parallel safe
as $$
  select cardinality(delays) <= 100
     and coalesce((select bool_and(coalesce(walhook.duration_ms(d) <= 30 * 86400000::bigint, false)) from unnest(delays) as d), true)
$$;
comment on function walhook.is_retry_schedule(text[]) is
  'Whether a list is a retry schedule: up to 100 durations, each at most 30d. An empty list means one attempt.';

create function walhook.is_signing_secret(secret text) returns boolean
language sql immutable strict parallel safe
as $$
  select case
    when secret ~ '^whsec_[A-Za-z0-9+/]+=*$' and length(secret) % 4 = 2
    then octet_length(decode(substring(secret from 7), 'base64')) between 24 and 64
    else false
  end
$$;
comment on function walhook.is_signing_secret(text) is
  'Whether a text is a Standard Webhooks secret: whsec_ and the base64 of 24 to 64 bytes.';

create function walhook.is_endpoint_url(url text) returns boolean
language sql immutable strict parallel safe
as $$ select url ~* '^https?://[^/?#[:space:]]' and length(url) <= 2048 $$;
comment on function walhook.is_endpoint_url(text) is 'Whether a text can be an endpoint: an http or https URL of at most 2048 characters.';

-- A path that selects something ($.amount, $.items[*] ? (@.n > 1)) is never true, so it would never match. Postgres
-- prints a predicate in parentheses, or with the operator that makes it one.
create function walhook.is_filter_predicate(filter jsonpath) returns boolean
language sql immutable strict parallel safe
as $$ select filter::text ~ '^(strict )?(\(|!|exists)' $$;
comment on function walhook.is_filter_predicate(jsonpath) is 'Whether a path asks something ($.amount > 100) and does not just select something.';

-- A subscription stands in the index once for each of its patterns, as tenant:pattern; a subscription without a
-- tenant has an empty one. Neither an event type nor a pattern can hold a colon, so the key is unambiguous.
create function walhook.subscription_match_keys(tenant text, event_types text[]) returns text[]
language sql immutable parallel safe
as $$ select coalesce(array_agg(coalesce(tenant, '') || ':' || p), '{}') from unnest(event_types) as p $$;
comment on function walhook.subscription_match_keys(text, text[]) is
  'The tenant:pattern keys under which a subscription is indexed.';

create table walhook.outbox (
  id uuid primary key default walhook.uuidv7(),
  type text not null
    constraint outbox_type_must_be_a_dotted_name_like_order_created check (walhook.is_event_type(type)),
  key text
    constraint outbox_key_must_be_1_to_1000_characters check (length(key) between 1 and 1000),
  tenant text
    constraint outbox_tenant_must_be_1_to_255_characters check (length(tenant) between 1 and 255),
  payload json not null
    constraint outbox_payload_must_be_at_most_1_mib check (octet_length(payload::text) <= 1048576),
  headers json not null default '{}'
    constraint outbox_headers_must_be_an_object_of_at_most_16_kib
    check (json_typeof(headers) = 'object' and octet_length(headers::text) <= 16384),
  created_at timestamptz not null default now()
);
-- Retention finds old rows with it; a BRIN costs the application's INSERT next to nothing.
create index outbox_created_at on walhook.outbox using brin (created_at);

comment on table walhook.outbox is
  'Events that applications committed. INSERT here in the same transaction as the business change, or call walhook.publish.';
comment on column walhook.outbox.id is 'The event''s id, and the webhook-id of every request that carries it. Yours, or made here.';
comment on column walhook.outbox.type is 'Event type, a dotted name such as order.created.';
comment on column walhook.outbox.key is 'What the event is about (an order''s id, say). Ordering, where asked for, is per key.';
comment on column walhook.outbox.tenant is 'Whose event it is. A subscription with a tenant sees only that tenant''s events.';
comment on column walhook.outbox.payload is 'The body''s data. json, not jsonb: the bytes written are the bytes that are signed and sent.';
comment on column walhook.outbox.headers is 'Metadata as a JSON object; traceparent and tracestate are passed on.';
comment on column walhook.outbox.created_at is 'When the event was written; the timestamp of the envelope.';

create table walhook.subscriptions (
  id uuid primary key default walhook.uuidv7(),
  tenant text
    constraint subscriptions_tenant_must_be_1_to_255_characters check (length(tenant) between 1 and 255),
  url text not null
    constraint subscriptions_url_must_be_http_or_https check (walhook.is_endpoint_url(url)),
  description text,
  event_types text[] not null
    constraint subscriptions_event_types_must_be_patterns_like_order check (walhook.are_event_type_patterns(event_types)),
  filter jsonpath
    constraint subscriptions_filter_must_be_a_predicate_like_amount_gt_100 check (walhook.is_filter_predicate(filter)),
  state text not null default 'active'
    constraint subscriptions_state_is_known check (state in ('active', 'paused', 'disabled')),
  state_reason text,
  secret text not null
    constraint subscriptions_secret_must_be_whsec_and_24_to_64_bytes check (walhook.is_signing_secret(secret)),
  previous_secret text
    constraint subscriptions_previous_secret_must_be_whsec check (walhook.is_signing_secret(previous_secret)),
  previous_secret_until timestamptz,
  timeout text not null default '15s'
    constraint subscriptions_timeout_must_be_a_duration_of_100ms_to_30s
    check (coalesce(walhook.duration_ms(timeout) between 100 and 30000, false)),
  retry_schedule text[] not null default '{5s,5m,30m,2h,5h,10h,14h,20h,24h}'
    constraint subscriptions_retry_schedule_must_be_durations_like_5s check (walhook.is_retry_schedule(retry_schedule)),
  retry_on text not null default 'any'
    constraint subscriptions_retry_on_must_be_any_or_transient check (retry_on in ('any', 'transient')),
  match_keys text[] not null generated always as (walhook.subscription_match_keys(tenant, event_types)) stored,
  active_from_lsn pg_lsn not null default pg_current_wal_insert_lsn(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint subscriptions_previous_secret_has_an_end
    check ((previous_secret is null) = (previous_secret_until is null))
);
create index subscriptions_match_keys on walhook.subscriptions using gin (match_keys) with (fastupdate = off);

comment on table walhook.subscriptions is 'Standing wishes: which events go to which endpoint, signed with which secret. One row, one endpoint.';
comment on column walhook.subscriptions.id is 'Stands in walhook.deliveries and in every log line.';
comment on column walhook.subscriptions.tenant is 'Sees that tenant''s events only; null sees every event.';
comment on column walhook.subscriptions.url is 'Where to POST. https, unless the operator allows http. Read when an attempt starts.';
comment on column walhook.subscriptions.description is 'For people.';
comment on column walhook.subscriptions.event_types is 'Patterns: order.created, order.* (any depth) or *.';
comment on column walhook.subscriptions.filter is 'SQL/JSON path predicate over the payload, $.amount > 100; null lets every event pass. One that errors does not match.';
comment on column walhook.subscriptions.state is 'active; paused (by a person) or disabled (by failure): then deliveries are recorded and wait.';
comment on column walhook.subscriptions.state_reason is 'Why it is not active: gone, for an endpoint that answered 410.';
comment on column walhook.subscriptions.secret is 'Signing secret, whsec_ and base64.';
comment on column walhook.subscriptions.previous_secret is 'The secret before the last rotation; requests are signed with both until previous_secret_until.';
comment on column walhook.subscriptions.previous_secret_until is 'When the previous secret stops signing.';
comment on column walhook.subscriptions.timeout is 'How long one attempt may take, connecting included.';
comment on column walhook.subscriptions.retry_schedule is 'Delays between attempts, each varied by 20 %. After the last one the delivery is dead. {} means one attempt.';
comment on column walhook.subscriptions.retry_on is 'any: every failure is retried. transient: network errors, 408, 425, 429 and 5xx are; any other 4xx is dead at once.';
comment on column walhook.subscriptions.match_keys is 'tenant:pattern keys, for the index that finds the subscriptions of an event.';
comment on column walhook.subscriptions.active_from_lsn is 'Receives the events whose transaction committed after this position of the write-ahead log.';
comment on column walhook.subscriptions.created_at is 'When it was made.';
comment on column walhook.subscriptions.updated_at is 'When it was last changed.';

create table walhook.deliveries (
  id bigint generated always as identity primary key,
  event_id uuid not null,
  subscription_id uuid not null,
  state text not null default 'pending'
    constraint deliveries_state_is_known check (state in ('pending', 'delivered', 'dead', 'cancelled')),
  attempts integer not null default 0
    constraint deliveries_attempts_is_a_count check (attempts >= 0),
  schedule_from integer not null default 0,
  next_attempt_at timestamptz,
  scheduled boolean not null default false,
  last_status integer,
  last_error text,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  unique (event_id, subscription_id),
  constraint deliveries_pending_has_a_next_attempt check ((state = 'pending') = (next_attempt_at is not null)),
  constraint deliveries_finished_unless_pending check ((state = 'pending') = (finished_at is null)),
  constraint deliveries_scheduled_only_while_pending check (state = 'pending' or not scheduled)
);
-- One index answers "what is waiting, and for whom": overflow, lapsed leases, resends and lost jobs alike.
create index deliveries_pending on walhook.deliveries (subscription_id, next_attempt_at, id) where state = 'pending';

comment on table walhook.deliveries is
  'One event owed to one subscription. No foreign keys: under synchronous replication the event arrives over the log before it can be read.';
comment on column walhook.deliveries.id is 'In commit order of the events within one relay.';
comment on column walhook.deliveries.event_id is 'outbox.id.';
comment on column walhook.deliveries.subscription_id is 'subscriptions.id.';
comment on column walhook.deliveries.state is 'pending; delivered (a 2xx); dead (will not be attempted again by itself); cancelled (its subscription was deleted).';
comment on column walhook.deliveries.attempts is 'Attempts made so far.';
comment on column walhook.deliveries.schedule_from is 'Attempts made before the last resend: the retry schedule counts from there.';
comment on column walhook.deliveries.next_attempt_at is
  'While pending. scheduled: when the retry is due. Not scheduled and in the future: held in a process''s memory until then. Not scheduled and past: free for any process to take.';
comment on column walhook.deliveries.scheduled is 'A pg-boss job will make it due at next_attempt_at.';
comment on column walhook.deliveries.last_status is 'HTTP status of the last attempt, if it got one.';
comment on column walhook.deliveries.last_error is 'Error class of the last attempt, if it had one.';
comment on column walhook.deliveries.created_at is 'When the fan-out recorded it.';
comment on column walhook.deliveries.finished_at is 'When it stopped being pending.';

create table walhook.attempts (
  delivery_id bigint not null,
  number integer not null constraint attempts_number_counts_from_1 check (number >= 1),
  started_at timestamptz not null,
  duration_ms integer not null constraint attempts_duration_is_not_negative check (duration_ms >= 0),
  response_status integer,
  error text,
  response_body text,
  batch_id uuid,
  primary key (delivery_id, number, started_at),
  constraint attempts_has_a_status_or_an_error check (response_status is not null or error is not null)
) partition by range (started_at);

comment on table walhook.attempts is 'One row an HTTP request. Partitioned by day (UTC): retention drops whole days.';
comment on column walhook.attempts.delivery_id is 'deliveries.id.';
comment on column walhook.attempts.number is 'From 1.';
comment on column walhook.attempts.started_at is 'By the database''s clock.';
comment on column walhook.attempts.duration_ms is 'From the start to the outcome.';
comment on column walhook.attempts.response_status is 'HTTP status, or null when none came.';
comment on column walhook.attempts.error is 'Error class: dns, connect_refused, connect_timeout, tls, timeout, reset, address_denied, … beside a status: what happened to the body.';
comment on column walhook.attempts.response_body is 'The beginning of the answer, at most 4 KiB. What an endpoint sent: do not trust it.';
comment on column walhook.attempts.batch_id is 'Null unless the request carried a batch.';

create table walhook.relay (
  slot_name text primary key,
  lsn pg_lsn not null,
  row_in_transaction bigint not null default 0,
  committed_at timestamptz,
  system_identifier text not null,
  timeline integer not null,
  updated_at timestamptz not null default now()
);
comment on table walhook.relay is
  'How far the relay has recorded, one row a slot; written in the transaction that records the deliveries, and never behind what is confirmed to Postgres.';
comment on column walhook.relay.slot_name is 'The replication slot.';
comment on column walhook.relay.lsn is 'Everything that committed before this position is recorded.';
comment on column walhook.relay.row_in_transaction is 'Rows recorded of the transaction whose commit record stands at lsn, when a large one is recorded in pieces.';
comment on column walhook.relay.committed_at is 'Commit time of the last recorded transaction.';
comment on column walhook.relay.system_identifier is 'The Postgres cluster that these positions belong to.';
comment on column walhook.relay.timeline is 'Its timeline: a lower one is a former primary, and is refused.';
comment on column walhook.relay.updated_at is 'When this row was written.';

create table walhook.malformed (
  id bigint generated always as identity primary key,
  slot_name text not null,
  lsn pg_lsn not null,
  row_in_transaction bigint not null,
  reason text not null,
  raw text not null,
  created_at timestamptz not null default now(),
  unique (slot_name, lsn, row_in_transaction)
);
comment on table walhook.malformed is 'Rows that arrived over the log and could not be an event. They never stop the stream; look here and publish them again.';
comment on column walhook.malformed.id is 'For people.';
comment on column walhook.malformed.slot_name is 'The replication slot it came through.';
comment on column walhook.malformed.lsn is 'Where its transaction''s commit record stands.';
comment on column walhook.malformed.row_in_transaction is 'Which row of that transaction, from 0.';
comment on column walhook.malformed.reason is 'Why it is not an event.';
comment on column walhook.malformed.raw is 'The row as it arrived, columns as a JSON object of texts; at most 64 KiB.';
comment on column walhook.malformed.created_at is 'When it was recorded.';

comment on table walhook.migrations is 'Which migrations have run.';
comment on column walhook.migrations.version is 'The number in the file''s name.';
comment on column walhook.migrations.name is 'The file''s name.';
comment on column walhook.migrations.checksum is 'SHA-256 of the file: a released migration never changes.';
comment on column walhook.migrations.applied_at is 'When it ran.';
