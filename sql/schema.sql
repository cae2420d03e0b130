-- The schema as it is after every migration, for reading. Nothing runs this file.
-- Written by "npm run schema" from the database's catalog; a test compares the two.

create table walhook.api_keys (
  id uuid not null default walhook.uuidv7(),
  name text,
  prefix text not null,
  hash bytea not null,
  scope text not null,
  tenant text,
  expires_at timestamp with time zone,
  created_at timestamp with time zone not null default now(),
  last_used_at timestamp with time zone,
  revoked_at timestamp with time zone,
  constraint api_keys_hash_must_be_a_sha_256 CHECK ((octet_length(hash) = 32)),
  constraint api_keys_name_must_be_1_to_255_characters CHECK (((length(name) >= 1) AND (length(name) <= 255))),
  constraint api_keys_pkey PRIMARY KEY (id),
  constraint api_keys_scope_must_be_admin_operate_read_or_publish CHECK ((scope = ANY (ARRAY['admin'::text, 'operate'::text, 'read'::text, 'publish'::text]))),
  constraint api_keys_tenant_must_be_1_to_255_characters CHECK (((length(tenant) >= 1) AND (length(tenant) <= 255)))
);

create table walhook.attempts (
  delivery_id bigint not null,
  number integer not null,
  started_at timestamp with time zone not null,
  duration_ms integer not null,
  response_status integer,
  error text,
  response_body text,
  batch_id uuid,
  constraint attempts_duration_is_not_negative CHECK ((duration_ms >= 0)),
  constraint attempts_has_a_status_or_an_error CHECK (((response_status IS NOT NULL) OR (error IS NOT NULL))),
  constraint attempts_number_counts_from_1 CHECK ((number >= 1)),
  constraint attempts_pkey PRIMARY KEY (delivery_id, number, started_at)
) partition by RANGE (started_at);

create table walhook.consents (
  subscription_id uuid not null,
  url text not null,
  origin text not null,
  asked_at timestamp with time zone not null default now(),
  refusals integer not null default 0,
  refused_for text,
  consented_at timestamp with time zone,
  allowed_rate integer,
  constraint consents_allowed_rate_is_positive CHECK ((allowed_rate > 0)),
  constraint consents_pkey PRIMARY KEY (subscription_id),
  constraint consents_rate_comes_with_consent CHECK (((allowed_rate IS NULL) OR (consented_at IS NOT NULL))),
  constraint consents_refusals_are_counted CHECK ((refusals >= 0)),
  constraint consents_subscription_id_fkey FOREIGN KEY (subscription_id) REFERENCES walhook.subscriptions(id) ON DELETE CASCADE
);

create table walhook.dead_events (
  event_id uuid not null,
  type text not null,
  reason text not null,
  lsn pg_lsn,
  created_at timestamp with time zone not null default now(),
  constraint dead_events_pkey PRIMARY KEY (event_id)
);

create table walhook.deliveries (
  id bigint not null generated always as identity,
  event_id uuid not null,
  subscription_id uuid not null,
  state text not null default 'pending'::text,
  attempts integer not null default 0,
  schedule_from integer not null default 0,
  next_attempt_at timestamp with time zone,
  scheduled boolean not null default false,
  last_status integer,
  last_error text,
  created_at timestamp with time zone not null default now(),
  finished_at timestamp with time zone,
  batch_id uuid,
  batch_size integer,
  order_key uuid,
  holds_key_until timestamp with time zone,
  constraint deliveries_attempts_is_a_count CHECK ((attempts >= 0)),
  constraint deliveries_batch_has_a_size CHECK (((batch_id IS NULL) = (batch_size IS NULL))),
  constraint deliveries_event_id_subscription_id_key UNIQUE (event_id, subscription_id),
  constraint deliveries_finished_unless_pending CHECK (((state = 'pending'::text) = (finished_at IS NULL))),
  constraint deliveries_pending_has_a_next_attempt CHECK (((state = 'pending'::text) = (next_attempt_at IS NOT NULL))),
  constraint deliveries_pkey PRIMARY KEY (id),
  constraint deliveries_scheduled_only_while_pending CHECK (((state = 'pending'::text) OR (NOT scheduled))),
  constraint deliveries_state_is_known CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'dead'::text, 'cancelled'::text])))
) with (autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_insert_scale_factor=0.05, autovacuum_analyze_scale_factor=0.05);

create table walhook.delivery_counts (
  subscription_id uuid not null,
  grain text not null,
  at timestamp with time zone not null,
  writer bigint not null default 0,
  attempts bigint not null default 0,
  failed_attempts bigint not null default 0,
  delivered bigint not null default 0,
  dead bigint not null default 0,
  cancelled bigint not null default 0,
  attempt_buckets bigint[] not null default '{}'::bigint[],
  delivered_buckets bigint[] not null default '{}'::bigint[],
  first_delivered_at timestamp with time zone,
  last_delivered_at timestamp with time zone,
  constraint delivery_counts_grain_is_known CHECK ((grain = ANY (ARRAY['minute'::text, 'quarter'::text, 'ever'::text]))),
  constraint delivery_counts_pkey PRIMARY KEY (subscription_id, grain, at, writer)
) with (fillfactor=70, autovacuum_vacuum_scale_factor=0.05, autovacuum_analyze_scale_factor=0.05);

create table walhook.event_types (
  name text not null,
  description text,
  schema json,
  example json,
  deprecated boolean not null default false,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  constraint event_types_pkey PRIMARY KEY (name)
);

create table walhook.failing_endpoints (
  subscription_id uuid not null,
  since timestamp with time zone not null,
  failures integer not null,
  last_failure_at timestamp with time zone not null,
  last_status integer,
  last_error text,
  told_failing boolean not null default false,
  owes_recovery boolean not null default false,
  constraint failing_endpoints_failures_is_a_count CHECK ((failures >= 0)),
  constraint failing_endpoints_pkey PRIMARY KEY (subscription_id)
) with (fillfactor=50);

create table walhook.malformed (
  id bigint not null generated always as identity,
  slot_name text not null,
  lsn pg_lsn not null,
  row_in_transaction bigint not null,
  reason text not null,
  raw text not null,
  created_at timestamp with time zone not null default now(),
  constraint malformed_pkey PRIMARY KEY (id),
  constraint malformed_slot_name_lsn_row_in_transaction_key UNIQUE (slot_name, lsn, row_in_transaction)
);

create table walhook.migrations (
  version integer not null,
  name text not null,
  checksum text not null,
  applied_at timestamp with time zone not null default now(),
  constraint migrations_pkey PRIMARY KEY (version)
);

create table walhook.outbox (
  id uuid not null default walhook.uuidv7(),
  type text not null,
  key text,
  tenant text,
  payload json not null,
  headers json not null default '{}'::json,
  created_at timestamp with time zone not null default now(),
  captured_from text,
  expunged_at timestamp with time zone,
  constraint outbox_headers_must_be_an_object_of_at_most_16_kib CHECK (((json_typeof(headers) = 'object'::text) AND (octet_length((headers)::text) <= 16384))),
  constraint outbox_key_must_be_1_to_1000_characters CHECK (((length(key) >= 1) AND (length(key) <= 1000))),
  constraint outbox_payload_must_be_at_most_1_mib CHECK ((octet_length((payload)::text) <= 1048576)),
  constraint outbox_pkey PRIMARY KEY (id),
  constraint outbox_tenant_must_be_1_to_255_characters CHECK (((length(tenant) >= 1) AND (length(tenant) <= 255))),
  constraint outbox_type_must_be_a_dotted_name_like_order_created CHECK (walhook.is_event_type(type))
) with (autovacuum_vacuum_scale_factor=0.02, autovacuum_analyze_scale_factor=0.05);

create table walhook.rate_limits (
  subscription_id uuid not null,
  granted integer not null,
  free_at timestamp with time zone not null,
  constraint rate_limits_pkey PRIMARY KEY (subscription_id)
) with (fillfactor=50);

create table walhook.relay (
  slot_name text not null,
  lsn pg_lsn not null,
  row_in_transaction bigint not null default 0,
  committed_at timestamp with time zone,
  system_identifier text not null,
  timeline integer not null,
  updated_at timestamp with time zone not null default now(),
  audited_to xid8 not null default '0'::xid8,
  audited_at timestamp with time zone,
  rescan_from timestamp with time zone,
  rescan_to xid8,
  rescan_reason text,
  sources text,
  at_risk_since timestamp with time zone,
  constraint relay_pkey PRIMARY KEY (slot_name),
  constraint relay_rescan_is_whole CHECK ((num_nulls(rescan_from, rescan_to, rescan_reason) = ANY (ARRAY[0, 3])))
);

create table walhook.replays (
  id bigint not null generated always as identity,
  kind text not null,
  state text not null default 'running'::text,
  reason text,
  subscription_id uuid not null,
  to_subscription_id uuid not null,
  states text[] not null,
  event_types text[],
  created_from timestamp with time zone not null,
  created_to timestamp with time zone not null,
  key text,
  tenant text,
  total bigint not null,
  replayed bigint not null default 0,
  after_id bigint not null default 0,
  last_id bigint not null,
  after_at timestamp with time zone not null,
  after_event_id uuid not null default '00000000-0000-0000-0000-000000000000'::uuid,
  stride interval not null default '00:01:00'::interval,
  running_since timestamp with time zone not null default now(),
  replayed_before bigint not null default 0,
  created_by text not null default SESSION_USER,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  finished_at timestamp with time zone,
  statuses int4range,
  error text,
  constraint replays_finished_when_over CHECK (((state = ANY (ARRAY['done'::text, 'failed'::text])) = (finished_at IS NOT NULL))),
  constraint replays_kind_is_known CHECK ((kind = ANY (ARRAY['resend'::text, 'copy'::text, 'backfill'::text]))),
  constraint replays_pkey PRIMARY KEY (id),
  constraint replays_state_is_known CHECK ((state = ANY (ARRAY['running'::text, 'stopped'::text, 'done'::text, 'failed'::text]))),
  constraint replays_states_can_be_sent_again CHECK ((states <@ '{dead,delivered,cancelled}'::text[])),
  constraint replays_stride_goes_forward CHECK ((stride > '00:00:00'::interval))
);

create table walhook.replicas (
  id uuid not null,
  host text not null,
  version text not null,
  role text not null,
  started_at timestamp with time zone not null default now(),
  gone_at timestamp with time zone,
  constraint replicas_pkey PRIMARY KEY (id),
  constraint replicas_role_is_known CHECK ((role = ANY (ARRAY['starting'::text, 'streaming'::text, 'standby'::text, 'interrupted'::text])))
) with (fillfactor=50);

create table walhook.retention (
  table_name text not null,
  keep interval not null,
  removed bigint not null,
  applied_at timestamp with time zone not null default now(),
  constraint retention_pkey PRIMARY KEY (table_name)
);

create table walhook.session_secret (
  is_the_one boolean not null default true,
  secret bytea not null,
  created_at timestamp with time zone not null default now(),
  constraint session_secret_has_one_row CHECK (is_the_one),
  constraint session_secret_must_be_32_bytes CHECK ((octet_length(secret) = 32)),
  constraint session_secret_pkey PRIMARY KEY (is_the_one)
);

create table walhook.subscriptions (
  id uuid not null default walhook.uuidv7(),
  tenant text,
  url text not null,
  description text,
  event_types text[] not null,
  filter jsonpath,
  state text not null default 'active'::text,
  state_reason text,
  secret text not null,
  previous_secret text,
  previous_secret_until timestamp with time zone,
  timeout text not null default '15s'::text,
  retry_schedule text[] not null default '{5s,5m,30m,2h,5h,10h,14h,20h,24h}'::text[],
  retry_on text not null default 'any'::text,
  match_keys text[] not null generated always as (walhook.subscription_match_keys(tenant, event_types)) stored,
  active_from_lsn pg_lsn not null default pg_current_wal_insert_lsn(),
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  active_from_xid xid8 not null default pg_snapshot_xmin(pg_current_snapshot()),
  method text not null default 'POST'::text,
  body text not null default 'envelope'::text,
  signature text[] not null default '{standard}'::text[],
  signature_header text,
  header_prefix text,
  headers jsonb not null default '{}'::jsonb,
  forward_headers text[] not null default '{}'::text[],
  ed25519_key text,
  auth text,
  tls text,
  handshake boolean not null default false,
  batch jsonb,
  ordering text not null default 'none'::text,
  on_dead text not null default 'block'::text,
  rate_limit text,
  max_in_flight integer,
  ttl text,
  disable_after text not null default '5d'::text,
  ed25519_public_key text,
  secret_preview text not null generated always as (
CASE
    WHEN (secret ~~ 'enc:%'::text) THEN
    CASE
        WHEN (split_part(secret, ':'::text, 4) = ''::text) THEN '…'::text
        ELSE ('whsec_…'::text || split_part(secret, ':'::text, 4))
    END
    WHEN walhook.is_signing_secret(secret) THEN ('whsec_…'::text || "right"(rtrim(secret, '='::text), 4))
    ELSE '…'::text
END) stored,
  signs_as uuid,
  name text,
  constraint subscriptions_event_types_must_be_patterns_like_order CHECK (walhook.are_event_type_patterns(event_types)),
  constraint subscriptions_filter_must_be_a_predicate_like_amount_gt_100 CHECK (walhook.is_filter_predicate(filter)),
  constraint subscriptions_pkey PRIMARY KEY (id),
  constraint subscriptions_previous_secret_has_an_end CHECK (((previous_secret IS NULL) = (previous_secret_until IS NULL))),
  constraint subscriptions_retry_on_must_be_any_or_transient CHECK ((retry_on = ANY (ARRAY['any'::text, 'transient'::text]))),
  constraint subscriptions_retry_schedule_must_be_durations_like_5s CHECK (walhook.is_retry_schedule(retry_schedule)),
  constraint subscriptions_signs_as_fkey FOREIGN KEY (signs_as) REFERENCES walhook.subscriptions(id) ON DELETE CASCADE,
  constraint subscriptions_state_is_known CHECK ((state = ANY (ARRAY['active'::text, 'paused'::text, 'disabled'::text]))),
  constraint subscriptions_tenant_must_be_1_to_255_characters CHECK (((length(tenant) >= 1) AND (length(tenant) <= 255))),
  constraint subscriptions_timeout_must_be_a_duration_of_100ms_to_30s CHECK (COALESCE(((walhook.duration_ms(timeout) >= 100) AND (walhook.duration_ms(timeout) <= 30000)), false)),
  constraint subscriptions_url_must_be_http_or_https CHECK (walhook.is_endpoint_url(url))
);

CREATE UNIQUE INDEX api_keys_hash ON walhook.api_keys USING btree (hash);
CREATE INDEX attempts_started_at ON ONLY walhook.attempts USING brin (started_at) WITH (pages_per_range='16', autosummarize='on');
CREATE INDEX deliveries_cancelled ON walhook.deliveries USING btree (subscription_id, finished_at) WHERE ((state = 'cancelled'::text) AND (last_error = ANY (ARRAY['cancelled'::text, 'expunged'::text])));
CREATE INDEX deliveries_dead ON walhook.deliveries USING btree (subscription_id, id) WHERE (state = 'dead'::text);
CREATE INDEX deliveries_ended_badly ON walhook.deliveries USING btree (id) WHERE (state = ANY (ARRAY['dead'::text, 'cancelled'::text]));
CREATE INDEX deliveries_finished ON walhook.deliveries USING btree (finished_at) WHERE (finished_at IS NOT NULL);
CREATE INDEX deliveries_key_behind ON walhook.deliveries USING btree (subscription_id, order_key, id) WHERE ((order_key IS NOT NULL) AND (state = 'pending'::text) AND (next_attempt_at = 'infinity'::timestamp with time zone));
CREATE INDEX deliveries_key_front ON walhook.deliveries USING btree (subscription_id, order_key, id) WHERE ((order_key IS NOT NULL) AND (((state = 'pending'::text) AND (next_attempt_at < 'infinity'::timestamp with time zone)) OR (holds_key_until IS NOT NULL)));
CREATE INDEX deliveries_of_subscription ON walhook.deliveries USING btree (subscription_id, id);
CREATE INDEX deliveries_pending ON walhook.deliveries USING btree (subscription_id, next_attempt_at, id) WHERE (state = 'pending'::text);
CREATE INDEX delivery_counts_age ON walhook.delivery_counts USING btree (grain, at);
CREATE INDEX outbox_expunged ON walhook.outbox USING btree (id) WHERE (expunged_at IS NOT NULL);
CREATE INDEX outbox_in_order ON walhook.outbox USING btree (created_at, id);
CREATE INDEX replays_running ON walhook.replays USING btree (id) WHERE (state = 'running'::text);
CREATE INDEX subscriptions_match_keys ON walhook.subscriptions USING gin (match_keys) WITH (fastupdate=off);
CREATE UNIQUE INDEX subscriptions_name_is_unique_within_its_tenant ON walhook.subscriptions USING btree (name, COALESCE(tenant, ''::text));
CREATE INDEX subscriptions_tenant ON walhook.subscriptions USING btree (tenant) WHERE (tenant IS NOT NULL);
CREATE INDEX subscriptions_unsealed ON walhook.subscriptions USING btree (created_at) WHERE ((secret !~~ 'enc:%'::text) OR (previous_secret !~~ 'enc:%'::text) OR (ed25519_key !~~ 'enc:%'::text) OR (auth !~~ 'enc:%'::text) OR (tls !~~ 'enc:%'::text));
CREATE INDEX subscriptions_without_public_key ON walhook.subscriptions USING btree (id) WHERE ((ed25519_key IS NOT NULL) AND (ed25519_public_key IS NULL));

CREATE TRIGGER let_key_go_on AFTER UPDATE ON walhook.deliveries FOR EACH ROW WHEN (((old.order_key IS NOT NULL) AND ((old.state <> new.state) OR (old.holds_key_until IS DISTINCT FROM new.holds_key_until)))) EXECUTE FUNCTION walhook.let_key_go_on();
CREATE TRIGGER let_key_go_on_without AFTER DELETE ON walhook.deliveries FOR EACH ROW WHEN (((old.order_key IS NOT NULL) AND ((old.state = 'pending'::text) OR (old.holds_key_until IS NOT NULL)))) EXECUTE FUNCTION walhook.let_key_go_on();
CREATE TRIGGER check_event_type BEFORE INSERT OR UPDATE ON walhook.event_types FOR EACH ROW EXECUTE FUNCTION walhook.check_event_type();
CREATE TRIGGER apply_ordering AFTER UPDATE OF ordering, on_dead ON walhook.subscriptions FOR EACH ROW WHEN (((old.ordering <> new.ordering) OR (old.on_dead <> new.on_dead))) EXECUTE FUNCTION walhook.apply_ordering();
CREATE TRIGGER apply_ordering_of_deleted AFTER DELETE ON walhook.subscriptions FOR EACH ROW EXECUTE FUNCTION walhook.apply_ordering();
CREATE TRIGGER begin_health_anew AFTER UPDATE ON walhook.subscriptions FOR EACH ROW WHEN (((new.state = 'active'::text) AND ((old.state <> 'active'::text) OR (old.url <> new.url)))) EXECUTE FUNCTION walhook.begin_health_anew();
CREATE TRIGGER bring_ed25519_key BEFORE INSERT OR UPDATE ON walhook.subscriptions FOR EACH ROW EXECUTE FUNCTION walhook.bring_ed25519_key();
CREATE TRIGGER cancel_deliveries AFTER DELETE ON walhook.subscriptions FOR EACH ROW EXECUTE FUNCTION walhook.cancel_deliveries_of_subscription();
CREATE TRIGGER check_subscription BEFORE INSERT OR UPDATE ON walhook.subscriptions FOR EACH ROW EXECUTE FUNCTION walhook.check_subscription();
CREATE TRIGGER end_replays AFTER DELETE ON walhook.subscriptions FOR EACH ROW EXECUTE FUNCTION walhook.end_replays_of_subscription();
CREATE TRIGGER forget_health AFTER DELETE ON walhook.subscriptions FOR EACH ROW EXECUTE FUNCTION walhook.begin_health_anew();
CREATE TRIGGER touch_subscription BEFORE UPDATE ON walhook.subscriptions FOR EACH ROW EXECUTE FUNCTION walhook.touch_subscription();
CREATE TRIGGER wake AFTER UPDATE ON walhook.subscriptions FOR EACH ROW WHEN ((old.updated_at IS DISTINCT FROM new.updated_at)) EXECUTE FUNCTION walhook.wake_for_subscription();
CREATE TRIGGER wake_of_deleted AFTER DELETE ON walhook.subscriptions FOR EACH ROW EXECUTE FUNCTION walhook.wake_for_subscription();

CREATE OR REPLACE FUNCTION walhook.add_buckets(bigint[], bigint[])
 RETURNS bigint[]
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select case
    when $1 = '{}' then $2
    when $2 = '{}' then $1
    else array(
      select coalesce(pair.a, 0) + coalesce(pair.b, 0)
      from unnest($1, $2) with ordinality as pair (a, b, bucket)
      order by pair.bucket
    )
  end
$function$;

CREATE OR REPLACE FUNCTION walhook.advance_replay(id bigint)
 RETURNS walhook.replays
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  before walhook.replays;
  r walhook.replays;
