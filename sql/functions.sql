-- The functions that people and programs call. Applied again at each migration, so each is "create or replace".

create or replace function walhook.publish(
  type text,
  payload json,
  key text default null,
  tenant text default null,
  headers json default '{}',
  id uuid default null
) returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  -- Made here and not by "returning": an application's role may insert into the outbox and not read it.
  event_id constant uuid := coalesce(publish.id, walhook.uuidv7());
begin
  insert into walhook.outbox (id, type, key, tenant, payload, headers)
  values (event_id, publish.type, publish.key, publish.tenant, publish.payload, publish.headers);
  return event_id;
end
$$;
comment on function walhook.publish(text, json, text, text, json, uuid) is
  'Writes an event to the outbox in the caller''s transaction and returns its id. Nothing is sent unless that transaction commits.';

-- Rows know the low half of their transaction's number only, and age() compares those; it says of one that is more than
-- two thousand million behind that it is ahead.
create or replace function walhook.xid_age(xid xid8) returns integer
language sql stable strict parallel safe
as $$
  select case
    when pg_snapshot_xmax(pg_current_snapshot())::text::bigint - xid::text::bigint < 2147483647 then age(xid::xid)
    else 2147483647
  end
$$;
comment on function walhook.xid_age(xid8) is
  'How many transactions ago this one began, as age() tells it of a row''s xmin: a row is of this transaction or a younger one if its age is no greater.';

-- Every pattern that an event can meet: its type, each prefix with .*, and *; for its tenant, and for subscriptions without one.
-- A test event meets none: it is somebody's before it is looked at (test_events.sql).
-- Worked out once an event. A query that says the same takes five times as long, most of it to begin and to end.
create or replace function walhook.event_match_keys(type text, tenant text) returns text[]
language plpgsql immutable parallel safe
as $$
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
$$;
comment on function walhook.event_match_keys(text, text) is 'The tenant:pattern keys that an event of this type and tenant meets.';

create or replace function walhook.filter_matches(filter jsonpath, payload text) returns boolean
language plpgsql immutable parallel safe
as $$
begin
  -- @@ swallows the path's own errors; the cast can still fail, on \u0000 for one, and must not take a batch with it.
  return coalesce(payload::jsonb @@ filter, false);
exception
  when data_exception or program_limit_exceeded or statement_too_complex then
    return false;
end
$$;
comment on function walhook.filter_matches(jsonpath, text) is
  'Whether a payload meets a subscription''s filter. A payload that jsonb cannot hold does not.';

-- Keys are worked out once an event: "offset 0" keeps the planner from moving the call into the join condition,
-- where it would run once a pair.
drop function if exists walhook.matching_subscriptions(text, text, json);
drop function if exists walhook.matching_subscriptions(text, text, text);
create or replace function walhook.matching_subscriptions(type text, tenant text, payload text)
returns table (subscription_id uuid, state text, active_from_lsn pg_lsn, ordering text)
language sql stable
as $$
  select s.id, s.state, s.active_from_lsn, s.ordering
  from (select walhook.event_match_keys(type, tenant) as keys offset 0) as e
  join walhook.subscriptions as s on s.match_keys && e.keys
  where s.filter is null or walhook.filter_matches(s.filter, payload)
$$;
comment on function walhook.matching_subscriptions(text, text, text) is
  'Who would get this event? The fan-out calls this very function. Subscriptions that are not active match too: their deliveries wait.';

create or replace function walhook.matching_subscriptions(type text, tenant text, payload json)
returns table (subscription_id uuid, state text, active_from_lsn pg_lsn, ordering text)
language sql stable
as $$ select * from walhook.matching_subscriptions(type, tenant, payload::text) $$;
comment on function walhook.matching_subscriptions(text, text, json) is 'Who would get this event?';

create or replace function walhook.new_secret() returns text
language sql volatile
as $$ select 'whsec_' || encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64') $$;
comment on function walhook.new_secret() is 'A fresh signing secret: 32 bytes, 244 bits of them from the server''s strong random source.';

-- Earlier releases', with other arguments.
drop function if exists walhook.check_subscription(text, text[], jsonpath, text, text, text, text[], text);
drop function if exists walhook.subscribe(text, text[], text, jsonpath, text, text, text, text[], text);
drop function if exists walhook.subscribe(
  text, text[], text, jsonpath, text, text, text, text[], text, text, text, jsonb, text[], text[], text, text, text, text, text,
  boolean, jsonb, text, text, text, integer, text, text
);

