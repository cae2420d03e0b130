-- The catalog of event types. What a schema is, only Walhook can tell (`walhook event-types set`, and the relay); what can be told
-- here is told when it is written, whoever writes.

create or replace function walhook.check_event_type() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.check_event_type() is 'Refuses what cannot be an event type, naming the field and the rule.';
create or replace trigger check_event_type before insert or update on walhook.event_types
  for each row execute function walhook.check_event_type();

-- The record goes first: of two that release the same event, the second waits for the first and finds nothing.
create or replace function walhook.release_event(event_id uuid) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.release_event(uuid) is
  'Sends a dead event on its way to the subscriptions that it is owed to, those that were there when it was committed; returns how many. It is not checked again: that is your word.';