begin
  -- Whoever else has it does this piece.
  select * into before from walhook.replays as p where p.id = advance_replay.id and p.state = 'running' for update skip locked;
  if not found then return null; end if;
  r := before;
  if not exists (select from walhook.subscriptions as s where s.id = before.to_subscription_id) then
    r.state := 'failed';
    r.reason := 'subscription_deleted';
  elsif not walhook.has_room_for_replay(before.to_subscription_id) then
    return null;
  else
    r := case when before.kind = 'backfill' then walhook.replay_events(before) else walhook.replay_deliveries(before) end;
  end if;
  if r is not distinct from before then return null; end if;
  update walhook.replays as p
  set state = r.state,
      reason = r.reason,
      replayed = r.replayed,
      after_id = r.after_id,
      after_at = r.after_at,
      after_event_id = r.after_event_id,
      stride = r.stride,
      updated_at = now(),
      finished_at = case when r.state in ('done', 'failed') then now() end
  where p.id = before.id
  returning p.* into r;
  return r;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.apply_ordering()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if tg_op = 'UPDATE' and old.ordering = 'none' and new.ordering = 'key' then
    -- What waits already is put in order too; what is being sent ends as it is.
    update walhook.deliveries as d
    set order_key = walhook.order_key(new.ordering, o.key)
    from walhook.outbox as o
    where d.subscription_id = new.id and d.state = 'pending' and o.id = d.event_id and o.key is not null;
  elsif tg_op = 'UPDATE' and old.ordering = 'key' and new.ordering = 'none' then
    update walhook.deliveries as d
    set order_key = null,
        holds_key_until = null,
        next_attempt_at = case when d.next_attempt_at = 'infinity' then least(d.created_at, now()) else d.next_attempt_at end
    where d.subscription_id = new.id
      and d.order_key is not null
      and (d.state = 'pending' or d.holds_key_until is not null);
  elsif tg_op = 'DELETE' or new.on_dead = 'skip' then
    update walhook.deliveries as d
    set holds_key_until = null
    where d.subscription_id = old.id and d.order_key is not null and d.holds_key_until = 'infinity';
  end if;
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.are_event_type_patterns(patterns text[])
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select cardinality(patterns) between 1 and 100
     and (select bool_and(p is not null and walhook.is_event_type_pattern(p)) from unnest(patterns) as p)
$function$;

CREATE OR REPLACE FUNCTION walhook.begin_health_anew()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if tg_op = 'DELETE' then
    delete from walhook.failing_endpoints where subscription_id = old.id;
  else
    update walhook.failing_endpoints set failures = 0, told_failing = false where subscription_id = new.id;
  end if;
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.bring_ed25519_key()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if 'standard-ed25519' = any (new.signature) then
    new.ed25519_key := coalesce(new.ed25519_key, walhook.new_ed25519_key());
  end if;
  -- Sealing a key does not change it; whatever else is written is another key, whose public half is not known yet.
  if tg_op = 'UPDATE' and new.ed25519_key is distinct from old.ed25519_key and walhook.is_sealed(new.ed25519_key) is not true then
    new.ed25519_public_key := null;
  end if;
  return new;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.can_sign(secret text, schemes text[])
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case
    when secret is null then false
    when walhook.is_sealed(secret) then not 'standard' = any (schemes) or split_part(secret, ':', 4) <> ''
    when 'standard' = any (schemes) then walhook.is_signing_secret(secret)
    else length(secret) between 16 and 255
     and secret !~ '[\x01-\x1f\x7f]' and secret = btrim(secret) and secret not like 'enc:%'
  end
$function$;

CREATE OR REPLACE FUNCTION walhook.cancel(delivery_id bigint)
 RETURNS walhook.deliveries
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  cancelled walhook.deliveries;
begin
  update walhook.deliveries as d
  set state = 'cancelled',
      last_error = 'cancelled',
      -- Somebody has it in hand and may be sending it: the next of its key waits until that lease ends.
      holds_key_until = case
        when d.order_key is not null and not d.scheduled and d.next_attempt_at > now() and d.next_attempt_at < 'infinity'
        then d.next_attempt_at
      end,
      next_attempt_at = null,
      scheduled = false,
      finished_at = now(),
      batch_id = null,
      batch_size = null
  where d.id = cancel.delivery_id and d.state = 'pending'
  returning d.* into cancelled;
  if not found then
    select d.* into cancelled from walhook.deliveries as d where d.id = cancel.delivery_id;
    if not found then
      raise exception 'there is no delivery %', cancel.delivery_id using errcode = 'no_data_found';
    end if;
    if cancelled.state <> 'cancelled' then
      raise exception 'delivery % is %: only one that is pending can be cancelled', cancelled.id, cancelled.state
        using errcode = 'object_not_in_prerequisite_state';
    end if;
    return cancelled;
  end if;
  perform walhook.count_cancelled(cancelled.subscription_id, 1);
  -- Whoever holds it lets go of it, and what stood behind it goes on.
  perform walhook.wake(cancelled.subscription_id);
  return cancelled;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.cancel_deliveries_of_subscription()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  how_many bigint;
