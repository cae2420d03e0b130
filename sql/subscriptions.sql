-- Subscriptions as people make, change and look at them: every way in (psql, command line, HTTP, a configuration file) is these
-- functions and this view. What can stand in a row is subscription_checks.sql's to say.

create or replace function walhook.subscription_options() returns text[]
language sql immutable parallel safe
as $$
  select '{
    name,tenant,url,description,event_types,filter,timeout,retry_schedule,retry_on,method,body,headers,forward_headers,signature,
    signature_header,header_prefix,ed25519_key,auth,tls,handshake,batch,ordering,on_dead,rate_limit,max_in_flight,ttl,disable_after
  }'::text[]
$$;
comment on function walhook.subscription_options() is
  'The columns of walhook.subscriptions that a person chooses. The secret is not among them: it is given when one is made, and rotated.';

create or replace function walhook.read_subscription(base walhook.subscriptions, options jsonb) returns walhook.subscriptions
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.read_subscription(walhook.subscriptions, jsonb) is
  'A row with these options in it, each a member of the object by its column''s name. What cannot be read is refused by that name.';

create or replace function walhook.create_subscription(options jsonb, secret text default null, out id uuid, out new_secret text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.create_subscription(jsonb, text) is
  'walhook.subscribe for programs: {"url": …} with any other options. Returns the id and the signing secret, which is shown this once.';

create or replace function walhook.default_of_option(name text) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.default_of_option(text) is 'What a column of walhook.subscriptions holds where nobody says anything; JSON''s null where that is nothing.';

-- What a person sees of headers is what they may send back: a masked value stands for the one that is there.
create or replace function walhook.masked_headers(headers jsonb) returns jsonb
language sql immutable parallel safe
as $$
  select coalesce(
    jsonb_object_agg(
      h.key, case when h.key ~* '(auth|secret|token|passw|key|cookie|credential|session|signature)' then '"…"' else h.value end
    ),
    '{}'
  )
  from jsonb_each(headers) as h
$$;
comment on function walhook.masked_headers(jsonb) is
  'Headers of one''s own with … in place of each value whose name sounds like a secret.';

create or replace function walhook.unmasked_headers(headers jsonb, before jsonb) returns jsonb
language sql immutable parallel safe
as $$
  select case
    when jsonb_typeof(headers) = 'object' then (
      select coalesce(jsonb_object_agg(h.key, case when h.value = '"…"' then coalesce(before -> h.key, h.value) else h.value end), '{}')
      from jsonb_each(headers) as h
    )
    else headers
  end
$$;
comment on function walhook.unmasked_headers(jsonb, jsonb) is 'Headers as somebody sends them back, with each … replaced by what was there before.';

create or replace function walhook.subscription_version(s walhook.subscriptions) returns text
language sql immutable
as $$ select (extract(epoch from s.updated_at) * 1000000)::bigint::text $$;
comment on function walhook.subscription_version(walhook.subscriptions) is
  'Another text after each change, and the same while Walhook seals what is in the row.';

create or replace function walhook.change_subscription(id uuid, changes jsonb, version text default null) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.change_subscription(uuid, jsonb, text) is
  'Changes the options that are named, {"timeout": "5s", "ttl": null}; null makes one what it is by default. With a version, only if nobody changed it since (SQLSTATE WH412).';

create or replace function walhook.delete_subscription(id uuid, version text default null) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.delete_subscription(uuid, text) is
  'Deletes a subscription. What it was still owed is cancelled, and stays visible. With a version, only if nobody changed it since (SQLSTATE WH412).';

create or replace function walhook.overlap_of(duration text) returns interval
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  longest constant bigint := 365 * 86400000::bigint;
  ms constant bigint := walhook.duration_ms(duration);
begin
  if duration is not null and not coalesce(ms between 0 and longest, false) then
    perform walhook.refuse('overlap', 'has to be a duration from 0s to 365d');
  end if;
  return coalesce(ms * interval '1 millisecond', interval '24 hours');
end
$$;
comment on function walhook.overlap_of(text) is 'How long an old secret signs beside its successor: 24 hours where nobody says.';

-- Each column that has to be worked out is a subquery of its own: what nobody selects costs nothing, and what somebody selects costs
-- a look into an index, however many deliveries there are.
drop view if exists walhook.subscription_overview;
create view walhook.subscription_overview as
select
  s.id,
  s.name,
  s.tenant,
  s.url,
  s.description,
  s.event_types,
  s.filter,
  s.state,
  s.state_reason,
  s.secret_preview,
  s.previous_secret_until,
  s.ed25519_public_key,
  s.method,
  s.body,
  walhook.masked_headers(s.headers) as headers,
  s.forward_headers,
  s.signature,
  s.signature_header,
  s.header_prefix,
  s.auth is not null as has_auth,
  s.tls is not null as has_tls,
  s.handshake,
  s.batch,
  s.ordering,
  s.on_dead,
  s.rate_limit,
  s.max_in_flight,
  s.timeout,
  s.retry_schedule,
  s.retry_on,
  s.ttl,
  s.disable_after,
  s.signs_as,
  s.created_at,
  s.updated_at,
  walhook.subscription_version(s) as version,
  (select f.since from walhook.failing_endpoints as f where f.subscription_id = s.id and f.failures > 0) as failing_since,
  (select f.failures from walhook.failing_endpoints as f where f.subscription_id = s.id and f.failures > 0) as failures_in_a_row,
  (
    select count(*)
    from (select from walhook.deliveries as d where d.subscription_id = s.id and d.state = 'pending' limit 10000) as counted
  ) as pending,
  (
    select count(*)
    from (select from walhook.deliveries as d where d.subscription_id = s.id and d.state = 'dead' limit 10000) as counted
  ) as dead,
  (
    select min(oldest.created_at)
    from (
      select d.created_at
      from walhook.deliveries as d
      where d.subscription_id = s.id and d.state = 'pending'
      order by d.next_attempt_at, d.id
      limit 1000
    ) as oldest
  ) as oldest_pending_at,
  (
    select max(newest.finished_at)
    from (
      select d.state, d.finished_at from walhook.deliveries as d where d.subscription_id = s.id order by d.id desc limit 1000
    ) as newest
    where newest.state = 'delivered'
  ) as last_delivered_at,
  (
    select coalesce(
      jsonb_agg(
        jsonb_build_object(
          'delivery_id', r.delivery_id::text, 'attempt', r.number, 'at', r.started_at, 'duration_ms', r.duration_ms,
          'status', r.response_status, 'error', r.error,
          'outcome', case when r.response_status between 200 and 299 then 'delivered' else 'failed' end
        )
        order by r.started_at desc, r.delivery_id desc, r.number desc
      ),
      '[]'
    )
    from (
      select a.*
      from (
        select newest.*
        from (
          select d.id, d.attempts, d.created_at from walhook.deliveries as d where d.subscription_id = s.id order by d.id desc limit 1000
        ) as newest
        where newest.attempts > 0
        order by newest.id desc
        limit 20
      ) as d
      cross join lateral (
        select a.delivery_id, a.number, a.started_at, a.duration_ms, a.response_status, a.error
        from walhook.attempts as a
        where a.delivery_id = d.id and a.started_at >= d.created_at - interval '1 minute'
        order by a.number desc
        limit 20
      ) as a
      order by a.started_at desc, a.delivery_id desc, a.number desc
      limit 20
    ) as r
  ) as recent
from walhook.subscriptions as s;
comment on view walhook.subscription_overview is
  'Each subscription with all its options, how it fares, and none of its secrets. Looks into indexes only: see the columns for where it stops counting.';
comment on column walhook.subscription_overview.headers is 'As in walhook.subscriptions, with … for each value whose name sounds like a secret.';
comment on column walhook.subscription_overview.version is 'Another text after each change; walhook.change_subscription compares it.';
comment on column walhook.subscription_overview.pending is 'Deliveries that are still owed; 10000 stands for that many or more.';
comment on column walhook.subscription_overview.dead is 'Dead letters; 10000 stands for that many or more.';
comment on column walhook.subscription_overview.oldest_pending_at is 'Since when the oldest is owed, of the 1,000 that are due first.';
comment on column walhook.subscription_overview.last_delivered_at is 'When something was last delivered, of its newest 1,000 deliveries.';
comment on column walhook.subscription_overview.recent is
  'The last 20 attempts of its newest deliveries, the newest first: delivery_id, attempt, at, duration_ms, status, error, outcome (delivered or failed).';
