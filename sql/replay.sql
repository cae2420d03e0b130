-- Replays: deliveries sent again, or made of older events. `advance_replay` does one piece in one transaction and writes down how far it
-- came in the same; the processes only call it. Pieces are short, and come only while their subscription has little waiting.

-- Called once a row, and only from functions that pin the search path: without a setting of their own these are inlined.
create or replace function walhook.is_asked_for(r walhook.replays, event walhook.outbox) returns boolean
language sql stable
as $$
  select event.expunged_at is null
     -- A test is somebody's own, and of its moment.
     and event.type <> 'walhook.test'
     and event.created_at >= r.created_from and event.created_at < r.created_to
     and (r.key is null or event.key = r.key)
     and (r.tenant is null or event.tenant = r.tenant)
$$;
comment on function walhook.is_asked_for(walhook.replays, walhook.outbox) is
  'Whether a replay asks for an event, by all but its type, and it can still be sent.';

create or replace function walhook.is_kind_asked_for(r walhook.replays, match_keys text[], type text, tenant text) returns boolean
language sql stable
as $$
  select (r.event_types is null or walhook.event_match_keys(type, null) && walhook.subscription_match_keys(null, r.event_types))
     -- What has a delivery was matched once.
     and (r.kind <> 'backfill' or match_keys && walhook.event_match_keys(type, tenant))
$$;
comment on function walhook.is_kind_asked_for(walhook.replays, text[], text, text) is
  'Whether a replay asks for events of a type and a tenant, and a backfilled subscription with these keys gets them.';

-- Fresh deliveries of the subscription that do not fit into memory wait behind these.
create or replace function walhook.has_room_for_replay(subscription_id uuid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select count(*) < 1000
  from (
    select
    from walhook.deliveries as d
    where d.subscription_id = has_room_for_replay.subscription_id
      and d.state = 'pending' and d.next_attempt_at <= now() and not d.scheduled
    limit 1000
  ) as waiting
$$;
comment on function walhook.has_room_for_replay(uuid) is 'Whether fewer than 1,000 deliveries of the subscription wait.';

create or replace function walhook.is_delivery_asked_for(r walhook.replays, last_status integer, last_error text) returns boolean
language sql stable
as $$ select (r.statuses is null or last_status <@ r.statuses) and (r.error is null or last_error = r.error) $$;
comment on function walhook.is_delivery_asked_for(walhook.replays, integer, text) is
  'Whether a replay asks for deliveries whose last attempt ended so.';

create or replace function walhook.count_replay(r walhook.replays, out total bigint, out first_at timestamptz)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.count_replay(walhook.replays) is 'How many deliveries a replay would send again or make, and how old the oldest event is.';

-- What belongs to the endpoint stays behind: credentials, certificates, headers of one's own, and the time after which an event is too old.
create or replace function walhook.subscribe_replay(replay_id bigint, subscription_id uuid, to_url text) returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.subscribe_replay(bigint, uuid, text) is
  'Makes the subscription that a replay to another URL fills: no event matches it by itself, and it signs as the one that it stands for.';

create or replace function walhook.check_replay(r walhook.replays, to_url text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.check_replay(walhook.replays, text) is 'Refuses what cannot be replayed, naming the field and the rule.';

-- An earlier release's, with other arguments.
drop function if exists walhook.replay(uuid, text[], timestamptz, timestamptz, text[], text, text, text, boolean, boolean);
create or replace function walhook.replay(
  subscription_id uuid default null,
  event_types text[] default null,
  created_from timestamptz default null,
  created_to timestamptz default null,
  states text[] default null,
  key text default null,
  tenant text default null,
  to_url text default null,
  backfill boolean default false,
  dry_run boolean default false,
  statuses int4range default null,
  error text default null
) returns setof walhook.replays
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.replay is
  'Sends deliveries again (by default the dead ones), sends their events to another URL, or backfills a subscription from the outbox: one row for each subscription, whose total says how many. With dry_run it only counts, and id is null. Where there is nothing, id is null too.';

create or replace function walhook.stop_replay(id bigint) returns walhook.replays
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.stop_replay(bigint) is
  'Stops a replay that is running: nothing more is made due. What has been is sent. One that is over stays as it is.';

create or replace function walhook.continue_replay(id bigint) returns walhook.replays
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.continue_replay(bigint) is 'Goes on with a replay that was stopped, or failed for an error, where it was.';

-- A piece of one kind each. They are given the locked row, and return how far they came: the row as it is to be written.
create or replace function walhook.replay_deliveries(r walhook.replays) returns walhook.replays
language plpgsql volatile
set search_path = pg_catalog, pg_temp
-- Once planned for no one in particular, the plan reads far more than the piece.
set plan_cache_mode = force_custom_plan
as $$
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
$$;
comment on function walhook.replay_deliveries(walhook.replays) is 'One piece of a resend or a copy, in the order of deliveries, which is that of commits.';

create or replace function walhook.replay_events(r walhook.replays) returns walhook.replays
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
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
$$;
comment on function walhook.replay_events(walhook.replays) is
  'One piece of a backfill, in the order of created_at. It ends before the first event that the audit has not passed.';

create or replace function walhook.advance_replay(id bigint) returns walhook.replays
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.advance_replay(bigint) is
  'Does one piece of a running replay, and returns it; null where it waits, is over, or somebody else is at it.';

create or replace function walhook.end_replays_of_subscription() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update walhook.replays
  set state = 'failed', reason = 'subscription_deleted', updated_at = now(), finished_at = now()
  where (subscription_id = old.id or to_subscription_id = old.id) and state in ('running', 'stopped');
  return old;
end
$$;
comment on function walhook.end_replays_of_subscription() is 'Ends the replays of a deleted subscription.';
create or replace trigger end_replays after delete on walhook.subscriptions
  for each row execute function walhook.end_replays_of_subscription();

drop view if exists walhook.replay_status;
create view walhook.replay_status as
select
  r.id,
  r.kind,
  r.state,
  r.reason,
  case when r.state = 'running' then
    case
      when t.state <> 'active' then 'the subscription is ' || t.state
      when not walhook.has_room_for_replay(t.id) then 'deliveries that wait already'
      when r.kind = 'backfill' and r.updated_at < now() - interval '5 seconds' then 'the audit of the newest events'
    end
  end as waits_for,
  r.replayed,
  r.total,
  case when r.state = 'done' then 100 else least(100, round(100.0 * r.replayed / greatest(r.total, 1), 1)) end as percent,
  p.per_second,
  case when r.state = 'running' and p.per_second > 0 and r.total > r.replayed
    then make_interval(secs => ((r.total - r.replayed) / p.per_second)::double precision)
  end as remaining,
  t.url,
  r.subscription_id,
  r.to_subscription_id,
  r.states,
  r.event_types,
  r.created_from,
  r.created_to,
  r.key,
  r.tenant,
  r.statuses,
  r.error,
  r.created_by,
  r.created_at,
  r.updated_at,
  r.finished_at
from walhook.replays as r
left join walhook.subscriptions as t on t.id = r.to_subscription_id
cross join lateral (
  select round(
    (r.replayed - r.replayed_before)::numeric
      / greatest(extract(epoch from coalesce(r.finished_at, r.updated_at) - r.running_since)::numeric, 1), 1
  ) as per_second
) as p;
comment on view walhook.replay_status is 'Each replay: how far it has come, what it waits for, and how long it may still take.';