begin
  update walhook.deliveries
  set state = 'cancelled', next_attempt_at = null, scheduled = false, finished_at = now()
  where subscription_id = old.id and state = 'pending';
  get diagnostics how_many = row_count;
  perform walhook.count_cancelled(old.id, how_many);
  delete from walhook.rate_limits where subscription_id = old.id;
  return old;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.certificates_rule(value text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  members constant jsonb := walhook.text_members(value);
  certificate constant text := '-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----';
  private_key constant text := '-----BEGIN ((RSA|EC) )?PRIVATE KEY-----\s[A-Za-z0-9+/=\s]+-----END ((RSA|EC) )?PRIVATE KEY-----';
begin
  if members is null or members = '{}' or members - '{ca,cert,key}'::text[] <> '{}' then
    return 'has to be a JSON object with ca, or cert and key, or all three, each PEM';
  end if;
  if (members ? 'cert') <> (members ? 'key') then
    return 'has to have cert and key together';
  end if;
  if members ->> 'ca' !~ certificate then
    return 'has to have a ca that is PEM: -----BEGIN CERTIFICATE----- and what follows it';
  end if;
  if members ->> 'cert' !~ certificate then
    return 'has to have a cert that is PEM: -----BEGIN CERTIFICATE----- and what follows it';
  end if;
  if members ->> 'key' !~ private_key then
    return 'has to have a key that is PEM and has no passphrase: -----BEGIN PRIVATE KEY----- and what follows it';
  end if;
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.change_subscription(id uuid, changes jsonb, version text DEFAULT NULL::text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  before walhook.subscriptions;
  s walhook.subscriptions;
begin
  select * into before from walhook.subscriptions as b where b.id = change_subscription.id for no key update;
  if not found then
    raise exception 'there is no subscription %', change_subscription.id using errcode = 'no_data_found';
  end if;
  if version <> walhook.subscription_version(before) then
    raise exception 'subscription % was changed meanwhile', change_subscription.id using errcode = 'WH412';
  end if;
  s := walhook.read_subscription(
    before,
    changes || coalesce(
      (
        select jsonb_object_agg(c.key, walhook.default_of_option(c.key))
        from jsonb_each(changes) as c
        where c.value = 'null' and c.key = any (walhook.subscription_options())
      ),
      '{}'
    )
  );
  s.headers := walhook.unmasked_headers(s.headers, before.headers);
  -- Nothing was changed: nobody is to find a newer row.
  if to_jsonb(s) = to_jsonb(before) then return; end if;
  update walhook.subscriptions as u
  set name = s.name, tenant = s.tenant, url = s.url, description = s.description, event_types = s.event_types, filter = s.filter,
      timeout = s.timeout, retry_schedule = s.retry_schedule, retry_on = s.retry_on, method = s.method, body = s.body,
      headers = s.headers, forward_headers = s.forward_headers, signature = s.signature, signature_header = s.signature_header,
      header_prefix = s.header_prefix, ed25519_key = s.ed25519_key, auth = s.auth, tls = s.tls, handshake = s.handshake,
      batch = s.batch, ordering = s.ordering, on_dead = s.on_dead, rate_limit = s.rate_limit, max_in_flight = s.max_in_flight,
      ttl = s.ttl, disable_after = s.disable_after
  where u.id = change_subscription.id;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.check_access(s walhook.subscriptions)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  largest constant integer := 65536;
  rule text;
begin
  if s.handshake is null then
    perform walhook.refuse('handshake', 'has to be true or false');
  end if;
  -- What is sealed was looked at before, and is longer by what base64 takes.
  if octet_length(s.auth) > (case when walhook.is_sealed(s.auth) then 2 else 1 end) * largest then
    perform walhook.refuse('auth', 'has to be at most 64 KiB');
  end if;
  if octet_length(s.tls) > (case when walhook.is_sealed(s.tls) then 2 else 1 end) * largest then
    perform walhook.refuse('tls', 'has to be at most 64 KiB');
  end if;
  if not walhook.is_sealed(s.auth) then
    rule := walhook.credentials_rule(s.auth);
    if rule is not null then perform walhook.refuse('auth', rule); end if;
  end if;
  if not walhook.is_sealed(s.tls) then
    rule := walhook.certificates_rule(s.tls);
    if rule is not null then perform walhook.refuse('tls', rule); end if;
  end if;
  if s.tls is not null and s.url !~* '^https:' then
    perform walhook.refuse('tls', 'has to go with an https URL');
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.check_batch(s walhook.subscriptions)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if s.batch is null then return; end if;
  if jsonb_typeof(s.batch) <> 'object' then
    perform walhook.refuse('batch', 'has to be an object like {"max_events":100,"max_wait":"5s"}');
  end if;
  if s.batch - array['max_events', 'max_wait'] <> '{}' then
    perform walhook.refuse('batch', 'has to be an object of max_events, max_wait or both, and nothing else');
  end if;
  -- Also refuses null, which is not a way to ask for the default.
  if s.batch ? 'max_events' and (
    jsonb_typeof(s.batch -> 'max_events') <> 'number' or s.batch ->> 'max_events' !~ '^(1000|[1-9][0-9]{0,2})$'
  ) then
    perform walhook.refuse('batch', 'has to be an object whose max_events is a number from 1 to 1000');
  end if;
  if s.batch ? 'max_wait' and not coalesce(walhook.duration_ms(s.batch ->> 'max_wait') between 0 and 30000, false) then
    perform walhook.refuse('batch', 'has to be an object whose max_wait is a duration from 0ms to 30s');
  end if;
  -- Waiting and sending both have to end within a lease of 60 s, with some to spare for what may come between.
  if walhook.duration_ms(coalesce(s.batch ->> 'max_wait', '5s')) + walhook.duration_ms(s.timeout) > 50000 then
    perform walhook.refuse('batch', 'has to be an object whose max_wait and the timeout are at most 50s together');
  end if;
  if s.ordering = 'key' then
    perform walhook.refuse('batch', 'has to be null where ordering is key: a batch holds events of many keys');
  end if;
  if s.body = 'payload' then
    perform walhook.refuse('batch', 'has to be null where body is payload, which has no place for each event''s id');
  end if;
  if cardinality(s.forward_headers) > 0 then
    perform walhook.refuse('batch', 'has to be null where forward_headers are asked for: each event of a batch has headers of its own');
  end if;
  if walhook.duration_ms(s.ttl) <= walhook.duration_ms(coalesce(s.batch ->> 'max_wait', '5s')) then
    perform walhook.refuse('batch', 'has to be an object whose max_wait is shorter than the ttl: its events would expire while they wait for others');
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.check_event_type()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if new.name is null or not walhook.is_event_type(new.name) then
    perform walhook.refuse('name', 'has to be a dotted name like order.created, of at most 255 characters');
  end if;
  if length(new.description) > 10000 then
    perform walhook.refuse('description', 'has to be at most 10000 characters');
  end if;
  if json_typeof(new.schema) not in ('object', 'boolean') then
    perform walhook.refuse('schema', 'has to be a JSON Schema: an object, or true or false');
  end if;
  if octet_length(new.schema::text) > 65536 then
    perform walhook.refuse('schema', 'has to be at most 64 KiB');
  end if;
  if json_typeof(new.schema) = 'object'
    and new.schema ->> '$schema' not in (
      'https://json-schema.org/draft/2020-12/schema', 'https://json-schema.org/draft/2020-12/schema#'
    )
  then
    perform walhook.refuse('schema', 'has to be of draft 2020-12: "$schema": "https://json-schema.org/draft/2020-12/schema", or none');
  end if;
  if octet_length(new.example::text) > 65536 then
    perform walhook.refuse('example', 'has to be at most 64 KiB');
  end if;
  -- Not now(): of two changes in one transaction a replica has to notice the second.
  new.updated_at := clock_timestamp();
  return new;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.check_lifetime(s walhook.subscriptions)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if s.ttl is not null and not coalesce(walhook.duration_ms(s.ttl) between 1000 and 365 * 86400000::bigint, false) then
    perform walhook.refuse('ttl', 'has to be a duration from 1s to 365d');
  end if;
  if not coalesce(walhook.duration_ms(s.disable_after) between 60000 and 365 * 86400000::bigint, false) then
    perform walhook.refuse('disable_after', 'has to be a duration from 1m to 365d');
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.check_name(s walhook.subscriptions)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if s.name is null then return; end if;
  if length(s.name) not between 1 and 100 or s.name <> btrim(s.name) or s.name ~ '[\x01-\x1f\x7f]' then
    perform walhook.refuse('name', 'has to be 1 to 100 characters, with no control characters and no space at its ends');
  end if;
  if s.name ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    perform walhook.refuse('name', 'has to be told apart from an id');
  end if;
  -- The index is what holds; this says it in a sentence.
  if exists (
    select
    from walhook.subscriptions as o
    where o.name = s.name and coalesce(o.tenant, '') = coalesce(s.tenant, '') and o.id <> s.id
  ) then
    raise exception 'name is taken by another subscription of this tenant' using errcode = 'unique_violation', column = 'name';
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.check_ordering(s walhook.subscriptions)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if s.ordering is null or s.ordering not in ('none', 'key') then
    perform walhook.refuse('ordering', 'has to be none or key');
  end if;
  if s.on_dead is null or s.on_dead not in ('block', 'skip') then
    perform walhook.refuse('on_dead', 'has to be block or skip');
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.check_pace(s walhook.subscriptions)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if s.rate_limit !~ '^[1-9][0-9]{0,5}/[sm]( burst [1-9][0-9]{0,5})?$' then
    perform walhook.refuse('rate_limit', 'has to be a rate like 10/s, 600/m or 10/s burst 50, each number from 1 to 999999');
  end if;
  if s.max_in_flight not between 1 and 10000 then
    perform walhook.refuse('max_in_flight', 'has to be 1 to 10000');
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.check_replay(r walhook.replays, to_url text)
 RETURNS void
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if r.event_types is not null and not walhook.are_event_type_patterns(r.event_types) then
    perform walhook.refuse('event_types', 'has to be 1 to 100 patterns like order.created, order.* or *');
  end if;
  if r.created_from >= r.created_to then
    perform walhook.refuse('created_from', 'has to be before created_to');
  end if;
  if r.kind = 'backfill' then
    if r.subscription_id is null then
      perform walhook.refuse('subscription_id', 'has to say who gets the backfill');
    end if;
    if to_url is not null then
      perform walhook.refuse('to_url', 'cannot be filled from the outbox: make a subscription with that URL, and backfill it');
    end if;
    if cardinality(r.states) > 0 then
      perform walhook.refuse('states', 'are of deliveries that there are, and a backfill makes new ones');
    end if;
    if num_nonnulls(r.statuses, r.error) > 0 then
      perform walhook.refuse(case when r.error is null then 'statuses' else 'error' end, 'is of attempts, and a backfill has made none');
    end if;
    return;
  end if;
  if cardinality(r.states) = 0 or not r.states <@ '{dead,delivered,cancelled}' then
    perform walhook.refuse('states', 'has to be some of dead, delivered and cancelled: what is pending is on its way');
  end if;
  if r.subscription_id is null and r.states <> '{dead}' then
    perform walhook.refuse('subscription_id', 'has to be one subscription, unless only dead letters are sent again');
  end if;
  if r.subscription_id is null and to_url is not null then
    perform walhook.refuse('subscription_id', 'has to say whose events go to to_url');
  end if;
  if to_url is not null and not walhook.is_endpoint_url(to_url) then
    perform walhook.refuse('to_url', 'has to be an http or https URL of at most 2048 characters');
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.check_request(s walhook.subscriptions)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  own_names constant text[] := walhook.own_header_names(s);
  header record;
  reason text;
begin
  if s.method is null or s.method not in ('POST', 'PUT') then
    perform walhook.refuse('method', 'has to be POST or PUT');
  end if;
  if s.body is null or s.body not in ('envelope', 'payload', 'cloudevents', 'cloudevents-binary', 'cloudevents-batch') then
    perform walhook.refuse('body', 'has to be envelope, payload, cloudevents, cloudevents-binary or cloudevents-batch');
  end if;
  if s.body = 'cloudevents-binary' and s.batch is not null then
    perform walhook.refuse('batch', 'cannot be with body cloudevents-binary, whose attributes are headers of one event: choose cloudevents-batch');
  end if;
  if s.header_prefix !~ '^[A-Za-z][A-Za-z0-9-]{0,38}-$' then
    perform walhook.refuse('header_prefix', 'has to be letters, digits and hyphens that end with a hyphen, like X-Acme-, at most 40');
  end if;
  if s.body = 'cloudevents-binary' and lower(s.header_prefix) = 'ce-' then
    perform walhook.refuse('header_prefix', 'cannot be ce- with body cloudevents-binary, whose attributes have those names');
  end if;
  if s.headers is null or jsonb_typeof(s.headers) <> 'object' then
    perform walhook.refuse('headers', 'has to be an object of texts like {"x-team":"billing"}');
  end if;
  if s.forward_headers is null or array_position(s.forward_headers, null) is not null then
    perform walhook.refuse('forward_headers', 'has to be a list of names');
  end if;
  for header in
    select 'headers' as setting, h.key as name, h.value from jsonb_each(s.headers) as h
    union all
    select 'forward_headers', f.name, null from unnest(s.forward_headers) as f (name)
  loop
    if not walhook.is_header_name(header.name) then
      perform walhook.refuse(header.setting, 'has a name that is none: letters, digits and hyphens, at most 128');
    end if;
    reason := coalesce(
      walhook.reserved_header(header.name),
      case
        when lower(header.name) = any (own_names) then 'one of Walhook''s own headers has that name here'
        when starts_with(lower(header.name), lower(s.header_prefix)) then 'names that begin with header_prefix are Walhook''s own'
        when s.body = 'cloudevents-binary' and lower(header.name) like 'ce-%' then 'names that begin so are CloudEvents attributes'
        when header.setting = 'forward_headers' and lower(header.name) = 'user-agent' then 'an event does not choose it'
      end
    );
    if reason is not null then
      perform walhook.refuse(header.setting, format('cannot have %s: %s', header.name, reason));
    end if;
    if header.setting = 'headers'
      and (jsonb_typeof(header.value) <> 'string' or not walhook.is_header_value(header.value #>> '{}'))
    then
      perform walhook.refuse('headers', format('needs for %s a text of printable ASCII characters, with no space at its ends', header.name));
    end if;
  end loop;
  if (select count(*) > count(distinct lower(name)) from jsonb_object_keys(s.headers) as name) then
    perform walhook.refuse('headers', 'has a name twice, once in capitals and once not');
  end if;
  if (select count(*) > count(distinct lower(name)) from unnest(s.forward_headers) as name) then
    perform walhook.refuse('forward_headers', 'has a name twice');
  end if;
  if (select count(*) > 50 or sum(length(key) + length(value) + 4) > 8192 from jsonb_each_text(s.headers)) then
    perform walhook.refuse('headers', 'has to be at most 50 headers, and 8 KiB with their names');
  end if;
  if cardinality(s.forward_headers) > 50 then
    perform walhook.refuse('forward_headers', 'has to be at most 50 names');
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.check_retries(s walhook.subscriptions)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if not coalesce(walhook.duration_ms(s.timeout) between 100 and 30000, false) then
    perform walhook.refuse('timeout', 'has to be a duration from 100ms to 30s');
  end if;
  if s.retry_schedule is null or not walhook.is_retry_schedule(s.retry_schedule) then
    perform walhook.refuse('retry_schedule', 'has to be at most 100 durations like 5s, 10m, 2h or 5d, none longer than 30d');
  end if;
  if s.retry_on is null or s.retry_on not in ('any', 'transient') then
    perform walhook.refuse('retry_on', 'has to be any or transient');
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.check_secrets(s walhook.subscriptions)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  rule constant text := case when 'standard' = any (s.signature)
    then 'has to be whsec_ and the base64 of 24 to 64 bytes'
    else 'has to be 16 to 255 characters, with no control characters and no space at its ends'
  end;
begin
  if not walhook.can_sign(s.secret, s.signature) then
    perform walhook.refuse('secret', rule);
  end if;
  if s.previous_secret is not null and not walhook.can_sign(s.previous_secret, s.signature) then
    perform walhook.refuse('previous_secret', rule);
  end if;
  if not (walhook.is_ed25519_key(s.ed25519_key) or walhook.is_sealed(s.ed25519_key)) then
    perform walhook.refuse('ed25519_key', 'has to be whsk_ and the base64 of 32 or 64 bytes');
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.check_signature(s walhook.subscriptions)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  own_names constant text[] := walhook.own_header_names(s);
  reason text;
begin
  if s.signature is null or cardinality(s.signature) = 0
    or not s.signature <@ '{standard,standard-ed25519,github,stripe,hex,none}'
  then
    perform walhook.refuse('signature', 'has to be one or more of standard, standard-ed25519, github, stripe and hex, or none');
  end if;
  if 'none' = any (s.signature) and cardinality(s.signature) > 1 then
    perform walhook.refuse('signature', 'cannot have none beside others');
  end if;
  if cardinality(s.signature) > (select count(distinct scheme) from unnest(s.signature) as scheme) then
    perform walhook.refuse('signature', 'has one of them twice');
  end if;
  if s.signature_header is not null then
    if not 'hex' = any (s.signature) then
      perform walhook.refuse('signature_header', 'is for signature hex, which is not among these');
    end if;
    if not walhook.is_header_name(s.signature_header) then
      perform walhook.refuse('signature_header', 'has to be letters, digits and hyphens, at most 128');
    end if;
    reason := coalesce(
      walhook.reserved_header(s.signature_header),
      case
        when lower(s.signature_header) = 'user-agent' then 'it says who sends'
        when cardinality(array_positions(own_names, lower(s.signature_header))) > 1
          then 'another of Walhook''s own headers has that name here'
        when s.body = 'cloudevents-binary' and lower(s.signature_header) like 'ce-%'
          then 'names that begin so are CloudEvents attributes'
      end
    );
    if reason is not null then
      perform walhook.refuse('signature_header', format('cannot be %s: %s', s.signature_header, reason));
    end if;
  end if;
  if cardinality(own_names) > (select count(distinct name) from unnest(own_names) as name) then
    perform walhook.refuse('header_prefix', 'gives a header the name of a signature''s: choose another prefix, or a signature_header');
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.check_subscription()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform walhook.check_wish(new);
  perform walhook.check_name(new);
  perform walhook.check_secrets(new);
  perform walhook.check_retries(new);
  perform walhook.check_request(new);
  perform walhook.check_signature(new);
  perform walhook.check_access(new);
  perform walhook.check_batch(new);
  perform walhook.check_ordering(new);
  perform walhook.check_pace(new);
  perform walhook.check_lifetime(new);
  return new;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.check_wish(s walhook.subscriptions)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if s.url is null or not walhook.is_endpoint_url(s.url) then
    perform walhook.refuse('url', 'has to be an http or https URL of at most 2048 characters');
  end if;
  if s.event_types is null or not walhook.are_event_type_patterns(s.event_types) then
    perform walhook.refuse('event_types', 'has to be 1 to 100 patterns like order.created, order.* or *');
  end if;
  if not walhook.is_filter_predicate(s.filter) then
    perform walhook.refuse('filter', 'has to be a predicate like $.amount > 100, not a path that selects something');
  end if;
  if length(s.tenant) not between 1 and 255 then
    perform walhook.refuse('tenant', 'has to be 1 to 255 characters');
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.consent_pause(refusals integer)
 RETURNS interval
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$ select least(interval '1 hour', interval '1 minute' * 2 ^ least(greatest(refusals - 1, 0), 6)) $function$;

CREATE OR REPLACE FUNCTION walhook.continue_replay(id bigint)
 RETURNS walhook.replays
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  r walhook.replays;
begin
  select * into r from walhook.replays as p where p.id = continue_replay.id for update;
  if not found then
    raise exception 'there is no replay %', continue_replay.id using errcode = 'no_data_found';
  end if;
  if r.state = 'done' or r.reason = 'subscription_deleted' then
    perform walhook.refuse('id', format('%s is of a replay that is over (%s)', r.id, coalesce(r.reason, r.state)));
  end if;
  if r.state <> 'running' then
    update walhook.replays as p
    set state = 'running', reason = null, finished_at = null, updated_at = now(), running_since = now(), replayed_before = p.replayed
    where p.id = r.id
    returning p.* into r;
    perform walhook.wake(r.to_subscription_id);
  end if;
  return r;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.count_cancelled(subscription_id uuid, cancelled bigint)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION walhook.count_replay(r walhook.replays, OUT total bigint, OUT first_at timestamp with time zone)
 RETURNS record
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  s walhook.subscriptions;
begin
  if r.kind <> 'backfill' then
    select count(*), min(o.created_at)
    into total, first_at
    from walhook.deliveries as d
    join walhook.outbox as o on o.id = d.event_id
    where d.subscription_id = r.subscription_id and d.state = any (r.states)
      and walhook.is_delivery_asked_for(r, d.last_status, d.last_error)
      and walhook.is_asked_for(r, o) and walhook.is_kind_asked_for(r, null, o.type, o.tenant);
    return;
  end if;
  select * into s from walhook.subscriptions where id = r.subscription_id;
  -- Keys are worked out once for each type and tenant that there is, and not once an event.
  with present as materialized (
    select distinct o.type, o.tenant from walhook.outbox as o where o.created_at >= r.created_from and o.created_at < r.created_to
  ),
  kinds as materialized (
    select p.type, coalesce(p.tenant, '') as tenant from present as p where walhook.is_kind_asked_for(r, s.match_keys, p.type, p.tenant)
  )
  select count(*), min(o.created_at)
  into total, first_at
  from walhook.outbox as o
  join kinds as k on k.type = o.type and k.tenant = coalesce(o.tenant, '')
  where o.created_at >= r.created_from and o.created_at < r.created_to
    and walhook.is_asked_for(r, o)
    and not exists (select from walhook.deliveries as d where d.event_id = o.id and d.subscription_id = r.subscription_id)
    and (s.filter is null or walhook.filter_matches(s.filter, o.payload::text));
end
$function$;

CREATE OR REPLACE FUNCTION walhook.counts_within(period interval, subscription_id uuid, tenant text)
 RETURNS SETOF walhook.delivery_counts
 LANGUAGE sql
 STABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION walhook.create_api_key(name text DEFAULT NULL::text, scope text DEFAULT 'read'::text, tenant text DEFAULT NULL::text, expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone, OUT id uuid, OUT key text)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if length(create_api_key.name) not between 1 and 255 then
    perform walhook.refuse('name', 'has to be 1 to 255 characters');
  end if;
  if create_api_key.scope is null or create_api_key.scope not in ('admin', 'operate', 'read', 'publish') then
    perform walhook.refuse('scope', 'has to be admin, operate, read or publish');
  end if;
  if length(create_api_key.tenant) not between 1 and 255 then
    perform walhook.refuse('tenant', 'has to be 1 to 255 characters');
  end if;
  if create_api_key.expires_at <= clock_timestamp() then
    perform walhook.refuse('expires_at', 'has to be in the future');
  end if;
  key := walhook.new_api_key();
  insert into walhook.api_keys as k (name, prefix, hash, scope, tenant, expires_at)
  values (
    create_api_key.name, left(key, 12), sha256(convert_to(key, 'UTF8')), create_api_key.scope, create_api_key.tenant,
    create_api_key.expires_at
  )
  returning k.id into create_api_key.id;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.create_subscription(options jsonb, secret text DEFAULT NULL::text, OUT id uuid, OUT new_secret text)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  s constant walhook.subscriptions := walhook.read_subscription(null, options);
begin
  select made.id, made.secret
  into create_subscription.id, new_secret
  from walhook.subscribe(
    url => s.url, event_types => coalesce(s.event_types, '{*}'), tenant => s.tenant,
    filter => s.filter, description => s.description, secret => create_subscription.secret, timeout => s.timeout,
    retry_schedule => s.retry_schedule, retry_on => s.retry_on, method => s.method, body => s.body, headers => s.headers,
    forward_headers => s.forward_headers, signature => s.signature, signature_header => s.signature_header,
    header_prefix => s.header_prefix, ed25519_key => s.ed25519_key, auth => s.auth, tls => s.tls, handshake => s.handshake,
    batch => s.batch, ordering => s.ordering, on_dead => s.on_dead, rate_limit => s.rate_limit,
    max_in_flight => s.max_in_flight, ttl => s.ttl, disable_after => s.disable_after, name => s.name
  ) as made;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.credentials_rule(value text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  members constant jsonb := walhook.text_members(value);
  needed text[];
  allowed text[];
begin
  if members is null then
    return 'has to be a JSON object of texts like {"type":"bearer","token":"…"}';
  end if;
  case members ->> 'type'
    when 'basic' then
      needed := '{type,username,password}';
    when 'bearer' then
      needed := '{type,token}';
    when 'oauth2' then
      needed := '{type,token_url,client_id,client_secret}';
      allowed := '{scope,audience,client_auth}';
    else
      return 'has to have a type, which is basic, bearer or oauth2';
  end case;
  if not members ?& needed or members - (needed || allowed) <> '{}' then
    return 'of type ' || (members ->> 'type') || ' has to have ' || array_to_string(needed, ', ')
      || coalesce(', if wished ' || array_to_string(allowed, ', '), '') || ', and nothing else';
  end if;
  if exists (select from jsonb_each_text(members) as m (name, member) where m.member ~ '[\u0001-\u001f\u007f-\u009f]') then
    return 'has to be without control characters';
  end if;
  if members ->> 'client_id' = '' or members ->> 'client_secret' = '' then
    return 'has to have a client_id and a client_secret that are not empty';
  end if;
  if strpos(members ->> 'username', ':') > 0 then
    return 'has to have a username without a colon: basic authentication cannot carry one';
  end if;
  if members ->> 'token' !~ '^[\u0021-\u007e]+$' then
    return 'has to have a token of visible ASCII characters, without spaces';
  end if;
  if not walhook.is_endpoint_url(members ->> 'token_url') then
    return 'has to have a token_url that is an http or https URL of at most 2048 characters';
  end if;
  if members ->> 'client_auth' not in ('basic', 'post') then
    return 'has to have a client_auth that is basic or post';
  end if;
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.default_of_option(name text)
 RETURNS jsonb
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  expression constant text := (
    select pg_get_expr(d.adbin, d.adrelid)
    from pg_attribute as a
    join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = 'walhook.subscriptions'::regclass and a.attname = default_of_option.name
  );
  value jsonb := 'null';
begin
  if expression is not null then execute 'select to_jsonb(' || expression || ')' into value; end if;
  return value;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.delete_subscription(id uuid, version text DEFAULT NULL::text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  s walhook.subscriptions;
begin
  select * into s from walhook.subscriptions as d where d.id = delete_subscription.id for update;
  if not found then
    raise exception 'there is no subscription %', delete_subscription.id using errcode = 'no_data_found';
  end if;
  if version <> walhook.subscription_version(s) then
    raise exception 'subscription % was changed meanwhile', delete_subscription.id using errcode = 'WH412';
  end if;
  delete from walhook.subscriptions as d where d.id = delete_subscription.id;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.deliver_at(deliver_after text, created_at timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  longest constant interval := interval '365 days';
  delay_ms constant bigint := walhook.duration_ms(deliver_after);
begin
  if delay_ms is not null then
    return created_at + least(delay_ms * interval '1 millisecond', longest);
  end if;
  if deliver_after ~* '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$' then
    return least(deliver_after::timestamptz, created_at + longest);
  end if;
  return null;
exception
  when data_exception then
    return null;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.delivery_id_at(at timestamp with time zone)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  low bigint := coalesce((select min(d.id) from walhook.deliveries as d), 1);
  high bigint := coalesce((select max(d.id) from walhook.deliveries as d), 0) + 1;
  middle bigint;
begin
  while low < high loop
    middle := low + (high - low) / 2;
    if (select d.created_at from walhook.deliveries as d where d.id >= middle order by d.id limit 1) >= delivery_id_at.at then
      high := middle;
    else
      low := middle + 1;
    end if;
  end loop;
  return low;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.drop_attempt_partitions(keep interval)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '2s'
AS $function$
declare
  old_partition record;
  dropped integer := 0;
begin
  for old_partition in
    select c.relname
    from pg_inherits as i
    join pg_class as c on c.oid = i.inhrelid
    where i.inhparent = 'walhook.attempts'::regclass
      and c.relname ~ '^attempts_\d{4}_\d{2}_\d{2}$'
      and to_date(substring(c.relname from '\d{4}_\d{2}_\d{2}$'), 'YYYY_MM_DD') + 1
          <= ((now() - keep) at time zone 'utc')::date
  loop
    execute format('drop table walhook.%I', old_partition.relname);
    dropped := dropped + 1;
  end loop;
  return dropped;
exception
  when lock_not_available then
    return 0;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.due_at(headers json, created_at timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  -- Nearly all: they pay for no block that catches.
  if headers::text not like '%deliver_after%' then return null; end if;
  begin
    return walhook.deliver_at(headers ->> 'deliver_after', created_at);
  exception
    -- json holds what no text can (\u0000, half a surrogate), in this header or in any other: reading one reads them all.
    when data_exception then
      return null;
  end;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.duration_ms(duration text)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case
    when duration ~ '^[0-9]{1,9}(ms|s|m|h|d)$' then
      substring(duration from '^[0-9]+')::bigint
      * case substring(duration from '[a-z]+$')
          when 'ms' then 1 when 's' then 1000 when 'm' then 60000 when 'h' then 3600000 else 86400000
        end
  end
$function$;

CREATE OR REPLACE FUNCTION walhook.emit(type text, payload json, key text DEFAULT NULL::text, tenant text DEFAULT NULL::text, headers json DEFAULT '{}'::json, id uuid DEFAULT NULL::uuid)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  event_id constant uuid := coalesce(emit.id, walhook.uuidv7());
  wrong constant text := case
    when emit.type is null or not walhook.is_event_type(emit.type) then 'type has to be a dotted name like order.created'
    when length(emit.key) not between 1 and 1000 then 'key has to be 1 to 1000 characters'
    when length(emit.tenant) not between 1 and 255 then 'tenant has to be 1 to 255 characters'
    when emit.payload is null then 'payload is missing'
    when octet_length(emit.payload::text) > 1048576 then 'payload has to be at most 1 MiB'
    when emit.headers is null or json_typeof(emit.headers) <> 'object' or octet_length(emit.headers::text) > 16384
      then 'headers has to be an object of at most 16 KiB'
  end;
begin
  -- No table's constraints refuse it here, and nobody could tell the caller later.
  if wrong is not null then
    raise exception '%', wrong using errcode = 'check_violation';
  end if;
  perform pg_logical_emit_message(
    true,
    'walhook',
    json_build_object(
      'id', event_id, 'type', emit.type, 'key', emit.key, 'tenant', emit.tenant, 'headers', emit.headers,
      'payload', emit.payload
    )::text
  );
  return event_id;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.end_replays_of_subscription()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update walhook.replays
  set state = 'failed', reason = 'subscription_deleted', updated_at = now(), finished_at = now()
  where (subscription_id = old.id or to_subscription_id = old.id) and state in ('running', 'stopped');
  return old;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.ensure_attempt_partitions(days_ahead integer DEFAULT 7)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '2s'
AS $function$
declare
  today constant date := (now() at time zone 'utc')::date;
  day date;
  made integer := 0;
begin
  -- Two replicas that start together would both find a day missing.
  perform pg_advisory_xact_lock(hashtextextended('walhook.ensure_attempt_partitions', 0));
  for offset_days in -1 .. days_ahead loop
    day := today + offset_days;
    if to_regclass(format('walhook.attempts_%s', to_char(day, 'YYYY_MM_DD'))) is null then
      execute format(
        -- Written once and dropped whole: vacuum has nothing to do there. (It still comes where updates leave dead rows.)
        'create table walhook.%I partition of walhook.attempts for values from (%L) to (%L)
         with (autovacuum_vacuum_insert_threshold = -1)',
        'attempts_' || to_char(day, 'YYYY_MM_DD'),
        day::text || ' 00:00:00+00',
        (day + 1)::text || ' 00:00:00+00'
      );
      made := made + 1;
    end if;
  end loop;
  return made;
exception
  when lock_not_available then
    return 0;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.event_match_keys(type text, tenant text)
 RETURNS text[]
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
AS $function$
declare
  pattern text := type;
  prefix text := type;
  keys text[] := '{}';
begin
  if type is null or type = 'walhook.test' then
    return keys;
  end if;
  loop
    keys := keys || (':' || pattern);
    if tenant is not null then
      keys := keys || (tenant || ':' || pattern);
    end if;
    exit when pattern = '*';
    prefix := left(prefix, -length(split_part(prefix, '.', -1)) - 1);
    pattern := case when prefix = '' then '*' else prefix || '.*' end;
  end loop;
  return keys;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.expunge(event_id uuid, OUT expunged_at timestamp with time zone, OUT cancelled integer, OUT response_bodies integer, OUT malformed integer)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  is_known boolean;
  whose uuid;
  how_many bigint;
begin
  update walhook.outbox as o
  set payload = 'null', headers = '{}', expunged_at = coalesce(o.expunged_at, now())
  where o.id = expunge.event_id
  returning o.expunged_at into expunge.expunged_at;
  is_known := found;
  -- In the order of ids, as replays lock them.
  perform from walhook.deliveries as d where d.event_id = expunge.event_id order by d.id for update;
  is_known := is_known or found;
  cancelled := 0;
  for whose, how_many in
    with ended as (
      update walhook.deliveries as d
      set state = 'cancelled', last_error = 'expunged', next_attempt_at = null, scheduled = false, finished_at = now()
      where d.event_id = expunge.event_id and d.state = 'pending'
      returning d.subscription_id
    )
    select e.subscription_id, count(*) from ended as e group by e.subscription_id
  loop
    perform walhook.count_cancelled(whose, how_many);
    -- Whoever holds one of them in memory has what was to be removed.
    perform walhook.wake(whose);
    cancelled := cancelled + how_many;
  end loop;
  update walhook.attempts as a
  set response_body = null
  from walhook.deliveries as d
  where d.event_id = expunge.event_id and a.delivery_id = d.id and a.response_body is not null;
  get diagnostics response_bodies = row_count;
  -- Within a payload the quotes would be escaped.
  update walhook.malformed as m
  set raw = jsonb_build_object('id', expunge.event_id, 'expunged_at', now())::text
  where position(format('"id":"%s"', expunge.event_id) in m.raw) > 0;
  get diagnostics malformed = row_count;
  if not is_known and malformed = 0 then
    raise exception 'there is no event %', expunge.event_id using errcode = 'no_data_found';
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.filter_matches(filter jsonpath, payload text)
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
AS $function$
begin
  -- @@ swallows the path's own errors; the cast can still fail, on \u0000 for one, and must not take a batch with it.
  return coalesce(payload::jsonb @@ filter, false);
exception
  when data_exception or program_limit_exceeded or statement_too_complex then
    return false;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.has_room_for_replay(subscription_id uuid)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select count(*) < 1000
  from (
    select
    from walhook.deliveries as d
    where d.subscription_id = has_room_for_replay.subscription_id
      and d.state = 'pending' and d.next_attempt_at <= now() and not d.scheduled
    limit 1000
  ) as waiting
$function$;

CREATE OR REPLACE FUNCTION walhook.is_asked_for(r walhook.replays, event walhook.outbox)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
  select event.expunged_at is null
     -- A test is somebody's own, and of its moment.
     and event.type <> 'walhook.test'
     and event.created_at >= r.created_from and event.created_at < r.created_to
     and (r.key is null or event.key = r.key)
     and (r.tenant is null or event.tenant = r.tenant)
$function$;

CREATE OR REPLACE FUNCTION walhook.is_delivery_asked_for(r walhook.replays, last_status integer, last_error text)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$ select (r.statuses is null or last_status <@ r.statuses) and (r.error is null or last_error = r.error) $function$;

CREATE OR REPLACE FUNCTION walhook.is_ed25519_key(key text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$ select key ~ '^whsk_([A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==)$' $function$;

CREATE OR REPLACE FUNCTION walhook.is_endpoint_url(url text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$ select url ~* '^https?://[^/?#[:space:]]' and length(url) <= 2048 $function$;

CREATE OR REPLACE FUNCTION walhook.is_event_type(type text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$ select type ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' and length(type) <= 255 $function$;

CREATE OR REPLACE FUNCTION walhook.is_event_type_pattern(pattern text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$ select pattern = '*' or walhook.is_event_type(regexp_replace(pattern, '\.\*$', '')) $function$;

CREATE OR REPLACE FUNCTION walhook.is_filter_predicate(filter jsonpath)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$ select filter::text ~ '^(strict )?(\(|!|exists)' $function$;

CREATE OR REPLACE FUNCTION walhook.is_header_name(name text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$ select name ~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]{1,128}$' $function$;

CREATE OR REPLACE FUNCTION walhook.is_header_value(value text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$ select value ~ '^[!-~]([ -~]*[!-~])?$' $function$;

CREATE OR REPLACE FUNCTION walhook.is_kind_asked_for(r walhook.replays, match_keys text[], type text, tenant text)
 RETURNS boolean
 LANGUAGE sql
 STABLE
AS $function$
  select (r.event_types is null or walhook.event_match_keys(type, null) && walhook.subscription_match_keys(null, r.event_types))
     -- What has a delivery was matched once.
     and (r.kind <> 'backfill' or match_keys && walhook.event_match_keys(type, tenant))
$function$;

CREATE OR REPLACE FUNCTION walhook.is_operator_event_wanted(type text)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select exists (
    select
    from walhook.subscriptions as s
    where s.match_keys && array_remove(walhook.event_match_keys(is_operator_event_wanted.type, 'walhook'), ':*')
  )
$function$;

CREATE OR REPLACE FUNCTION walhook.is_replica_here(replica uuid)
 RETURNS boolean
 LANGUAGE sql
 STABLE STRICT
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select exists (
    select
    from pg_stat_activity as a
    where a.datname = current_database() and a.application_name = 'walhook replica ' || replica
  )
$function$;

CREATE OR REPLACE FUNCTION walhook.is_retry_schedule(delays text[])
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select cardinality(delays) <= 100
     and coalesce((select bool_and(coalesce(walhook.duration_ms(d) <= 30 * 86400000::bigint, false)) from unnest(delays) as d), true)
$function$;

CREATE OR REPLACE FUNCTION walhook.is_sealed(secret text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$ select secret ~ '^enc:v1:[0-9a-f]{8}:[A-Za-z0-9+/]{0,4}:[A-Za-z0-9+/]{40,}={0,2}$' $function$;

CREATE OR REPLACE FUNCTION walhook.is_signing_secret(secret text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select case
    when secret ~ '^whsec_[A-Za-z0-9+/]+=*$' and length(secret) % 4 = 2
    then octet_length(decode(substring(secret from 7), 'base64')) between 24 and 64
    else false
  end
$function$;

CREATE OR REPLACE FUNCTION walhook.latency_bound(bucket integer)
 RETURNS double precision
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select power(2::double precision, bucket / 2.0::double precision)
$function$;

CREATE OR REPLACE FUNCTION walhook.let_key_go_on()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if tg_op = 'UPDATE' then
    if new.state = 'pending' or new.state <> 'dead' and new.holds_key_until = 'infinity' then
      -- Put back at its place, it is the first again; and only what is dead blocks.
      if new.holds_key_until is not null then
        update walhook.deliveries as d set holds_key_until = null where d.id = new.id;
      end if;
      return null;
    end if;
    if new.state = 'dead' and old.state = 'pending' and exists (
      select from walhook.subscriptions as s
      where s.id = new.subscription_id and s.ordering = 'key' and s.on_dead = 'block'
    ) then
      update walhook.deliveries as d set holds_key_until = 'infinity' where d.id = new.id and d.state = 'dead';
      return null;
    end if;
    if new.holds_key_until = 'infinity' then
      return null;
    end if;
  end if;

  -- It keeps its age: the longest waiting comes first.
  update walhook.deliveries as d
  set next_attempt_at = least(d.created_at, now())
  where d.state = 'pending'
    and d.next_attempt_at = 'infinity'
    and d.id = (
      select behind.id
      from walhook.deliveries as behind
      where behind.subscription_id = old.subscription_id
        and behind.order_key = old.order_key
        and behind.state = 'pending'
        and behind.next_attempt_at = 'infinity'
      order by behind.id
      limit 1
    );
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.make_due(delivery_id bigint)
 RETURNS walhook.deliveries
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  made_due walhook.deliveries;
begin
  if exists (
    select
    from walhook.deliveries as d
    join walhook.outbox as o on o.id = d.event_id
    where d.id = make_due.delivery_id and o.expunged_at is not null
  ) then
    perform walhook.refuse('delivery_id', format('%s cannot be sent again: its event was expunged', make_due.delivery_id));
  end if;
  update walhook.deliveries as d
  set state = 'pending',
      schedule_from = d.attempts,
      -- One that a process holds is on its way already: taking it over would send it twice.
      next_attempt_at = case when d.next_attempt_at > now() and not d.scheduled then d.next_attempt_at else now() end,
      scheduled = false,
      finished_at = null,
      -- By itself, if it was one of a batch.
      batch_id = null,
      batch_size = null
  where d.id = make_due.delivery_id
  returning d.* into made_due;
  if not found then
    raise exception 'there is no delivery %', make_due.delivery_id using errcode = 'no_data_found';
  end if;
  return made_due;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.masked_headers(headers jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select coalesce(
    jsonb_object_agg(
      h.key, case when h.key ~* '(auth|secret|token|passw|key|cookie|credential|session|signature)' then '"…"' else h.value end
    ),
    '{}'
  )
  from jsonb_each(headers) as h
$function$;

CREATE OR REPLACE FUNCTION walhook.matches(event_id uuid, tenant text DEFAULT NULL::text, max_rows integer DEFAULT 100)
 RETURNS TABLE(subscription_id uuid, matches boolean, reason text, url text, subscription_tenant text, state text, delivery_id bigint, delivery_state text)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  e walhook.outbox;
  event_age integer;
  is_recorded boolean;
  keys text[];
  patterns text[];
begin
  select o.* into e from walhook.outbox as o where o.id = matches.event_id;
  if not found then
    raise exception 'the outbox has no event %', matches.event_id using errcode = 'no_data_found';
  end if;
  select age(o.xmin) into event_age from walhook.outbox as o where o.id = matches.event_id;
  -- Whoever was to get it has it: a subscription that matches now and has no delivery was not there, or not so.
  is_recorded := exists (select from walhook.deliveries as d where d.event_id = matches.event_id)
    or coalesce(event_age > (select min(walhook.xid_age(r.audited_to)) from walhook.relay as r), false);
  keys := walhook.event_match_keys(e.type, e.tenant);
  patterns := (select array_agg(substr(k, 2)) from unnest(walhook.event_match_keys(e.type, null)) as k);
  return query
    with delivered as (
      select d.subscription_id, d.id, d.state from walhook.deliveries as d where d.event_id = matches.event_id
    ),
    -- A filter is asked of so many; with a hundred thousand of them it would take as many seconds as there are MiB in the payload.
    meant as (
      select s.id
      from walhook.subscriptions as s
      where s.match_keys && keys
        and (matches.tenant is null or s.tenant = matches.tenant)
        and not exists (select from delivered as d where d.subscription_id = s.id)
      limit 10 * max_rows
    ),
    judged as (
      select
        s.id,
        case
          when exists (select from walhook.dead_events as x where x.event_id = e.id) then 'the catalog refused it'
          when event_age > walhook.xid_age(s.active_from_xid) then 'made after the event'
          when s.filter is not null and e.expunged_at is not null then 'expunged'
          when s.filter is not null and not walhook.filter_matches(s.filter, e.payload::text) then 'filter'
          when is_recorded then 'made or changed after the event'
        end as why
      from meant
      join walhook.subscriptions as s on s.id = meant.id
    ),
    -- What its own tenant might have expected, and then what would have matched but for the tenant.
    near as (
      select s.id, 'event type' as why
      from walhook.subscriptions as s
      where coalesce(s.tenant = e.tenant, s.tenant is null)
        and not s.match_keys && keys
        and (matches.tenant is null or s.tenant = matches.tenant)
      limit max_rows
    ),
    foreign_ones as (
      select s.id, 'tenant' as why
      from walhook.subscriptions as s
      where s.tenant is not null and s.tenant is distinct from e.tenant
        and s.event_types && patterns
        and matches.tenant is null
      limit max_rows
    ),
    told as (
      select 1 as rank, d.subscription_id as id, true as yes, null::text as why from delivered as d
      union all
      select case when j.why is null then 2 else 3 end, j.id, j.why is null, j.why from judged as j
      union all
      select 4, n.id, false, n.why from near as n
      union all
      select 5, f.id, false, f.why from foreign_ones as f
    )
    select t.id, t.yes, t.why, s.url, s.tenant, s.state, d.id, d.state
    from told as t
    left join walhook.subscriptions as s on s.id = t.id
    left join delivered as d on d.subscription_id = t.id
    where matches.tenant is null or s.tenant = matches.tenant
    order by t.rank, t.id
    limit max_rows;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.matching_subscriptions(type text, tenant text, payload json)
 RETURNS TABLE(subscription_id uuid, state text, active_from_lsn pg_lsn, ordering text)
 LANGUAGE sql
 STABLE
AS $function$ select * from walhook.matching_subscriptions(type, tenant, payload::text) $function$;

CREATE OR REPLACE FUNCTION walhook.matching_subscriptions(type text, tenant text, payload text)
 RETURNS TABLE(subscription_id uuid, state text, active_from_lsn pg_lsn, ordering text)
 LANGUAGE sql
 STABLE
AS $function$
  select s.id, s.state, s.active_from_lsn, s.ordering
  from (select walhook.event_match_keys(type, tenant) as keys offset 0) as e
  join walhook.subscriptions as s on s.match_keys && e.keys
  where s.filter is null or walhook.filter_matches(s.filter, payload)
$function$;

CREATE OR REPLACE FUNCTION walhook.new_api_key()
 RETURNS text
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select 'whk_' || translate(
    rtrim(encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64'), '='), '+/', '-_'
  )
$function$;

CREATE OR REPLACE FUNCTION walhook.new_ed25519_key()
 RETURNS text
 LANGUAGE sql
AS $function$ select 'whsk_' || encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64') $function$;

CREATE OR REPLACE FUNCTION walhook.new_secret()
 RETURNS text
 LANGUAGE sql
AS $function$ select 'whsec_' || encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64') $function$;

CREATE OR REPLACE FUNCTION walhook.order_key(ordering text, key text)
 RETURNS uuid
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$ select case when ordering = 'key' then left(encode(sha256(convert_to(key, 'UTF8')), 'hex'), 32)::uuid end $function$;

CREATE OR REPLACE FUNCTION walhook.overlap_of(duration text)
 RETURNS interval
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  longest constant bigint := 365 * 86400000::bigint;
  ms constant bigint := walhook.duration_ms(duration);
begin
  if duration is not null and not coalesce(ms between 0 and longest, false) then
    perform walhook.refuse('overlap', 'has to be a duration from 0s to 365d');
  end if;
  return coalesce(ms * interval '1 millisecond', interval '24 hours');
end
$function$;

CREATE OR REPLACE FUNCTION walhook.own_header_names(s walhook.subscriptions)
 RETURNS text[]
 LANGUAGE sql
 IMMUTABLE
AS $function$
  select array_agg(lower(name))
  from (
    select unnest(
      case when s.header_prefix is null
        then '{webhook-id,webhook-timestamp,walhook-event-type,walhook-attempt}'::text[]
        else array[
          s.header_prefix || 'Id', s.header_prefix || 'Event-Id', s.header_prefix || 'Timestamp',
          s.header_prefix || 'Event-Type', s.header_prefix || 'Event', s.header_prefix || 'Attempt'
        ]
      end
    )
    union all
    select coalesce(s.header_prefix, 'webhook-') || 'Signature' where s.signature && '{standard,standard-ed25519}'
    union all
    select 'X-Hub-Signature-256' where 'github' = any (s.signature)
    union all
    select 'Stripe-Signature' where 'stripe' = any (s.signature)
    union all
    select coalesce(s.signature_header, 'X-Webhook-Signature') where 'hex' = any (s.signature)
  ) as names (name)
$function$;

CREATE OR REPLACE FUNCTION walhook.pause(id uuid, reason text DEFAULT NULL::text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update walhook.subscriptions as s set state = 'paused', state_reason = reason where s.id = pause.id;
  if not found then
    raise exception 'there is no subscription %', pause.id using errcode = 'no_data_found';
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.percentile_ms(buckets bigint[], share double precision)
 RETURNS double precision
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION walhook.publish(type text, payload json, key text DEFAULT NULL::text, tenant text DEFAULT NULL::text, headers json DEFAULT '{}'::json, id uuid DEFAULT NULL::uuid)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  -- Made here and not by "returning": an application's role may insert into the outbox and not read it.
  event_id constant uuid := coalesce(publish.id, walhook.uuidv7());
begin
  insert into walhook.outbox (id, type, key, tenant, payload, headers)
  values (event_id, publish.type, publish.key, publish.tenant, publish.payload, publish.headers);
  return event_id;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.read_filter(filter text)
 RETURNS jsonpath
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  path jsonpath;
begin
  begin
    path := filter::jsonpath;
  exception
    when data_exception or syntax_error or program_limit_exceeded then
      perform walhook.refuse('filter', 'cannot be read: ' || sqlerrm);
  end;
  if not walhook.is_filter_predicate(path) then
    perform walhook.refuse('filter', 'has to be a predicate like $.amount > 100, not a path that selects something');
  end if;
  return path;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.read_subscription(base walhook.subscriptions, options jsonb)
 RETURNS walhook.subscriptions
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  option record;
begin
  if jsonb_typeof(options) is distinct from 'object' then
    perform walhook.refuse('options', 'has to be an object like {"timeout":"5s"}');
  end if;
  for option in select o.key as name, o.value from jsonb_each(options) as o order by o.key loop
    if option.name <> all (walhook.subscription_options()) then
      perform walhook.refuse(option.name, 'is no option of a subscription');
    end if;
    begin
      base := jsonb_populate_record(base, jsonb_build_object(option.name, option.value));
    exception
      -- The message alone: the detail would quote the value.
      when data_exception or syntax_error or datatype_mismatch or program_limit_exceeded then
        perform walhook.refuse(option.name, 'cannot be read: ' || sqlerrm);
    end;
    if option.name in ('ed25519_key', 'auth', 'tls') and option.value #>> '{}' like 'enc:%' then
      perform walhook.refuse(option.name, 'has to be plain: Walhook seals it');
    end if;
  end loop;
  return base;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.refuse(setting text, rule text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  raise exception '% %', setting, rule using errcode = 'invalid_parameter_value', column = setting;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.release_event(event_id uuid)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  dead walhook.dead_events;
  whose uuid[];
begin
  delete from walhook.dead_events as d where d.event_id = release_event.event_id returning d.* into dead;
  if not found then
    raise exception 'there is no dead event %', release_event.event_id using errcode = 'no_data_found';
  end if;
  if not exists (select from walhook.outbox as o where o.id = dead.event_id and o.expunged_at is null) then
    raise exception 'the outbox does not have event % any more, or it was expunged', dead.event_id using errcode = 'no_data_found';
  end if;
  -- One that is due later has no job, and is found when it is due even so.
  with made as (
    insert into walhook.deliveries (event_id, subscription_id, order_key, next_attempt_at, scheduled)
    select o.id, m.subscription_id, walhook.order_key(m.ordering, o.key), greatest(now(), due.at), coalesce(due.at > now(), false)
    from walhook.outbox as o
    cross join lateral walhook.due_at(o.headers, o.created_at) as due (at)
    cross join lateral walhook.matching_subscriptions(o.type, o.tenant, o.payload::text) as m
    join walhook.subscriptions as s on s.id = m.subscription_id
    where o.id = dead.event_id
      -- As the fan-out would have had it, or the search after a gap: releasing makes nobody an owner of what came before.
      and case
        when dead.lsn is not null then m.active_from_lsn <= dead.lsn
        else age(o.xmin) <= walhook.xid_age(s.active_from_xid)
      end
    order by m.subscription_id
    on conflict on constraint deliveries_event_id_subscription_id_key do nothing
    returning subscription_id
  )
  select array_agg(m.subscription_id) into whose from made as m;
  perform walhook.wake(w.id) from unnest(whose) as w (id);
  return coalesce(cardinality(whose), 0);
end
$function$;

CREATE OR REPLACE FUNCTION walhook.release_key(delivery_id bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  whose uuid;
begin
  update walhook.deliveries as d
  set holds_key_until = null
  where d.id = release_key.delivery_id and d.holds_key_until = 'infinity'
  returning d.subscription_id into whose;
  if not found then
    raise exception 'delivery % blocks no key', release_key.delivery_id using errcode = 'no_data_found';
  end if;
  perform walhook.wake(whose);
  return release_key.delivery_id;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.release_key(subscription_id uuid, key text)
 RETURNS SETOF bigint
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform walhook.wake(release_key.subscription_id);
  return query
    update walhook.deliveries as d
    set holds_key_until = null
    where d.subscription_id = release_key.subscription_id
      and d.order_key = walhook.order_key('key', release_key.key)
      and d.holds_key_until = 'infinity'
    returning d.id;
  if not found then
    raise exception 'no dead delivery blocks key % of subscription %', quote_literal(release_key.key), release_key.subscription_id
      using errcode = 'no_data_found';
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.replay(subscription_id uuid DEFAULT NULL::uuid, event_types text[] DEFAULT NULL::text[], created_from timestamp with time zone DEFAULT NULL::timestamp with time zone, created_to timestamp with time zone DEFAULT NULL::timestamp with time zone, states text[] DEFAULT NULL::text[], key text DEFAULT NULL::text, tenant text DEFAULT NULL::text, to_url text DEFAULT NULL::text, backfill boolean DEFAULT false, dry_run boolean DEFAULT false, statuses int4range DEFAULT NULL::int4range, error text DEFAULT NULL::text)
 RETURNS SETOF walhook.replays
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  asked walhook.replays;
  made walhook.replays;
  whose uuid;
begin
  asked.kind := case when backfill then 'backfill' when to_url is not null then 'copy' else 'resend' end;
  asked.state := 'running';
  asked.subscription_id := replay.subscription_id;
  asked.states := coalesce(replay.states, case when backfill then '{}'::text[] else '{dead}' end);
  asked.event_types := replay.event_types;
  asked.key := replay.key;
  asked.tenant := replay.tenant;
  asked.statuses := replay.statuses;
  asked.error := replay.error;
  asked.created_from := coalesce(replay.created_from, '-infinity');
  -- What is younger than the wish comes over the log.
  asked.created_to := case
    when backfill then least(coalesce(replay.created_to, 'infinity'), clock_timestamp())
    else coalesce(replay.created_to, 'infinity')
  end;
  perform walhook.check_replay(asked, to_url);
  if not dry_run and num_nonnulls(
    replay.subscription_id, replay.event_types, replay.created_from, replay.created_to, replay.key, replay.tenant, replay.statuses,
    replay.error
  ) = 0 then
    perform walhook.refuse('subscription_id', 'or another limit has to be given; for every dead letter there is: created_from => ''-infinity''');
  end if;
  if replay.subscription_id is not null
    and not exists (select from walhook.subscriptions as s where s.id = replay.subscription_id)
  then
    raise exception 'there is no subscription %', replay.subscription_id using errcode = 'no_data_found';
  end if;

  asked.last_id := coalesce((select max(d.id) from walhook.deliveries as d), 0);
  for whose in
    select s.id
    from walhook.subscriptions as s
    where case
      when replay.subscription_id is not null then s.id = replay.subscription_id
      -- One of another tenant gets none of this tenant's events.
      else coalesce(s.tenant = replay.tenant, true)
        and exists (select from walhook.deliveries as d where d.subscription_id = s.id and d.state = 'dead')
    end
    order by s.id
  loop
    asked.subscription_id := whose;
    asked.to_subscription_id := whose;
    select c.total, c.first_at into asked.total, asked.after_at from walhook.count_replay(asked) as c;
    continue when asked.total = 0 and replay.subscription_id is null;
    if dry_run or asked.total = 0 then
      return next asked;
      continue;
    end if;
    insert into walhook.replays as r (
      kind, subscription_id, to_subscription_id, states, event_types, created_from, created_to, key, tenant, statuses, error,
      total, last_id, after_at
    )
    values (
      asked.kind, whose, whose, asked.states, asked.event_types, asked.created_from, asked.created_to, asked.key, asked.tenant,
      asked.statuses, asked.error, asked.total, asked.last_id, asked.after_at
    )
    returning r.* into made;
    if to_url is not null then
      update walhook.replays as r
      set to_subscription_id = walhook.subscribe_replay(made.id, whose, to_url)
      where r.id = made.id
      returning r.* into made;
    end if;
    perform walhook.wake(made.to_subscription_id);
    return next made;
  end loop;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.replay_deliveries(r walhook.replays)
 RETURNS walhook.replays
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
declare
  piece constant integer := 1000;
  ids bigint[];
  looked_to bigint;
  made bigint;
begin
  if r.states = '{dead}' then
    select array_agg(l.id), max(l.id)
    into ids, looked_to
    from (
      select d.id
      from walhook.deliveries as d
      where d.subscription_id = r.subscription_id and d.state = 'dead' and d.id > r.after_id and d.id <= r.last_id
      order by d.id
      limit piece
    ) as l;
  else
    -- The index of these knows no state: a piece looks at so many of the subscription's, and finds few or many among them.
    with looked as materialized (
      select d.id, d.state
      from walhook.deliveries as d
      where d.subscription_id = r.subscription_id and d.id > r.after_id and d.id <= r.last_id
      order by d.id
      limit 10 * piece
    ),
    wanted as (
      select l.id from looked as l where l.state = any (r.states) order by l.id limit piece
    )
    select array_agg(w.id), case when count(*) = piece then max(w.id) else (select max(l.id) from looked as l) end
    into ids, looked_to
    from wanted as w;
  end if;
  if looked_to is null then
    r.state := 'done';
    return r;
  end if;
  r.after_id := looked_to;

  if r.kind = 'copy' then
    insert into walhook.deliveries (event_id, subscription_id, order_key, next_attempt_at)
    select d.event_id, s.id, walhook.order_key(s.ordering, o.key), now()
    from walhook.deliveries as d
    join walhook.outbox as o on o.id = d.event_id
    join walhook.subscriptions as s on s.id = r.to_subscription_id
    where d.id = any (ids) and walhook.is_delivery_asked_for(r, d.last_status, d.last_error)
      and walhook.is_asked_for(r, o) and walhook.is_kind_asked_for(r, null, o.type, o.tenant)
    order by d.id
    on conflict (event_id, subscription_id) do nothing;
    get diagnostics made = row_count;
  else
    -- In one order for everybody, and as they are by now: somebody may have resent one.
    with locked as materialized (
      select d.id, d.event_id
      from walhook.deliveries as d
      where d.id = any (ids) and d.state = any (r.states) and walhook.is_delivery_asked_for(r, d.last_status, d.last_error)
      order by d.id
      for update
    ),
    resent as materialized (
      select walhook.make_due(l.id)
      from locked as l
      join walhook.outbox as o on o.id = l.event_id
      where walhook.is_asked_for(r, o) and walhook.is_kind_asked_for(r, null, o.type, o.tenant)
      order by l.id
    )
    select count(*) into made from resent;
  end if;
  r.replayed := r.replayed + made;
  return r;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.replay_events(r walhook.replays)
 RETURNS walhook.replays
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
declare
  piece constant integer := 1000;
  zero constant uuid := '00000000-0000-0000-0000-000000000000';
  -- A piece is a stretch of time, cut off where there is too much in it.
  upper constant timestamptz := least(r.after_at + r.stride, r.created_to);
  -- A delivery that a backfill makes must not hide from the audit that others are owed the event (outbox-audit.ts): it passes what the
  -- audit has passed, and what has deliveries.
  audited constant integer := (select min(walhook.xid_age(audited_to)) from walhook.relay);
  s walhook.subscriptions;
  looked integer;
  ids uuid[];
  last_at timestamptz;
  made bigint;
begin
  select * into s from walhook.subscriptions where id = r.subscription_id;
  with slice as materialized (
    select o.id, o.created_at, age(o.xmin) as age
    from walhook.outbox as o
    where o.created_at >= r.after_at and o.created_at < upper and (o.created_at, o.id) > (r.after_at, r.after_event_id)
    order by o.created_at, o.id
    limit piece
  ),
  judged as (
    select
      l.id,
      l.created_at,
      bool_and(coalesce(l.age > audited, false) or exists (select from walhook.deliveries as d where d.event_id = l.id))
        over (order by l.created_at, l.id) as passed
    from slice as l
  )
  select
    count(*),
    array_agg(j.id order by j.created_at, j.id) filter (where j.passed),
    max(j.created_at) filter (where j.passed)
  into looked, ids, last_at
  from judged as j;

  -- One that is due later has no job, and is found when it is due even so.
  insert into walhook.deliveries (event_id, subscription_id, order_key, next_attempt_at, scheduled)
  select
    o.id, r.to_subscription_id, walhook.order_key(s.ordering, o.key), greatest(now(), due.at), coalesce(due.at > now(), false)
  from walhook.outbox as o
  cross join lateral walhook.due_at(o.headers, o.created_at) as due (at)
  where o.id = any (ids)
    -- The catalog refused it; whoever wants it released says so.
    and not exists (select from walhook.dead_events as x where x.event_id = o.id)
    and walhook.is_asked_for(r, o)
    -- What cannot be an event is malformed, and recorded as that where it comes over the log.
    and walhook.is_event_type(o.type) and o.payload is not null and json_typeof(o.headers) = 'object'
    and walhook.is_kind_asked_for(r, s.match_keys, o.type, o.tenant)
    and (s.filter is null or walhook.filter_matches(s.filter, o.payload::text))
  order by o.created_at, o.id
  on conflict (event_id, subscription_id) do nothing;
  get diagnostics made = row_count;
  r.replayed := r.replayed + made;

  if looked = piece or cardinality(ids) is distinct from nullif(looked, 0) then
    if ids is not null then
      r.after_at := last_at;
      r.after_event_id := ids[cardinality(ids)];
    end if;
    if looked = piece then r.stride := greatest(r.stride / 2, interval '1 millisecond'); end if;
  else
    r.after_at := upper;
    r.after_event_id := zero;
    if looked < piece / 2 then r.stride := least(r.stride * 2, interval '400 days'); end if;
    if upper >= r.created_to then r.state := 'done'; end if;
  end if;
  return r;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.resend(delivery_id bigint)
 RETURNS walhook.deliveries
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  resent constant walhook.deliveries := walhook.make_due(resend.delivery_id);
begin
  perform walhook.wake(resent.subscription_id);
  return resent;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.reserved_header(name text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$
  select case
    when lower(name) in ('authorization', 'proxy-authorization') then 'credentials are for auth'
    when lower(name) = 'content-type' then 'it follows from body'
    when lower(name) in ('traceparent', 'tracestate') then 'it comes from the event''s headers'
    when lower(name) in (
      'host', 'content-length', 'content-encoding', 'transfer-encoding', 'connection', 'proxy-connection', 'keep-alive',
      'te', 'trailer', 'upgrade', 'http2-settings', 'expect', 'accept-encoding'
    ) then 'it belongs to the connection'
    when lower(name) ~ '^(webhook|walhook)-' then 'names that begin so are Walhook''s own'
  end
$function$;

CREATE OR REPLACE FUNCTION walhook.resume(id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update walhook.subscriptions as s set state = 'active', state_reason = null where s.id = resume.id;
  if not found then
    raise exception 'there is no subscription %', resume.id using errcode = 'no_data_found';
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.revoke_api_key(id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update walhook.api_keys as k set revoked_at = coalesce(k.revoked_at, now()) where k.id = revoke_api_key.id;
  if not found then
    raise exception 'there is no key %', revoke_api_key.id using errcode = 'no_data_found';
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.rotate_secret(id uuid, secret text DEFAULT NULL::text, overlap interval DEFAULT '24:00:00'::interval)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  fresh constant text := coalesce(rotate_secret.secret, walhook.new_secret());
begin
  -- The column may hold a sealed one too; nobody brings that along.
  if fresh like 'enc:%' then perform walhook.refuse('secret', 'has to be plain: Walhook seals it'); end if;
  update walhook.subscriptions as s
  set previous_secret = case when overlap > interval '0' then s.secret end,
      previous_secret_until = case when overlap > interval '0' then now() + overlap end,
      secret = fresh
  where s.id = rotate_secret.id;
  if not found then
    raise exception 'there is no subscription %', rotate_secret.id using errcode = 'no_data_found';
  end if;
  return fresh;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.stats(period interval DEFAULT '01:00:00'::interval, subscription_id uuid DEFAULT NULL::uuid, tenant text DEFAULT NULL::text, OUT from_at timestamp with time zone, OUT attempts bigint, OUT failed_attempts bigint, OUT failure_rate double precision, OUT delivered bigint, OUT dead bigint, OUT cancelled bigint, OUT attempt_p50_ms double precision, OUT attempt_p95_ms double precision, OUT attempt_p99_ms double precision, OUT delivered_p50_ms double precision, OUT delivered_p95_ms double precision, OUT delivered_p99_ms double precision, OUT pending bigint, OUT oldest_pending_at timestamp with time zone, OUT drained_in interval)
 RETURNS record
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION walhook.stats_from(period interval)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select date_bin(walhook.stats_step(period), now(), to_timestamp(0)) - period + walhook.stats_step(period)
$function$;

CREATE OR REPLACE FUNCTION walhook.stats_series(period interval DEFAULT '01:00:00'::interval, subscription_id uuid DEFAULT NULL::uuid, tenant text DEFAULT NULL::text)
 RETURNS TABLE(at timestamp with time zone, attempts bigint, failed_attempts bigint, delivered bigint, dead bigint, cancelled bigint, attempt_p50_ms double precision, attempt_p95_ms double precision, delivered_p50_ms double precision, delivered_p95_ms double precision)
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION walhook.stats_step(period interval)
 RETURNS interval
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION walhook.stop_replay(id bigint)
 RETURNS walhook.replays
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  r walhook.replays;
begin
  update walhook.replays as p
  set state = case when p.state = 'running' then 'stopped' else p.state end, updated_at = now()
  where p.id = stop_replay.id
  returning p.* into r;
  if not found then
    raise exception 'there is no replay %', stop_replay.id using errcode = 'no_data_found';
  end if;
  return r;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.subscribe(OUT id uuid, url text, event_types text[] DEFAULT '{*}'::text[], tenant text DEFAULT NULL::text, filter jsonpath DEFAULT NULL::jsonpath, description text DEFAULT NULL::text, INOUT secret text DEFAULT NULL::text, timeout text DEFAULT NULL::text, retry_schedule text[] DEFAULT NULL::text[], retry_on text DEFAULT NULL::text, method text DEFAULT NULL::text, body text DEFAULT NULL::text, headers jsonb DEFAULT NULL::jsonb, forward_headers text[] DEFAULT NULL::text[], signature text[] DEFAULT NULL::text[], signature_header text DEFAULT NULL::text, header_prefix text DEFAULT NULL::text, ed25519_key text DEFAULT NULL::text, auth text DEFAULT NULL::text, tls text DEFAULT NULL::text, handshake boolean DEFAULT NULL::boolean, batch jsonb DEFAULT NULL::jsonb, ordering text DEFAULT NULL::text, on_dead text DEFAULT NULL::text, rate_limit text DEFAULT NULL::text, max_in_flight integer DEFAULT NULL::integer, ttl text DEFAULT NULL::text, disable_after text DEFAULT NULL::text, name text DEFAULT NULL::text)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  secret := coalesce(subscribe.secret, walhook.new_secret());
  -- The columns may hold sealed ones too; nobody brings those along.
  if secret like 'enc:%' then perform walhook.refuse('secret', 'has to be plain: Walhook seals it'); end if;
  if ed25519_key like 'enc:%' then perform walhook.refuse('ed25519_key', 'has to be plain: Walhook seals it'); end if;
  if auth like 'enc:%' then perform walhook.refuse('auth', 'has to be plain: Walhook seals it'); end if;
  if tls like 'enc:%' then perform walhook.refuse('tls', 'has to be plain: Walhook seals it'); end if;
  -- Which texts can be its secret depends on its signature, which it gets below.
  insert into walhook.subscriptions as s (name, url, event_types, tenant, filter, description, secret)
  values (
    subscribe.name, subscribe.url, subscribe.event_types, subscribe.tenant, subscribe.filter, subscribe.description,
    walhook.new_secret()
  )
  returning s.id into subscribe.id;
  -- The defaults stand in the table, and nowhere else.
  update walhook.subscriptions as s
  set secret = subscribe.secret,
      timeout = coalesce(subscribe.timeout, s.timeout),
      retry_schedule = coalesce(subscribe.retry_schedule, s.retry_schedule),
      retry_on = coalesce(subscribe.retry_on, s.retry_on),
      method = coalesce(subscribe.method, s.method),
      body = coalesce(subscribe.body, s.body),
      headers = coalesce(subscribe.headers, s.headers),
      forward_headers = coalesce(subscribe.forward_headers, s.forward_headers),
      signature = coalesce(subscribe.signature, s.signature),
      signature_header = subscribe.signature_header,
      header_prefix = subscribe.header_prefix,
      ed25519_key = subscribe.ed25519_key,
      auth = subscribe.auth,
      tls = subscribe.tls,
      handshake = coalesce(subscribe.handshake, s.handshake),
      batch = subscribe.batch,
      ordering = coalesce(subscribe.ordering, s.ordering),
      on_dead = coalesce(subscribe.on_dead, s.on_dead),
      rate_limit = subscribe.rate_limit,
      max_in_flight = subscribe.max_in_flight,
      ttl = subscribe.ttl,
      disable_after = coalesce(subscribe.disable_after, s.disable_after)
  where s.id = subscribe.id;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.subscribe_replay(replay_id bigint, subscription_id uuid, to_url text)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  made uuid;
begin
  insert into walhook.subscriptions (
    url, event_types, description, signs_as, secret, tenant, timeout, retry_schedule, retry_on, method, body, forward_headers,
    signature, signature_header, header_prefix, batch, ordering, on_dead, rate_limit, max_in_flight, disable_after
  )
  select
    to_url, array['walhook.replay.' || replay_id], format('replay %s of subscription %s', replay_id, s.id), coalesce(s.signs_as, s.id),
    walhook.new_secret(), s.tenant, s.timeout, s.retry_schedule, s.retry_on, s.method, s.body, s.forward_headers,
    s.signature, s.signature_header, s.header_prefix, s.batch, s.ordering, s.on_dead, s.rate_limit, s.max_in_flight, s.disable_after
  from walhook.subscriptions as s
  where s.id = subscribe_replay.subscription_id
  returning id into made;
  return made;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.subscription_facts(s walhook.subscriptions)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
AS $function$
  select jsonb_build_object(
    'subscription_id', s.id, 'tenant', s.tenant, 'description', left(s.description, 1000), 'origin', walhook.url_origin(s.url)
  )
$function$;

CREATE OR REPLACE FUNCTION walhook.subscription_match_keys(tenant text, event_types text[])
 RETURNS text[]
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$ select coalesce(array_agg(coalesce(tenant, '') || ':' || p), '{}') from unnest(event_types) as p $function$;

CREATE OR REPLACE FUNCTION walhook.subscription_options()
 RETURNS text[]
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select '{
    name,tenant,url,description,event_types,filter,timeout,retry_schedule,retry_on,method,body,headers,forward_headers,signature,
    signature_header,header_prefix,ed25519_key,auth,tls,handshake,batch,ordering,on_dead,rate_limit,max_in_flight,ttl,disable_after
  }'::text[]
$function$;

CREATE OR REPLACE FUNCTION walhook.subscription_version(s walhook.subscriptions)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
AS $function$ select (extract(epoch from s.updated_at) * 1000000)::bigint::text $function$;

CREATE OR REPLACE FUNCTION walhook.tell_operators(type text, key text, facts jsonb)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  -- An outbox must not fill up with what nobody reads.
  if not walhook.is_operator_event_wanted(tell_operators.type) then return null; end if;
  return walhook.publish(tell_operators.type, tell_operators.facts::json, key => tell_operators.key, tenant => 'walhook');
exception
  -- A rule of the outbox that somebody added must not undo what is to be told.
  when integrity_constraint_violation or data_exception or raise_exception then
    raise warning 'an event % could not be written: %', tell_operators.type, sqlerrm;
    return null;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.test_subscription(id uuid, OUT event_id uuid, OUT delivery_id bigint)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  s walhook.subscriptions;
begin
  select * into s from walhook.subscriptions as t where t.id = test_subscription.id for key share;
  if not found then
    raise exception 'there is no subscription %', test_subscription.id using errcode = 'no_data_found';
  end if;
  if s.state <> 'active' then
    raise exception 'state has to be active for a test, and is %', s.state || coalesce(' (' || s.state_reason || ')', '')
      using errcode = 'object_not_in_prerequisite_state', column = 'state';
  end if;
  event_id := walhook.publish(
    'walhook.test',
    json_build_object('subscription_id', s.id, 'message', 'A test: nothing has happened.'),
    tenant => s.tenant
  );
  -- Held for nobody yet, for as long as the relay may need to come to it: whoever looks for what waits would put it behind a backlog.
  insert into walhook.deliveries (event_id, subscription_id, next_attempt_at)
  values (test_subscription.event_id, s.id, now() + interval '1 second')
  returning deliveries.id into delivery_id;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.text_members(value text)
 RETURNS jsonb
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  members jsonb;
begin
  members := value::jsonb;
  if jsonb_typeof(members) <> 'object' then return null; end if;
  if exists (select from jsonb_each(members) as m (name, member) where jsonb_typeof(m.member) <> 'string') then return null; end if;
  return members;
exception
  when data_exception or program_limit_exceeded or statement_too_complex then
    return null;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.touch_subscription()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  -- Null says: this is housekeeping, and no change that anybody made.
  new.updated_at := case when new.updated_at is null then old.updated_at else now() end;
  return new;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.try_filter(filter text, event_types text[] DEFAULT NULL::text[], tenant text DEFAULT NULL::text, most integer DEFAULT 50)
 RETURNS TABLE(event_id uuid, type text, key text, event_tenant text, created_at timestamp with time zone, matches boolean, payload text)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  path constant jsonpath := walhook.read_filter(filter);
  looked_through constant integer := 10000;
begin
  if event_types is not null and not walhook.are_event_type_patterns(event_types) then
    perform walhook.refuse('event_types', 'has to be 1 to 100 patterns like order.created, order.* or *');
  end if;
  if most is null or most not between 1 and 1000 then
    perform walhook.refuse('most', 'has to be 1 to 1000');
  end if;
  return query
    select n.id, n.type, n.key, n.tenant, n.created_at, walhook.filter_matches(path, n.payload::text), left(n.payload::text, 1000)
    from (select * from walhook.outbox as o order by o.created_at desc, o.id desc limit looked_through) as n
    where (try_filter.tenant is null or n.tenant = try_filter.tenant)
      and n.expunged_at is null
      and walhook.event_match_keys(n.type, null) && walhook.subscription_match_keys(null, coalesce(try_filter.event_types, '{*}'))
    order by n.created_at desc, n.id desc
    limit most;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.unmasked_headers(headers jsonb, before jsonb)
 RETURNS jsonb
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  select case
    when jsonb_typeof(headers) = 'object' then (
      select coalesce(jsonb_object_agg(h.key, case when h.value = '"…"' then coalesce(before -> h.key, h.value) else h.value end), '{}')
      from jsonb_each(headers) as h
    )
    else headers
  end
$function$;

CREATE OR REPLACE FUNCTION walhook.url_origin(url text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
AS $function$ select substring(url from '^([A-Za-z]+://)') || substring(url from '^[A-Za-z]+://(?:[^/?#]*@)?([^/?#@]*)') $function$;

CREATE OR REPLACE FUNCTION walhook.uuidv7()
 RETURNS uuid
 LANGUAGE sql
 PARALLEL SAFE
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION walhook.wake(subscription_id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  -- sql/roles.sql takes it from everybody: whoever lacks it does not have to fail for it.
  if (
    select bool_and(has_function_privilege(p.oid, 'execute'))
    from pg_proc as p
    where p.proname = 'pg_logical_emit_message' and p.pronamespace = 'pg_catalog'::regnamespace
  ) then
    -- Transactional: it arrives with the commit, or not at all.
    perform pg_logical_emit_message(true, 'walhook.wake', wake.subscription_id::text);
  end if;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.wake_for_subscription()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform walhook.wake(old.id);
  return null;
end
$function$;

CREATE OR REPLACE FUNCTION walhook.xid_age(xid xid8)
 RETURNS integer
 LANGUAGE sql
 STABLE PARALLEL SAFE STRICT
AS $function$
  select case
    when pg_snapshot_xmax(pg_current_snapshot())::text::bigint - xid::text::bigint < 2147483647 then age(xid::xid)
    else 2147483647
  end
$function$;

-- view walhook.backlog, defined in sql/views.sql (
--   subscription_id uuid
--   url text
--   subscription_state text
--   pending bigint
--   parked bigint
--   delayed bigint
--   retries_scheduled bigint
--   waiting bigint
--   behind_their_key bigint
--   oldest_at timestamp with time zone
--   oldest_age interval
--   delivered_per_second numeric
--   drained_in interval
-- )

-- view walhook.blocked_keys, defined in sql/views.sql (
--   subscription_id uuid
--   url text
--   key text
--   delivery_id bigint
--   since timestamp with time zone
--   waiting bigint
--   last_status integer
--   last_error text
-- )

-- view walhook.consent_status, defined in sql/views.sql (
--   subscription_id uuid
--   url text
--   consent text
--   consented_at timestamp with time zone
--   allowed_rate integer
--   refused_for text
--   refusals integer
--   asked_at timestamp with time zone
--   asked_again_at timestamp with time zone
-- )

-- view walhook.delivery_status, defined in sql/views.sql (
--   id bigint
--   state text
--   event_type text
--   key text
--   tenant text
--   url text
--   attempts integer
--   last_status integer
--   last_error text
--   waits_as text
--   next_attempt_at timestamp with time zone
--   created_at timestamp with time zone
--   finished_at timestamp with time zone
--   event_id uuid
--   subscription_id uuid
-- )

-- view walhook.key_fronts, defined in sql/views.sql (
--   id bigint
--   subscription_id uuid
--   order_key uuid
--   is_held boolean
--   holds_until timestamp with time zone
-- )

-- view walhook.replay_status, defined in sql/views.sql (
--   id bigint
--   kind text
--   state text
--   reason text
--   waits_for text
--   replayed bigint
--   total bigint
--   percent numeric
--   per_second numeric
--   remaining interval
--   url text
--   subscription_id uuid
--   to_subscription_id uuid
--   states text[]
--   event_types text[]
--   created_from timestamp with time zone
--   created_to timestamp with time zone
--   key text
--   tenant text
--   statuses int4range
--   error text
--   created_by text
--   created_at timestamp with time zone
--   updated_at timestamp with time zone
--   finished_at timestamp with time zone
-- )

-- view walhook.replica_status, defined in sql/views.sql (
--   id uuid
--   host text
--   version text
--   role text
--   streams boolean
--   started_at timestamp with time zone
--   seen_at timestamp with time zone
--   is_gone boolean
-- )

-- view walhook.slot_health, defined in sql/views.sql (
--   slot_name text
--   "exists" boolean
--   state text
--   invalidation_reason text
--   plugin text
--   active boolean
--   active_pid integer
--   wal_status text
--   safe_wal_bytes bigint
--   retained_wal_bytes bigint
--   unconfirmed_wal_bytes bigint
--   confirmed_flush_lsn pg_lsn
--   recorded_lsn pg_lsn
--   last_event_committed_at timestamp with time zone
--   recorded_at timestamp with time zone
--   rescan_owed_for text
--   audited_at timestamp with time zone
--   lag_seconds double precision
-- )

-- view walhook.space, defined in sql/views.sql (
--   table_name name
--   partition_name name
--   rows_estimate bigint
--   dead_rows bigint
--   total_bytes bigint
--   table_bytes bigint
--   index_bytes bigint
--   last_vacuum timestamp with time zone
--   oldest_at timestamp with time zone
--   kept_for interval
--   retention_applied_at timestamp with time zone
-- )

-- view walhook.subscription_health, defined in sql/views.sql (
--   id uuid
--   tenant text
--   url text
--   state text
--   state_reason text
--   secret_preview text
--   ed25519_public_key text
--   failing_since timestamp with time zone
--   failures_in_a_row integer
--   disabled_from timestamp with time zone
--   pending bigint
--   delivered bigint
--   dead bigint
--   oldest_pending_at timestamp with time zone
--   last_delivered_at timestamp with time zone
-- )

-- view walhook.subscription_overview, defined in sql/views.sql (
--   id uuid
--   name text
--   tenant text
--   url text
--   description text
--   event_types text[]
--   filter jsonpath
--   state text
--   state_reason text
--   secret_preview text
--   previous_secret_until timestamp with time zone
--   ed25519_public_key text
--   method text
--   body text
--   headers jsonb
--   forward_headers text[]
--   signature text[]
--   signature_header text
--   header_prefix text
--   has_auth boolean
--   has_tls boolean
--   handshake boolean
--   batch jsonb
--   ordering text
--   on_dead text
--   rate_limit text
--   max_in_flight integer
--   timeout text
--   retry_schedule text[]
--   retry_on text
--   ttl text
--   disable_after text
--   signs_as uuid
--   created_at timestamp with time zone
--   updated_at timestamp with time zone
--   version text
--   failing_since timestamp with time zone
--   failures_in_a_row integer
--   pending bigint
--   dead bigint
--   oldest_pending_at timestamp with time zone
--   last_delivered_at timestamp with time zone
--   recent jsonb
-- )

-- view walhook.subscription_stats, defined in sql/views.sql (
--   id uuid
--   tenant text
--   url text
--   state text
--   attempts_24h bigint
--   failed_attempts_24h bigint
--   failure_rate_24h numeric
--   attempts_7d bigint
--   failed_attempts_7d bigint
--   failure_rate_7d numeric
--   delivered_7d bigint
--   dead_7d bigint
-- )

comment on column walhook.api_keys.created_at is 'When it was made.';
comment on column walhook.api_keys.expires_at is 'From when on it is refused; null means never.';
comment on column walhook.api_keys.hash is 'SHA-256 of the key. The key itself was shown once and is nowhere.';
comment on column walhook.api_keys.id is 'For walhook.revoke_api_key. Newer keys have greater ids.';
comment on column walhook.api_keys.last_used_at is 'When it was last used, to the minute.';
comment on column walhook.api_keys.name is 'For people: whose it is, or what for.';
comment on column walhook.api_keys.prefix is 'How the key begins, to recognize it by.';
comment on column walhook.api_keys.revoked_at is 'When it was revoked: refused from then on, and so is every session and portal link that was opened with it.';
comment on column walhook.api_keys.scope is 'publish: write events. read: look. operate: read, publish and change. admin: operate, and keys.';
comment on column walhook.api_keys.tenant is 'The key sees and writes only what is this tenant''s; null means all.';
comment on column walhook.attempts.batch_id is 'The webhook-id of the request, where it was a batch: attempts of one batch and one time are one request. Null otherwise.';
comment on column walhook.attempts.delivery_id is 'deliveries.id.';
comment on column walhook.attempts.duration_ms is 'From the start to the outcome.';
comment on column walhook.attempts.error is 'Error class: dns, connect_refused, connect_timeout, tls, timeout, reset, address_denied, … beside a status: what happened to the body.';
comment on column walhook.attempts.number is 'From 1.';
comment on column walhook.attempts.response_body is 'The beginning of the answer, at most 4 KiB. What an endpoint sent: do not trust it.';
comment on column walhook.attempts.response_status is 'HTTP status, or null when none came.';
comment on column walhook.attempts.started_at is 'By the database''s clock.';
comment on column walhook.backlog.behind_their_key is 'What of it waits for an earlier event of its key.';
comment on column walhook.backlog.delayed is 'What of it waits for its first attempt, by deliver_after.';
comment on column walhook.backlog.delivered_per_second is 'In the last five minutes; null where nothing was delivered in them.';
comment on column walhook.backlog.drained_in is 'How long all of it takes at that rate, if nothing is added.';
comment on column walhook.backlog.oldest_age is 'How long ago that is.';
comment on column walhook.backlog.oldest_at is 'When the oldest of it was recorded.';
comment on column walhook.backlog.parked is 'What of it waits for the subscription to be resumed: all or nothing.';
comment on column walhook.backlog.pending is 'All that is owed.';
comment on column walhook.backlog.retries_scheduled is 'What of it failed, and waits for its next attempt.';
comment on column walhook.backlog.subscription_id is 'Who is owed.';
comment on column walhook.backlog.subscription_state is 'active, paused or disabled: the last two park what they are owed.';
comment on column walhook.backlog.url is 'Where to; null where the subscription was deleted.';
comment on column walhook.backlog.waiting is 'What of it any process may take now.';
comment on column walhook.blocked_keys.delivery_id is 'The dead delivery that it waits behind.';
comment on column walhook.blocked_keys.key is 'The key that waits; null where the outbox does not have the event any more.';
comment on column walhook.blocked_keys.last_error is 'Error class of the last attempt, if it had one; of one that ended without an attempt, why: cancelled, expired, expunged, event_missing.';
comment on column walhook.blocked_keys.last_status is 'HTTP status of the last attempt, if it got one.';
comment on column walhook.blocked_keys.since is 'When that died.';
comment on column walhook.blocked_keys.subscription_id is 'Of which subscription, ordered by key.';
comment on column walhook.blocked_keys.url is 'Its endpoint.';
comment on column walhook.blocked_keys.waiting is 'How many stand behind it.';
comment on column walhook.consent_status.allowed_rate is 'Requests per minute that it allows; null is without limit.';
comment on column walhook.consent_status.asked_again_at is 'When it may be asked again; null once it consented.';
comment on column walhook.consent_status.asked_at is 'When it was asked last, by any replica.';
comment on column walhook.consent_status.consent is 'given, refused or not asked.';
comment on column walhook.consent_status.consented_at is 'When it consented. Null: nothing is delivered.';
comment on column walhook.consent_status.refusals is 'How often in a row it did not consent: the pause before it is asked again grows with it.';
comment on column walhook.consent_status.refused_for is 'Why it was no consent, the last time: a status, a header that was missing or another, or an error class.';
comment on column walhook.consent_status.subscription_id is 'Of which subscription, with a handshake.';
comment on column walhook.consent_status.url is 'Its endpoint.';
comment on column walhook.consents.allowed_rate is 'Requests per minute that it allows; null is without limit.';
comment on column walhook.consents.asked_at is 'When it was asked last, by any replica.';
comment on column walhook.consents.consented_at is 'When it consented. Null: nothing is delivered.';
comment on column walhook.consents.origin is 'The origin that it was asked for: WALHOOK_ORIGIN at that time.';
comment on column walhook.consents.refusals is 'How often in a row it did not consent: the pause before it is asked again grows with it.';
comment on column walhook.consents.refused_for is 'Why it was no consent, the last time: a status, a header that was missing or another, or an error class.';
comment on column walhook.consents.subscription_id is 'Whose endpoint was asked.';
comment on column walhook.consents.url is 'The URL that was asked. A subscription whose URL is another has no consent.';
comment on column walhook.dead_events.created_at is 'When it was refused.';
comment on column walhook.dead_events.event_id is 'outbox.id.';
comment on column walhook.dead_events.lsn is 'Where its transaction''s commit record stands: it is owed to the subscriptions that are older. Null where that is not known.';
comment on column walhook.dead_events.reason is 'Why it was refused. Never quotes the payload.';
comment on column walhook.dead_events.type is 'The event''s type.';
comment on column walhook.deliveries.attempts is 'Attempts made so far.';
comment on column walhook.deliveries.batch_id is 'While pending: the batch in which its last attempt failed, and as which it goes again if all of it comes back together.';
comment on column walhook.deliveries.batch_size is 'How many deliveries that batch had.';
comment on column walhook.deliveries.created_at is 'When the fan-out recorded it.';
comment on column walhook.deliveries.event_id is 'outbox.id.';
comment on column walhook.deliveries.finished_at is 'When it stopped being pending.';
comment on column walhook.deliveries.holds_key_until is 'Of a delivery that is no longer pending: those behind it of its key wait until then. infinity: it is dead and blocks its key, see walhook.blocked_keys. A time: it was accepted while another process had it in hand.';
comment on column walhook.deliveries.id is 'In commit order of the events within one relay.';
comment on column walhook.deliveries.last_error is 'Error class of the last attempt, if it had one; of one that ended without an attempt, why: cancelled, expired, expunged, event_missing.';
comment on column walhook.deliveries.last_status is 'HTTP status of the last attempt, if it got one.';
comment on column walhook.deliveries.next_attempt_at is 'While pending. infinity: behind another of its key. scheduled: when the retry is due. Not scheduled and in the future: held in a process''s memory until then. Not scheduled and past: free for any process to take.';
comment on column walhook.deliveries.order_key is 'A digest of the event''s key, where the subscription is ordered by key; null for a delivery that waits for no other. See walhook.order_key.';
comment on column walhook.deliveries.schedule_from is 'Attempts made before the last resend: the retry schedule counts from there.';
comment on column walhook.deliveries.scheduled is 'A pg-boss job will make it due at next_attempt_at: a retry, or a first attempt that deliver_after delays.';
comment on column walhook.deliveries.state is 'pending; delivered (a 2xx); dead (will not be attempted again by itself); cancelled (by a person, its subscription was deleted, or its event came too late or was expunged).';
comment on column walhook.deliveries.subscription_id is 'subscriptions.id.';
comment on column walhook.delivery_counts.at is 'When the minute or the quarter begins; the epoch for ever.';
comment on column walhook.delivery_counts.attempt_buckets is 'How long attempts took: how many took less than walhook.latency_bound(0) ms, less than (1), and so on.';
comment on column walhook.delivery_counts.attempts is 'Attempts that were recorded.';
comment on column walhook.delivery_counts.cancelled is 'Deliveries that were cancelled.';
comment on column walhook.delivery_counts.dead is 'Deliveries that became dead.';
comment on column walhook.delivery_counts.delivered is 'Deliveries that became delivered.';
comment on column walhook.delivery_counts.delivered_buckets is 'From an event''s commit to its delivery, in the same buckets; from created_at where the event had waited in the database. What was resent, replayed or delayed on purpose is left out.';
comment on column walhook.delivery_counts.failed_attempts is 'Those of them that were not answered with a 2xx.';
comment on column walhook.delivery_counts.first_delivered_at is 'When the first of delivered was recorded.';
comment on column walhook.delivery_counts.grain is 'minute, or quarter of an hour; ever since the subscription was made.';
comment on column walhook.delivery_counts.last_delivered_at is 'When the last of them was.';
comment on column walhook.delivery_counts.subscription_id is 'subscriptions.id; nothing but zeros for all of them together.';
comment on column walhook.delivery_counts.writer is 'Walhook''s processes add to 0; a transaction that cancels deliveries in SQL has a row of its own, so that nobody waits for it.';
comment on column walhook.delivery_status.attempts is 'Attempts made so far.';
comment on column walhook.delivery_status.created_at is 'When the fan-out recorded it.';
comment on column walhook.delivery_status.event_id is 'outbox.id.';
comment on column walhook.delivery_status.event_type is 'outbox.type; null where the outbox does not have the event any more.';
comment on column walhook.delivery_status.finished_at is 'When it stopped being pending.';
comment on column walhook.delivery_status.id is 'In commit order of the events within one relay.';
comment on column walhook.delivery_status.key is 'outbox.key.';
comment on column walhook.delivery_status.last_error is 'Error class of the last attempt, if it had one; of one that ended without an attempt, why: cancelled, expired, expunged, event_missing.';
comment on column walhook.delivery_status.last_status is 'HTTP status of the last attempt, if it got one.';
comment on column walhook.delivery_status.next_attempt_at is 'While pending: when the next attempt is due, or, in flight, until when a process has it. Null behind its key.';
comment on column walhook.delivery_status.state is 'pending; delivered (a 2xx); dead (will not be attempted again by itself); cancelled (by a person, its subscription was deleted, or its event came too late or was expunged).';
comment on column walhook.delivery_status.subscription_id is 'subscriptions.id.';
comment on column walhook.delivery_status.tenant is 'The event''s, or where it has none the subscription''s.';
comment on column walhook.delivery_status.url is 'Where it goes; null where the subscription was deleted.';
comment on column walhook.delivery_status.waits_as is 'What a pending one waits for. waiting: to be taken by a process. in flight: one has it. retry scheduled, delayed: for next_attempt_at. parked: for its subscription to be resumed. behind its key: for an earlier one of that key. awaiting consent: for its endpoint''s.';
comment on column walhook.event_types.created_at is 'When it was made.';
comment on column walhook.event_types.deprecated is 'Whether it is on its way out. Its events are still delivered.';
comment on column walhook.event_types.description is 'For people, as Markdown.';
comment on column walhook.event_types.example is 'A payload, for people who write receivers.';
comment on column walhook.event_types.name is 'An event type: order.created.';
comment on column walhook.event_types.schema is 'JSON Schema (draft 2020-12) of the payload; at most 64 KiB. Null lets every payload pass.';
comment on column walhook.event_types.updated_at is 'When it was last written. Replicas tell by it that a schema is another one.';
comment on column walhook.failing_endpoints.failures is 'Failures in a row. 0: somebody resumed it, and nothing has been attempted since.';
comment on column walhook.failing_endpoints.last_error is 'Its error class, if it had one.';
comment on column walhook.failing_endpoints.last_failure_at is 'When the last of them was recorded.';
comment on column walhook.failing_endpoints.last_status is 'Its HTTP status, if it got one.';
comment on column walhook.failing_endpoints.owes_recovery is 'It was told as failing or disabled: so is the next success.';
comment on column walhook.failing_endpoints.since is 'When the first failure after the last success, or after the last resume, was recorded.';
comment on column walhook.failing_endpoints.subscription_id is 'subscriptions.id.';
comment on column walhook.failing_endpoints.told_failing is 'walhook.subscription.failing is due once in this period, and was.';
comment on column walhook.key_fronts.holds_until is 'Until when what stands behind it waits.';
comment on column walhook.key_fronts.id is 'In commit order of the events within one relay.';
comment on column walhook.key_fronts.is_held is 'Whether it is being sent, or may be.';
comment on column walhook.key_fronts.order_key is 'A digest of the event''s key, where the subscription is ordered by key; null for a delivery that waits for no other. See walhook.order_key.';
comment on column walhook.key_fronts.subscription_id is 'subscriptions.id.';
comment on column walhook.malformed.created_at is 'When it was recorded.';
comment on column walhook.malformed.id is 'For people.';
comment on column walhook.malformed.lsn is 'Where its transaction''s commit record stands.';
comment on column walhook.malformed.raw is 'The row as it arrived, columns as a JSON object of texts; at most 64 KiB.';
comment on column walhook.malformed.reason is 'Why it is not an event.';
comment on column walhook.malformed.row_in_transaction is 'Which row of that transaction, from 0; -1 for a message that is in none.';
comment on column walhook.malformed.slot_name is 'The replication slot it came through.';
comment on column walhook.migrations.applied_at is 'When it ran.';
comment on column walhook.migrations.checksum is 'SHA-256 of the file: a released migration never changes.';
comment on column walhook.migrations.name is 'The file''s name.';
comment on column walhook.migrations.version is 'The number in the file''s name.';
comment on column walhook.outbox.captured_from is 'The source that the event was written to: a table of WALHOOK_SOURCES, or message. Walhook sets it, and nobody else: a row that has it is passed over when it comes over the log.';
comment on column walhook.outbox.created_at is 'When the event was written; the timestamp of the envelope.';
comment on column walhook.outbox.expunged_at is 'When walhook.expunge removed payload and headers. Such an event is not sent any more.';
comment on column walhook.outbox.headers is 'Metadata as a JSON object; traceparent and tracestate are passed on. deliver_after delays: a duration such as 10m, or an RFC 3339 time.';
comment on column walhook.outbox.id is 'The event''s id, and the webhook-id of every request that carries it. Yours, or made here.';
comment on column walhook.outbox.key is 'What the event is about (an order''s id, say). Ordering, where asked for, is per key.';
comment on column walhook.outbox.payload is 'The body''s data. json, not jsonb: the bytes written are the bytes that are signed and sent.';
comment on column walhook.outbox.tenant is 'Whose event it is. A subscription with a tenant sees only that tenant''s events.';
comment on column walhook.outbox.type is 'Event type, a dotted name such as order.created.';
comment on column walhook.rate_limits.free_at is 'When everything that was granted will have been earned at the subscription''s rate.';
comment on column walhook.rate_limits.granted is 'Requests that the last reservation got.';
comment on column walhook.rate_limits.subscription_id is 'subscriptions.id.';
comment on column walhook.relay.at_risk_since is 'Since when the slot has been in danger, so that one replica tells of it, once; null while it is not.';
comment on column walhook.relay.audited_at is 'The moment that audited_to was taken.';
comment on column walhook.relay.audited_to is 'Every event of an older transaction has been compared with its deliveries. Retention removes none that is younger.';
comment on column walhook.relay.committed_at is 'Commit time of the last recorded transaction.';
comment on column walhook.relay.lsn is 'Everything that committed before this position is recorded.';
comment on column walhook.relay.rescan_from is 'A gap in the log was found: events created since then are looked for in the outbox. Null once that is done.';
comment on column walhook.relay.rescan_reason is 'What made the gap: first_start, slot_missing, slot_lost, slot_moved, another_cluster or outbox_unpublished.';
comment on column walhook.relay.rescan_to is 'Transactions from this one on come through the slot.';
comment on column walhook.relay.row_in_transaction is 'Rows recorded of the transaction whose commit record stands at lsn, when a large one is recorded in pieces.';
comment on column walhook.relay.slot_name is 'The replication slot.';
comment on column walhook.relay.sources is 'What row_in_transaction counts beside the outbox''s rows. Where that changes, a transaction that is recorded in part is recorded again.';
comment on column walhook.relay.system_identifier is 'The Postgres cluster that these positions belong to.';
comment on column walhook.relay.timeline is 'Its timeline: a lower one is a former primary, and is refused.';
comment on column walhook.relay.updated_at is 'When this row was written.';
comment on column walhook.replay_status.created_at is 'When it was asked for.';
comment on column walhook.replay_status.created_by is 'The login that asked for it.';
comment on column walhook.replay_status.created_from is 'Only events created then or later.';
comment on column walhook.replay_status.created_to is 'Only events created before that.';
comment on column walhook.replay_status.error is 'Only deliveries whose last attempt had this error class; null means all.';
comment on column walhook.replay_status.event_types is 'Only events that meet one of these patterns; null means all.';
comment on column walhook.replay_status.finished_at is 'When it was done, or failed.';
comment on column walhook.replay_status.id is 'For walhook.stop_replay and walhook.continue_replay.';
comment on column walhook.replay_status.key is 'Only events of this key; null means all.';
comment on column walhook.replay_status.kind is 'resend: its deliveries are made due again. copy: their events go to another URL. backfill: older events that it has no delivery of.';
comment on column walhook.replay_status.per_second is 'Since it began or was continued.';
comment on column walhook.replay_status.percent is 'replayed, of total.';
comment on column walhook.replay_status.reason is 'Why it failed: subscription_deleted, or the SQLSTATE of an error.';
comment on column walhook.replay_status.remaining is 'How long it may still take at that rate.';
comment on column walhook.replay_status.replayed is 'How many have been made due so far. What was resent, expunged or removed meanwhile is not among them.';
comment on column walhook.replay_status.state is 'running (or waiting: replay_status says for what); stopped by a person; done; failed.';
comment on column walhook.replay_status.states is 'Which deliveries: dead, delivered, cancelled. Empty for a backfill, which makes new ones.';
comment on column walhook.replay_status.statuses is 'Only deliveries whose last attempt got one of these HTTP statuses; null means all.';
comment on column walhook.replay_status.subscription_id is 'Whose deliveries are sent again; for a backfill, who gets the events.';
comment on column walhook.replay_status.tenant is 'Only events of this tenant; null means all.';
comment on column walhook.replay_status.to_subscription_id is 'Who gets them: the same, or for a copy the subscription that was made with the other URL.';
comment on column walhook.replay_status.total is 'How many there were when it was asked for.';
comment on column walhook.replay_status.updated_at is 'When the last piece was done, or a person stopped or continued it.';
comment on column walhook.replay_status.url is 'Where they go.';
comment on column walhook.replay_status.waits_for is 'What a running one waits for; null while it goes on.';
comment on column walhook.replays.after_at is 'A backfill goes on with events created then, after after_event_id.';
comment on column walhook.replays.after_event_id is 'See after_at.';
comment on column walhook.replays.after_id is 'Goes on with deliveries after this one.';
comment on column walhook.replays.created_at is 'When it was asked for.';
comment on column walhook.replays.created_by is 'The login that asked for it.';
comment on column walhook.replays.created_from is 'Only events created then or later.';
comment on column walhook.replays.created_to is 'Only events created before that.';
comment on column walhook.replays.error is 'Only deliveries whose last attempt had this error class; null means all.';
comment on column walhook.replays.event_types is 'Only events that meet one of these patterns; null means all.';
comment on column walhook.replays.finished_at is 'When it was done, or failed.';
comment on column walhook.replays.id is 'For walhook.stop_replay and walhook.continue_replay.';
comment on column walhook.replays.key is 'Only events of this key; null means all.';
comment on column walhook.replays.kind is 'resend: its deliveries are made due again. copy: their events go to another URL. backfill: older events that it has no delivery of.';
comment on column walhook.replays.last_id is 'Ends with this delivery: what came later was not asked for.';
comment on column walhook.replays.reason is 'Why it failed: subscription_deleted, or the SQLSTATE of an error.';
comment on column walhook.replays.replayed is 'How many have been made due so far. What was resent, expunged or removed meanwhile is not among them.';
comment on column walhook.replays.replayed_before is 'replayed, at running_since.';
comment on column walhook.replays.running_since is 'When it began or was continued.';
comment on column walhook.replays.state is 'running (or waiting: replay_status says for what); stopped by a person; done; failed.';
comment on column walhook.replays.states is 'Which deliveries: dead, delivered, cancelled. Empty for a backfill, which makes new ones.';
comment on column walhook.replays.statuses is 'Only deliveries whose last attempt got one of these HTTP statuses; null means all.';
comment on column walhook.replays.stride is 'How much of the outbox''s time a backfill looks through in one piece; follows how much there is in it.';
comment on column walhook.replays.subscription_id is 'Whose deliveries are sent again; for a backfill, who gets the events.';
comment on column walhook.replays.tenant is 'Only events of this tenant; null means all.';
comment on column walhook.replays.to_subscription_id is 'Who gets them: the same, or for a copy the subscription that was made with the other URL.';
comment on column walhook.replays.total is 'How many there were when it was asked for.';
comment on column walhook.replays.updated_at is 'When the last piece was done, or a person stopped or continued it.';
comment on column walhook.replica_status.host is 'The name of its machine or container.';
comment on column walhook.replica_status.id is 'Made at each start. The session is called walhook replica and this.';
comment on column walhook.replica_status.is_gone is 'Whether its session has ended: so has the process, or it cannot reach the database.';
comment on column walhook.replica_status.role is 'starting; streaming the slot; standby while another process streams; interrupted.';
comment on column walhook.replica_status.seen_at is 'Now, while it is here; when it was found gone; when it began, where nobody has looked yet.';
comment on column walhook.replica_status.started_at is 'When it wrote its first row.';
comment on column walhook.replica_status.streams is 'Whether it reads the log now.';
comment on column walhook.replica_status.version is 'Of Walhook.';
comment on column walhook.replicas.gone_at is 'When another process found its session ended. Ten minutes later it is forgotten.';
comment on column walhook.replicas.host is 'The name of its machine or container.';
comment on column walhook.replicas.id is 'Made at each start. The session is called walhook replica and this.';
comment on column walhook.replicas.role is 'starting; streaming the slot; standby while another process streams; interrupted.';
comment on column walhook.replicas.started_at is 'When it wrote its first row.';
comment on column walhook.replicas.version is 'Of Walhook.';
comment on column walhook.retention.applied_at is 'When that was.';
comment on column walhook.retention.keep is 'WALHOOK_RETENTION of the process that applied it.';
comment on column walhook.retention.removed is 'Rows that the last run removed; of attempts, day partitions.';
comment on column walhook.retention.table_name is 'In schema walhook.';
comment on column walhook.session_secret.created_at is 'When it was made.';
comment on column walhook.session_secret.is_the_one is 'True: there is one row at most.';
comment on column walhook.session_secret.secret is 'Random; used together with WALHOOK_ENCRYPTION_KEY where there is one.';
comment on column walhook.slot_health."exists" is 'Whether Postgres has the slot.';
comment on column walhook.slot_health.active is 'Whether a process streams from it.';
comment on column walhook.slot_health.active_pid is 'The server process that it streams from.';
comment on column walhook.slot_health.audited_at is 'The moment that audited_to was taken.';
comment on column walhook.slot_health.confirmed_flush_lsn is 'Up to where Walhook has told Postgres that everything is recorded.';
comment on column walhook.slot_health.invalidation_reason is 'Why Postgres gave it up; from 17 on.';
comment on column walhook.slot_health.lag_seconds is 'From a commit to its confirmation, as Postgres measured it last; null where nothing is outstanding, nobody streams, or the login may not see it.';
comment on column walhook.slot_health.last_event_committed_at is 'When the last event that was recorded had been committed.';
comment on column walhook.slot_health.plugin is 'wal2json or pgoutput.';
comment on column walhook.slot_health.recorded_at is 'When that was recorded.';
comment on column walhook.slot_health.recorded_lsn is 'relay.lsn: up to where it is.';
comment on column walhook.slot_health.rescan_owed_for is 'Why the outbox is still to be searched for what the slot passed over; null where it is not.';
comment on column walhook.slot_health.retained_wal_bytes is 'How much of the log it makes Postgres keep.';
comment on column walhook.slot_health.safe_wal_bytes is 'How much more write-ahead log can be written before the slot may be lost; null without max_slot_wal_keep_size.';
comment on column walhook.slot_health.slot_name is 'The replication slot.';
comment on column walhook.slot_health.state is 'missing, reserved, extended, unreserved (it can be lost at any checkpoint) or lost.';
comment on column walhook.slot_health.unconfirmed_wal_bytes is 'How far Walhook is behind the end of the log.';
comment on column walhook.slot_health.wal_status is 'As pg_replication_slots has it.';
comment on column walhook.space.dead_rows is 'What vacuum has still to remove.';
comment on column walhook.space.index_bytes is 'Its indexes.';
comment on column walhook.space.kept_for is 'WALHOOK_RETENTION, as it was last applied.';
comment on column walhook.space.last_vacuum is 'By hand or by itself.';
comment on column walhook.space.oldest_at is 'When the oldest of it was written.';
comment on column walhook.space.partition_name is 'The partition, where it is one.';
comment on column walhook.space.retention_applied_at is 'When that was.';
comment on column walhook.space.rows_estimate is 'As the last analyze left it.';
comment on column walhook.space.table_bytes is 'Without indexes.';
comment on column walhook.space.table_name is 'In schema walhook, or a partition''s table.';
comment on column walhook.space.total_bytes is 'Table, indexes and what is stored beside it.';
comment on column walhook.subscription_health.dead is 'Dead letters, of those that are kept: walhook.replay sends them again.';
comment on column walhook.subscription_health.delivered is 'Deliveries that were accepted, of those that are kept.';
comment on column walhook.subscription_health.disabled_from is 'When it is disabled if it goes on like that, by disable_after.';
comment on column walhook.subscription_health.ed25519_public_key is 'whpk_ and base64: what verifies the signatures of standard-ed25519. Walhook fills it in, within a second or so.';
comment on column walhook.subscription_health.failing_since is 'Since when every attempt has failed; null while the last one succeeded.';
comment on column walhook.subscription_health.failures_in_a_row is 'Failed attempts since then.';
comment on column walhook.subscription_health.id is 'Stands in walhook.deliveries and in every log line.';
comment on column walhook.subscription_health.last_delivered_at is 'When something was last accepted.';
comment on column walhook.subscription_health.oldest_pending_at is 'When the oldest of what is owed was recorded.';
comment on column walhook.subscription_health.pending is 'Deliveries that are still owed, of those that are kept.';
comment on column walhook.subscription_health.secret_preview is 'The last four characters of a whsec_ secret, to tell which it is; of another text nothing.';
comment on column walhook.subscription_health.state is 'active; paused (by a person) or disabled (by failure): then deliveries are recorded and wait.';
comment on column walhook.subscription_health.state_reason is 'Why it is not active: what a person gave as the reason, or gone, failing for …, or that the endpoint asked for it.';
comment on column walhook.subscription_health.tenant is 'Sees that tenant''s events only; null sees every event.';
comment on column walhook.subscription_health.url is 'Where to POST. https, unless the operator allows http. Read when an attempt starts.';
comment on column walhook.subscription_overview.batch is 'Collects events into one request: {"max_events":100,"max_wait":"5s"}. Null sends each by itself and at once.';
comment on column walhook.subscription_overview.body is 'What the body is: envelope (id, type, timestamp and data); payload (its bytes alone); cloudevents, cloudevents-binary or cloudevents-batch.';
comment on column walhook.subscription_overview.created_at is 'When it was made.';
comment on column walhook.subscription_overview.dead is 'Dead letters; 10000 stands for that many or more.';
comment on column walhook.subscription_overview.description is 'For people.';
comment on column walhook.subscription_overview.disable_after is 'Failing without a success for this long, and five times in a row, disables it; its deliveries wait then.';
comment on column walhook.subscription_overview.ed25519_public_key is 'whpk_ and base64: what verifies the signatures of standard-ed25519. Walhook fills it in, within a second or so.';
comment on column walhook.subscription_overview.event_types is 'Patterns: order.created, order.* (any depth) or *.';
comment on column walhook.subscription_overview.failing_since is 'Since when every attempt has failed; null while the last one succeeded.';
comment on column walhook.subscription_overview.failures_in_a_row is 'Failed attempts since then.';
comment on column walhook.subscription_overview.filter is 'SQL/JSON path predicate over the payload, $.amount > 100; null lets every event pass. One that errors does not match.';
comment on column walhook.subscription_overview.forward_headers is 'Names in the event''s headers that are sent as headers of the request.';
comment on column walhook.subscription_overview.handshake is 'Whether the endpoint has to consent first, by the CloudEvents webhook handshake.';
comment on column walhook.subscription_overview.has_auth is 'Whether it has credentials, which are shown nowhere.';
comment on column walhook.subscription_overview.has_tls is 'Whether it has certificates, which are shown nowhere.';
comment on column walhook.subscription_overview.header_prefix is 'Begins the names of our headers in place of webhook- and walhook-: X-Acme- gives X-Acme-Id, X-Acme-Signature and so on.';
comment on column walhook.subscription_overview.headers is 'As in walhook.subscriptions, with … for each value whose name sounds like a secret.';
comment on column walhook.subscription_overview.id is 'Stands in walhook.deliveries and in every log line.';
comment on column walhook.subscription_overview.last_delivered_at is 'When something was last delivered, of its newest 1,000 deliveries.';
comment on column walhook.subscription_overview.max_in_flight is 'Requests at one time, from each replica, where that is fewer than WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT.';
comment on column walhook.subscription_overview.method is 'POST or PUT.';
comment on column walhook.subscription_overview.name is 'What people call it, and by what a configuration file knows it: unique within its tenant, or among those without one. Null where nobody named it.';
comment on column walhook.subscription_overview.oldest_pending_at is 'Since when the oldest is owed, of the 1,000 that are due first.';
comment on column walhook.subscription_overview.on_dead is 'With ordering by key: whether a dead delivery blocks those behind it (block) or not (skip).';
comment on column walhook.subscription_overview.ordering is 'none, or key: events of one key one at a time, in commit order.';
comment on column walhook.subscription_overview.pending is 'Deliveries that are still owed; 10000 stands for that many or more.';
comment on column walhook.subscription_overview.previous_secret_until is 'When the previous secret stops signing; retention removes it then.';
comment on column walhook.subscription_overview.rate_limit is 'Requests in a second or a minute, over all replicas: 10/s, 600/m, or 10/s burst 50. Null is without limit.';
comment on column walhook.subscription_overview.recent is 'The last 20 attempts of its newest deliveries, the newest first: delivery_id, attempt, at, duration_ms, status, error, outcome (delivered or failed).';
comment on column walhook.subscription_overview.retry_on is 'any: every failure is retried. transient: network errors, 408, 425, 429 and 5xx are; any other status is dead at once.';
comment on column walhook.subscription_overview.retry_schedule is 'Delays between attempts, each varied by 20 %. After the last one the delivery is dead. {} means one attempt.';
comment on column walhook.subscription_overview.secret_preview is 'The last four characters of a whsec_ secret, to tell which it is; of another text nothing.';
comment on column walhook.subscription_overview.signature is 'How requests are signed: standard, standard-ed25519, github, stripe, hex, several of them, or {none}.';
comment on column walhook.subscription_overview.signature_header is 'The header of a hex signature; null means X-Webhook-Signature.';
comment on column walhook.subscription_overview.signs_as is 'Requests are signed with that subscription''s secrets, whatever they are by then, and not with its own: made by a replay to another URL.';
comment on column walhook.subscription_overview.state is 'active; paused (by a person) or disabled (by failure): then deliveries are recorded and wait.';
comment on column walhook.subscription_overview.state_reason is 'Why it is not active: what a person gave as the reason, or gone, failing for …, or that the endpoint asked for it.';
comment on column walhook.subscription_overview.tenant is 'Sees that tenant''s events only; null sees every event.';
comment on column walhook.subscription_overview.timeout is 'How long one attempt may take, connecting included.';
comment on column walhook.subscription_overview.ttl is 'An event that is older is not sent any more, but cancelled. Null means never.';
comment on column walhook.subscription_overview.updated_at is 'When it was last changed; not by sealing a secret nor by removing one that has ended.';
comment on column walhook.subscription_overview.url is 'Where to POST. https, unless the operator allows http. Read when an attempt starts.';
comment on column walhook.subscription_overview.version is 'Another text after each change; walhook.change_subscription compares it.';
comment on column walhook.subscription_stats.attempts_24h is 'Attempts of the last 24 hours.';
comment on column walhook.subscription_stats.attempts_7d is 'Attempts of the last 7 days.';
comment on column walhook.subscription_stats.dead_7d is 'Deliveries that died in the last 7 days.';
comment on column walhook.subscription_stats.delivered_7d is 'Deliveries that were accepted in the last 7 days.';
comment on column walhook.subscription_stats.failed_attempts_24h is 'Those of them that were not accepted.';
comment on column walhook.subscription_stats.failed_attempts_7d is 'Those of them that were not accepted.';
comment on column walhook.subscription_stats.failure_rate_24h is 'Their share, from 0 to 1; null without attempts.';
comment on column walhook.subscription_stats.failure_rate_7d is 'Their share, from 0 to 1; null without attempts.';
comment on column walhook.subscription_stats.id is 'Stands in walhook.deliveries and in every log line.';
comment on column walhook.subscription_stats.state is 'active; paused (by a person) or disabled (by failure): then deliveries are recorded and wait.';
comment on column walhook.subscription_stats.tenant is 'Sees that tenant''s events only; null sees every event.';
comment on column walhook.subscription_stats.url is 'Where to POST. https, unless the operator allows http. Read when an attempt starts.';
comment on column walhook.subscriptions.active_from_lsn is 'Receives the events whose transaction committed after this position of the write-ahead log.';
comment on column walhook.subscriptions.active_from_xid is 'For events whose place in the log is unknown: owed those of this transaction and later ones. What was open when the subscription was made counts as later.';
comment on column walhook.subscriptions.auth is 'Credentials, as JSON text or sealed: {"type":"basic","username":…,"password":…}, {"type":"bearer","token":…}, or {"type":"oauth2","token_url":…,"client_id":…,"client_secret":…,"scope":…}.';
comment on column walhook.subscriptions.batch is 'Collects events into one request: {"max_events":100,"max_wait":"5s"}. Null sends each by itself and at once.';
comment on column walhook.subscriptions.body is 'What the body is: envelope (id, type, timestamp and data); payload (its bytes alone); cloudevents, cloudevents-binary or cloudevents-batch.';
comment on column walhook.subscriptions.created_at is 'When it was made.';
comment on column walhook.subscriptions.description is 'For people.';
comment on column walhook.subscriptions.disable_after is 'Failing without a success for this long, and five times in a row, disables it; its deliveries wait then.';
comment on column walhook.subscriptions.ed25519_key is 'The private key of standard-ed25519: whsk_ and base64, or sealed. Made where a subscription asks for that signature and brings none.';
comment on column walhook.subscriptions.ed25519_public_key is 'whpk_ and base64: what verifies the signatures of standard-ed25519. Walhook fills it in, within a second or so.';
comment on column walhook.subscriptions.event_types is 'Patterns: order.created, order.* (any depth) or *.';
comment on column walhook.subscriptions.filter is 'SQL/JSON path predicate over the payload, $.amount > 100; null lets every event pass. One that errors does not match.';
comment on column walhook.subscriptions.forward_headers is 'Names in the event''s headers that are sent as headers of the request.';
comment on column walhook.subscriptions.handshake is 'Whether the endpoint has to consent first, by the CloudEvents webhook handshake.';
comment on column walhook.subscriptions.header_prefix is 'Begins the names of our headers in place of webhook- and walhook-: X-Acme- gives X-Acme-Id, X-Acme-Signature and so on.';
comment on column walhook.subscriptions.headers is 'Headers of one''s own, a JSON object of texts, sent with each request.';
comment on column walhook.subscriptions.id is 'Stands in walhook.deliveries and in every log line.';
comment on column walhook.subscriptions.match_keys is 'tenant:pattern keys, for the index that finds the subscriptions of an event.';
comment on column walhook.subscriptions.max_in_flight is 'Requests at one time, from each replica, where that is fewer than WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT.';
comment on column walhook.subscriptions.method is 'POST or PUT.';
comment on column walhook.subscriptions.name is 'What people call it, and by what a configuration file knows it: unique within its tenant, or among those without one. Null where nobody named it.';
comment on column walhook.subscriptions.on_dead is 'With ordering by key: whether a dead delivery blocks those behind it (block) or not (skip).';
comment on column walhook.subscriptions.ordering is 'none, or key: events of one key one at a time, in commit order.';
comment on column walhook.subscriptions.previous_secret is 'The secret before the last rotation, plain or sealed; requests are signed with both until previous_secret_until.';
comment on column walhook.subscriptions.previous_secret_until is 'When the previous secret stops signing; retention removes it then.';
comment on column walhook.subscriptions.rate_limit is 'Requests in a second or a minute, over all replicas: 10/s, 600/m, or 10/s burst 50. Null is without limit.';
comment on column walhook.subscriptions.retry_on is 'any: every failure is retried. transient: network errors, 408, 425, 429 and 5xx are; any other status is dead at once.';
comment on column walhook.subscriptions.retry_schedule is 'Delays between attempts, each varied by 20 %. After the last one the delivery is dead. {} means one attempt.';
comment on column walhook.subscriptions.secret is 'Signing secret: whsec_ and base64, or for github, stripe and hex any text of 16 to 255 characters; plain, or sealed (enc:v1:…), which Walhook makes of it where it has a key.';
comment on column walhook.subscriptions.secret_preview is 'The last four characters of a whsec_ secret, to tell which it is; of another text nothing.';
comment on column walhook.subscriptions.signature is 'How requests are signed: standard, standard-ed25519, github, stripe, hex, several of them, or {none}.';
comment on column walhook.subscriptions.signature_header is 'The header of a hex signature; null means X-Webhook-Signature.';
comment on column walhook.subscriptions.signs_as is 'Requests are signed with that subscription''s secrets, whatever they are by then, and not with its own: made by a replay to another URL.';
comment on column walhook.subscriptions.state is 'active; paused (by a person) or disabled (by failure): then deliveries are recorded and wait.';
comment on column walhook.subscriptions.state_reason is 'Why it is not active: what a person gave as the reason, or gone, failing for …, or that the endpoint asked for it.';
comment on column walhook.subscriptions.tenant is 'Sees that tenant''s events only; null sees every event.';
comment on column walhook.subscriptions.timeout is 'How long one attempt may take, connecting included.';
comment on column walhook.subscriptions.tls is 'Certificates, as JSON text or sealed: {"ca":PEM} trusts that authority; {"cert":PEM,"key":PEM} is the client''s certificate.';
comment on column walhook.subscriptions.ttl is 'An event that is older is not sent any more, but cancelled. Null means never.';
comment on column walhook.subscriptions.updated_at is 'When it was last changed; not by sealing a secret nor by removing one that has ended.';
comment on column walhook.subscriptions.url is 'Where to POST. https, unless the operator allows http. Read when an attempt starts.';
comment on function walhook.add_buckets(bigint[],bigint[]) is 'The sum of two histograms.';
comment on function walhook.advance_replay(bigint) is 'Does one piece of a running replay, and returns it; null where it waits, is over, or somebody else is at it.';
comment on function walhook.apply_ordering() is 'A change of ordering or on_dead, applied to what waits already.';
comment on function walhook.are_event_type_patterns(text[]) is 'Whether a list is a subscription''s event_types: 1 to 100 patterns, every one well formed.';
comment on function walhook.begin_health_anew() is 'Ends the failing period of a subscription that is resumed, moved to another URL, or deleted.';
comment on function walhook.bring_ed25519_key() is 'Makes the key of a subscription that signs with standard-ed25519 and brings none, and forgets the public key of another one.';
comment on function walhook.can_sign(text,text[]) is 'Whether a secret, plain or sealed, has the form that these schemes need: whsec_ and base64 for standard, else a text.';
comment on function walhook.cancel(bigint) is 'Cancels a delivery that is pending: an attempt that has not begun does not begin, here at once and on other replicas within a second. One that is under way ends as it does, and a 2xx counts. One that is cancelled already is left so; walhook.resend puts it back.';
comment on function walhook.cancel_deliveries_of_subscription() is 'Cancels what a deleted subscription was still owed, and forgets what was counted of it.';
comment on function walhook.certificates_rule(text) is 'Which rule a text breaks that is to be certificates; null where it breaks none.';
comment on function walhook.change_subscription(uuid,jsonb,text) is 'Changes the options that are named, {"timeout": "5s", "ttl": null}; null makes one what it is by default. With a version, only if nobody changed it since (SQLSTATE WH412).';
comment on function walhook.check_access(walhook.subscriptions) is 'Refuses what cannot be credentials, certificates or a handshake.';
comment on function walhook.check_batch(walhook.subscriptions) is 'Refuses what cannot be a batch, or cannot be sent as one.';
comment on function walhook.check_event_type() is 'Refuses what cannot be an event type, naming the field and the rule.';
comment on function walhook.check_lifetime(walhook.subscriptions) is 'Refuses what cannot be the time that an event or a failing subscription has.';
comment on function walhook.check_name(walhook.subscriptions) is 'Refuses what cannot be a name, and one that is taken.';
comment on function walhook.check_ordering(walhook.subscriptions) is 'Refuses what cannot be an order.';
comment on function walhook.check_pace(walhook.subscriptions) is 'Refuses what cannot be a limit.';
comment on function walhook.check_replay(walhook.replays,text) is 'Refuses what cannot be replayed, naming the field and the rule.';
comment on function walhook.check_request(walhook.subscriptions) is 'Refuses what cannot be a request''s method, body or headers.';
comment on function walhook.check_retries(walhook.subscriptions) is 'Refuses what cannot be patience.';
comment on function walhook.check_secrets(walhook.subscriptions) is 'Refuses what cannot be a signing secret.';
comment on function walhook.check_signature(walhook.subscriptions) is 'Refuses what cannot be a way of signing.';
comment on function walhook.check_subscription() is 'Refuses what cannot be a subscription, naming the field and the rule.';
comment on function walhook.check_wish(walhook.subscriptions) is 'Refuses what cannot be an endpoint or a wish for events.';
comment on function walhook.consent_pause(integer) is 'How long after so many refusals in a row an endpoint is asked again for its consent.';
comment on function walhook.continue_replay(bigint) is 'Goes on with a replay that was stopped, or failed for an error, where it was.';
comment on function walhook.count_cancelled(uuid,bigint) is 'For what cancels deliveries in SQL: counts them in rows of this transaction''s own, for which nobody waits.';
comment on function walhook.count_replay(walhook.replays) is 'How many deliveries a replay would send again or make, and how old the oldest event is.';
comment on function walhook.counts_within(interval,uuid,text) is 'The counters of a period that ends now: of one subscription, of those of a tenant, or of all together.';
comment on function walhook.create_api_key(text,text,text,timestamp with time zone) is 'Makes a key for the HTTP API and shows it, this once. scope: publish, read, operate or admin. With a tenant it sees and writes only what is that tenant''s.';
comment on function walhook.create_subscription(jsonb,text) is 'walhook.subscribe for programs: {"url": …} with any other options. Returns the id and the signing secret, which is shown this once.';
comment on function walhook.credentials_rule(text) is 'Which rule a text breaks that is to be credentials; null where it breaks none.';
comment on function walhook.default_of_option(text) is 'What a column of walhook.subscriptions holds where nobody says anything; JSON''s null where that is nothing.';
comment on function walhook.delete_subscription(uuid,text) is 'Deletes a subscription. What it was still owed is cancelled, and stays visible. With a version, only if nobody changed it since (SQLSTATE WH412).';
comment on function walhook.deliver_at(text,timestamp with time zone) is 'When an event with this deliver_after in its headers is due: a duration counts from its creation, a time is RFC 3339, and a year is the most. Null for what is neither.';
comment on function walhook.delivery_id_at(timestamp with time zone) is 'About which id the deliveries begin that were recorded then or later, found by halving. Right but for transactions that ran at that time: allow some minutes, and compare created_at itself.';
comment on function walhook.drop_attempt_partitions(interval) is 'Drops the day partitions of attempts that are older than the interval; returns how many.';
comment on function walhook.due_at(json,timestamp with time zone) is 'When an event with these headers is due, by their deliver_after; null where it is due at once.';
comment on function walhook.duration_ms(text) is 'A duration such as 500ms, 5s, 10m, 2h or 5d in milliseconds; null when the text is not a duration.';
comment on function walhook.emit(text,json,text,text,json,uuid) is 'Writes an event to the log alone, in the caller''s transaction, and returns its id. Nothing is sent unless that transaction commits. The log is its only copy until Walhook has recorded it.';
comment on function walhook.end_replays_of_subscription() is 'Ends the replays of a deleted subscription.';
comment on function walhook.ensure_attempt_partitions(integer) is 'Makes the day partitions of attempts from yesterday to so many days ahead; returns how many were missing.';
comment on function walhook.event_match_keys(text,text) is 'The tenant:pattern keys that an event of this type and tenant meets.';
comment on function walhook.expunge(uuid) is 'Removes an event''s payload and headers, and what endpoints answered to it; cancels what of it is still pending. Id, type, key, tenant, deliveries and attempts stay. May be called again.';
comment on function walhook.filter_matches(jsonpath,text) is 'Whether a payload meets a subscription''s filter. A payload that jsonb cannot hold does not.';
comment on function walhook.has_room_for_replay(uuid) is 'Whether fewer than 1,000 deliveries of the subscription wait.';
comment on function walhook.is_asked_for(walhook.replays,walhook.outbox) is 'Whether a replay asks for an event, by all but its type, and it can still be sent.';
comment on function walhook.is_delivery_asked_for(walhook.replays,integer,text) is 'Whether a replay asks for deliveries whose last attempt ended so.';
comment on function walhook.is_ed25519_key(text) is 'Whether a text is an Ed25519 private key of Standard Webhooks: whsk_ and the base64 of 32 bytes, or of 64 with the public key.';
comment on function walhook.is_endpoint_url(text) is 'Whether a text can be an endpoint: an http or https URL of at most 2048 characters.';
comment on function walhook.is_event_type(text) is 'Whether a text is an event type: names of letters, digits, _ and -, joined by dots; at most 255 characters.';
comment on function walhook.is_event_type_pattern(text) is 'Whether a text is a pattern: an event type, a prefix and .* (any depth below it), or * for every type.';
comment on function walhook.is_filter_predicate(jsonpath) is 'Whether a path asks something ($.amount > 100) and does not just select something.';
comment on function walhook.is_header_name(text) is 'Whether a text can be the name of a header: a token (RFC 9110) of at most 128 characters.';
comment on function walhook.is_header_value(text) is 'Whether a text can be the value of a header: printable ASCII with no space at its ends, so that nothing ends it and begins another.';
comment on function walhook.is_kind_asked_for(walhook.replays,text[],text,text) is 'Whether a replay asks for events of a type and a tenant, and a backfilled subscription with these keys gets them.';
comment on function walhook.is_operator_event_wanted(text) is 'Whether a subscription asks for such an event of Walhook''s own: by the tenant walhook, or by a pattern that names walhook.';
comment on function walhook.is_replica_here(uuid) is 'Whether the session is open that this process keeps open for as long as it runs.';
comment on function walhook.is_retry_schedule(text[]) is 'Whether a list is a retry schedule: up to 100 durations, each at most 30d. An empty list means one attempt.';
comment on function walhook.is_sealed(text) is 'Whether a text is sealed: enc:v1, the id of the key, the last characters of what is sealed, and base64.';
comment on function walhook.is_signing_secret(text) is 'Whether a text is a Standard Webhooks secret: whsec_ and the base64 of 24 to 64 bytes.';
comment on function walhook.latency_bound(integer) is 'What is in this bucket of a latency histogram took less, in milliseconds, and no less than the bound of the one before. The first is 0.';
comment on function walhook.let_key_go_on() is 'When a delivery with an order_key ends: fetches the next of its key to the front, or lets a dead one block the key.';
comment on function walhook.make_due(bigint) is 'What walhook.resend does, for a caller that wakes Walhook by itself: replays do, once for many.';
comment on function walhook.masked_headers(jsonb) is 'Headers of one''s own with … in place of each value whose name sounds like a secret.';
comment on function walhook.matches(uuid,text,integer) is 'Who gets an event, and why others do not: "event type", "tenant", "filter", "made after the event", "made or changed after the event", "the catalog refused it" or "expunged". Those that match come first, with their deliveries; then near misses, up to max_rows in all. With a tenant, that tenant''s subscriptions only.';
comment on function walhook.matching_subscriptions(text,text,json) is 'Who would get this event?';
comment on function walhook.matching_subscriptions(text,text,text) is 'Who would get this event? The fan-out calls this very function. Subscriptions that are not active match too: their deliveries wait.';
comment on function walhook.new_api_key() is 'A fresh key for the HTTP API: 244 bits from the server''s strong random source.';
comment on function walhook.new_ed25519_key() is 'A fresh Ed25519 private key: a seed of 32 bytes, 244 bits of them from the server''s strong random source.';
comment on function walhook.new_secret() is 'A fresh signing secret: 32 bytes, 244 bits of them from the server''s strong random source.';
comment on function walhook.order_key(text,text) is 'What to write into deliveries.order_key for an event with this key and a subscription with this ordering.';
comment on function walhook.overlap_of(text) is 'How long an old secret signs beside its successor: 24 hours where nobody says.';
comment on function walhook.own_header_names(walhook.subscriptions) is 'What the headers are called that identify and sign a subscription''s requests, in lower case; a name that stands there twice is one too many.';
comment on function walhook.pause(uuid,text) is 'Parks a subscription: its deliveries are recorded and wait. Nothing is dropped. Takes effect at once, on other replicas within a second.';
comment on function walhook.percentile_ms(bigint[],double precision) is 'The latency that this share of a histogram stayed below: exact to the bucket, which is at most two fifths wide. Null where nothing was counted.';
comment on function walhook.publish(text,json,text,text,json,uuid) is 'Writes an event to the outbox in the caller''s transaction and returns its id. Nothing is sent unless that transaction commits.';
comment on function walhook.read_filter(text) is 'A text as a filter; refused, and named, where it is none.';
comment on function walhook.read_subscription(walhook.subscriptions,jsonb) is 'A row with these options in it, each a member of the object by its column''s name. What cannot be read is refused by that name.';
comment on function walhook.refuse(text,text) is 'Raises invalid_parameter_value for one field.';
comment on function walhook.release_event(uuid) is 'Sends a dead event on its way to the subscriptions that it is owed to, those that were there when it was committed; returns how many. It is not checked again: that is your word.';
comment on function walhook.release_key(bigint) is 'The same, by the id of the dead delivery: of use where the outbox no longer has its key.';
comment on function walhook.release_key(uuid,text) is 'Lets a blocked key go on without its dead deliveries, which stay dead; returns their ids. walhook.resend would send them first instead.';
comment on function walhook.replay(uuid,text[],timestamp with time zone,timestamp with time zone,text[],text,text,text,boolean,boolean,int4range,text) is 'Sends deliveries again (by default the dead ones), sends their events to another URL, or backfills a subscription from the outbox: one row for each subscription, whose total says how many. With dry_run it only counts, and id is null. Where there is nothing, id is null too.';
comment on function walhook.replay_deliveries(walhook.replays) is 'One piece of a resend or a copy, in the order of deliveries, which is that of commits.';
comment on function walhook.replay_events(walhook.replays) is 'One piece of a backfill, in the order of created_at. It ends before the first event that the audit has not passed.';
comment on function walhook.resend(bigint) is 'Makes a delivery due now, whatever its state, with its whole retry schedule before it. The webhook-id stays the event''s. Acted on at once.';
comment on function walhook.reserved_header(text) is 'Why no subscription may choose a header of this name; null where it may.';
comment on function walhook.resume(uuid) is 'Makes a paused or disabled subscription active again; what waited is delivered, oldest first.';
comment on function walhook.revoke_api_key(uuid) is 'From the next request on the key is refused, and with it the sessions and portal links that were opened with it. Revoking it again changes nothing.';
comment on function walhook.rotate_secret(uuid,text,interval) is 'Gives a subscription a new signing secret and returns it, this once. Requests are signed with both until the overlap ends; without one the old secret is gone at once.';
comment on function walhook.stats(interval,uuid,text) is 'How deliveries went in a period that ends now (a minute to seven days), of one subscription, of a tenant''s, or of all: counts, the share of attempts that failed, percentiles of how long attempts took and of commit to delivery, and what is owed now. drained_in is that of the slowest endpoint that moves. Counters are a few seconds old.';
comment on function walhook.stats_from(interval) is 'Where the statistics of a period that ends now begin.';
comment on function walhook.stats_series(interval,uuid,text) is 'The same, point by point, for a chart: every step of the period, the present one being under way.';
comment on function walhook.stats_step(interval) is 'How far apart the points of a series over this period are: up to an hour a minute, up to a day a quarter of an hour, up to a week an hour.';
comment on function walhook.stop_replay(bigint) is 'Stops a replay that is running: nothing more is made due. What has been is sent. One that is over stays as it is.';
comment on function walhook.subscribe(text,text[],text,jsonpath,text,text,text,text[],text,text,text,jsonb,text[],text[],text,text,text,text,text,boolean,jsonb,text,text,text,integer,text,text,text) is 'Makes a subscription; returns its id and its signing secret, which is shown this once. It receives the events committed from now on. Each option is a column of walhook.subscriptions.';
comment on function walhook.subscribe_replay(bigint,uuid,text) is 'Makes the subscription that a replay to another URL fills: no event matches it by itself, and it signs as the one that it stands for.';
comment on function walhook.subscription_facts(walhook.subscriptions) is 'What an operator event says of a subscription: nothing that is a secret.';
comment on function walhook.subscription_match_keys(text,text[]) is 'The tenant:pattern keys under which a subscription is indexed.';
comment on function walhook.subscription_options() is 'The columns of walhook.subscriptions that a person chooses. The secret is not among them: it is given when one is made, and rotated.';
comment on function walhook.subscription_version(walhook.subscriptions) is 'Another text after each change, and the same while Walhook seals what is in the row.';
comment on function walhook.sum_buckets(bigint[]) is 'The sum of histograms.';
comment on function walhook.tell_operators(text,text,jsonb) is 'Writes an event of the tenant walhook and returns its id; null, and nothing is written, where nobody asks for such events.';
comment on function walhook.test_subscription(uuid) is 'Sends an event walhook.test to this subscription and no other, whatever its patterns and filter, once the transaction commits. What becomes of it stands in walhook.delivery_status like any other delivery.';
comment on function walhook.text_members(text) is 'A JSON object whose values are all texts; null where the text is something else.';
comment on function walhook.touch_subscription() is 'Keeps subscriptions.updated_at; an update that sets it to null leaves it as it was.';
comment on function walhook.try_filter(text,text[],text,integer) is 'Which of the most recent events a filter would let pass: those of these types and this tenant, of the newest 10,000. The payload is its first 1,000 characters.';
comment on function walhook.unmasked_headers(jsonb,jsonb) is 'Headers as somebody sends them back, with each … replaced by what was there before.';
comment on function walhook.url_origin(text) is 'Scheme, host and port of a URL: user, path and query may be secrets.';
comment on function walhook.uuidv7() is 'A time-ordered UUID (version 7): milliseconds since 1970, then random bits. The default of outbox.id.';
comment on function walhook.wake(uuid) is 'Has Walhook look at a subscription and what it is owed as soon as the caller''s transaction has committed, rather than within a second. It changes nothing.';
comment on function walhook.wake_for_subscription() is 'Has a change of a subscription noticed at once, whoever makes it.';
comment on function walhook.xid_age(xid8) is 'How many transactions ago this one began, as age() tells it of a row''s xmin: a row is of this transaction or a younger one if its age is no greater.';
comment on schema walhook is 'Webhooks from committed events: write to outbox, look at delivery_status, ask matching_subscriptions.';
comment on table walhook.api_keys is 'Keys for the HTTP API; made by walhook.create_api_key, ended by walhook.revoke_api_key. As soon as there is a row, even a revoked one, /v1 asks everyone for a key.';
comment on table walhook.attempts is 'One row an HTTP request. Partitioned by day (UTC): retention drops whole days.';
comment on table walhook.consents is 'What the endpoints of subscriptions with a handshake were asked, and said. A row that is deleted is asked for anew.';
comment on table walhook.dead_events is 'Events that the catalog refused: no subscription got a delivery. The event itself stays in the outbox for as long; walhook.release_event sends it on its way.';
comment on table walhook.deliveries is 'One event owed to one subscription. No foreign keys: under synchronous replication the event arrives over the log before it can be read.';
comment on table walhook.delivery_counts is 'Counters, written every few seconds by each process: walhook.stats reads them, and what that costs does not grow with the tables. A crash may lose the last seconds of a counter. Minutes are kept for two hours, quarters of an hour for a week.';
comment on table walhook.event_types is 'The catalog: which types of events there are, and what their payloads look like. WALHOOK_EVENT_TYPES says what it decides.';
comment on table walhook.failing_endpoints is 'Subscriptions whose last attempt failed. A healthy one has no row, so that a success costs no write. No foreign key: a settlement must not fail for a subscription that is being deleted.';
comment on table walhook.malformed is 'Rows that arrived over the log and could not be an event. They never stop the stream; look here and publish them again.';
comment on table walhook.migrations is 'Which migrations have run.';
comment on table walhook.outbox is 'Events that applications committed. INSERT here in the same transaction as the business change, or call walhook.publish.';
comment on table walhook.rate_limits is 'What subscriptions with a rate_limit have used of it, over all replicas. Empty after a crash of the server; nothing else is lost with it.';
comment on table walhook.relay is 'How far the relay has recorded, one row a slot; written in the transaction that records the deliveries, and never behind what is confirmed to Postgres.';
comment on table walhook.replays is 'Deliveries sent again, or made of older events, in pieces. A row is the job: what was asked, and how far it has come.';
comment on table walhook.replicas is 'Processes of Walhook: each writes its row when it starts and when its role changes, keeps a session of its own open, and takes the row away when it stops. walhook.replica_status says which of them are here.';
comment on table walhook.retention is 'What retention did last, by table, and how long it keeps what is finished. Shown by walhook.space.';
comment on table walhook.session_secret is 'Signs portal links and the page''s sessions where there is no WALHOOK_ADMIN_TOKEN. Deleting the row ends all of them.';
comment on table walhook.subscriptions is 'Standing wishes: which events go to which endpoint, signed with which secret. One row, one endpoint.';
comment on view walhook.backlog is 'What is still owed, by subscription, and how long it takes at the rate of the last five minutes if nothing is added. drained_in is null while nothing moves, or nobody knows.';
comment on view walhook.blocked_keys is 'Keys that wait behind a dead delivery (on_dead = block). walhook.resend sends it again at its place; walhook.release_key lets the others pass.';
comment on view walhook.consent_status is 'Each subscription with a handshake: whether its endpoint consented, to how many requests a minute, or why it did not and when it is asked again. It is asked when a delivery waits.';
comment on view walhook.delivery_status is 'Every delivery with its event and its endpoint: the first place to look.';
comment on view walhook.key_fronts is 'For Walhook itself: deliveries that others of their key wait for. One may be claimed if no other here is older, or held.';
comment on view walhook.replay_status is 'Each replay: how far it has come, what it waits for, and how long it may still take.';
comment on view walhook.replica_status is 'Processes of Walhook, and which of them streams the slot. One whose session has ended is gone, and forgotten after ten minutes.';
comment on view walhook.slot_health is 'The replication slot: whether it is there and used, and how much write-ahead log it makes Postgres keep. state is missing, reserved, extended, unreserved or lost. lag_seconds is what Postgres measured from a commit to its confirmation; null where all is confirmed, nobody streams, or the login may not see it.';
comment on view walhook.space is 'What each table takes on disk, by partition where there are any. Rows are estimates of the last vacuum or analyze; oldest_at is that of the row with the lowest id.';
comment on view walhook.subscription_health is 'Each subscription with what is owed to it and what became of the rest: pending and dead as they are now, delivered ever since (a counter, a few seconds old).';
comment on view walhook.subscription_overview is 'Each subscription with all its options, how it fares, and none of its secrets. Looks into indexes only: see the columns for where it stops counting.';
comment on view walhook.subscription_stats is 'Each subscription with how its attempts went in the last day and week. walhook.stats says more of one.';

grant execute on function walhook.emit(text,json,text,text,json,uuid) to public;
grant execute on function walhook.is_event_type(text) to public;
grant execute on function walhook.publish(text,json,text,text,json,uuid) to public;
grant execute on function walhook.uuidv7() to public;