create or replace function walhook.subscribe(
  out id uuid,
  url text,
  event_types text[] default '{*}',
  tenant text default null,
  filter jsonpath default null,
  description text default null,
  inout secret text default null,
  timeout text default null,
  retry_schedule text[] default null,
  retry_on text default null,
  method text default null,
  body text default null,
  headers jsonb default null,
  forward_headers text[] default null,
  signature text[] default null,
  signature_header text default null,
  header_prefix text default null,
  ed25519_key text default null,
  auth text default null,
  tls text default null,
  handshake boolean default null,
  batch jsonb default null,
  ordering text default null,
  on_dead text default null,
  rate_limit text default null,
  max_in_flight integer default null,
  ttl text default null,
  disable_after text default null,
  name text default null
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.subscribe is
  'Makes a subscription; returns its id and its signing secret, which is shown this once. It receives the events committed from now on. Each option is a column of walhook.subscriptions.';

create or replace function walhook.rotate_secret(id uuid, secret text default null, overlap interval default '24 hours')
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.rotate_secret(uuid, text, interval) is
  'Gives a subscription a new signing secret and returns it, this once. Requests are signed with both until the overlap ends; without one the old secret is gone at once.';

create or replace function walhook.pause(id uuid, reason text default null) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  update walhook.subscriptions as s set state = 'paused', state_reason = reason where s.id = pause.id;
  if not found then
    raise exception 'there is no subscription %', pause.id using errcode = 'no_data_found';
  end if;
end
$$;
comment on function walhook.pause(uuid, text) is
  'Parks a subscription: its deliveries are recorded and wait. Nothing is dropped. Takes effect at once, on other replicas within a second.';

create or replace function walhook.resume(id uuid) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  update walhook.subscriptions as s set state = 'active', state_reason = null where s.id = resume.id;
  if not found then
    raise exception 'there is no subscription %', resume.id using errcode = 'no_data_found';
  end if;
end
$$;
comment on function walhook.resume(uuid) is 'Makes a paused or disabled subscription active again; what waited is delivered, oldest first.';

create or replace function walhook.make_due(delivery_id bigint) returns walhook.deliveries
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.make_due(bigint) is 'What walhook.resend does, for a caller that wakes Walhook by itself: replays do, once for many.';

create or replace function walhook.resend(delivery_id bigint) returns walhook.deliveries
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  resent constant walhook.deliveries := walhook.make_due(resend.delivery_id);
begin
  perform walhook.wake(resent.subscription_id);
  return resent;
end
$$;
comment on function walhook.resend(bigint) is
  'Makes a delivery due now, whatever its state, with its whole retry schedule before it. The webhook-id stays the event''s. Acted on at once.';

create or replace function walhook.cancel(delivery_id bigint) returns walhook.deliveries
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.cancel(bigint) is
  'Cancels a delivery that is pending: an attempt that has not begun does not begin, here at once and on other replicas within a second. One that is under way ends as it does, and a 2xx counts. One that is cancelled already is left so; walhook.resend puts it back.';

create or replace function walhook.touch_subscription() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Null says: this is housekeeping, and no change that anybody made.
  new.updated_at := case when new.updated_at is null then old.updated_at else now() end;
  return new;
end
$$;
comment on function walhook.touch_subscription() is
  'Keeps subscriptions.updated_at; an update that sets it to null leaves it as it was.';
create or replace trigger touch_subscription before update on walhook.subscriptions
  for each row execute function walhook.touch_subscription();

-- A deleted subscription owes nothing any more; what was owed stays visible as cancelled.
create or replace function walhook.cancel_deliveries_of_subscription() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.cancel_deliveries_of_subscription() is 'Cancels what a deleted subscription was still owed, and forgets what was counted of it.';
create or replace trigger cancel_deliveries after delete on walhook.subscriptions
  for each row execute function walhook.cancel_deliveries_of_subscription();

-- Both want the whole of attempts for a moment. Days are made well ahead and dropped late, so rather not this time than
-- have every settlement queue behind us, behind somebody's long read.
create or replace function walhook.ensure_attempt_partitions(days_ahead integer default 7) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
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
$$;
comment on function walhook.ensure_attempt_partitions(integer) is
  'Makes the day partitions of attempts from yesterday to so many days ahead; returns how many were missing.';

create or replace function walhook.drop_attempt_partitions(keep interval) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
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
$$;
comment on function walhook.drop_attempt_partitions(interval) is 'Drops the day partitions of attempts that are older than the interval; returns how many.';
