-- Filters, tried before they are set.

create or replace function walhook.read_filter(filter text) returns jsonpath
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.read_filter(text) is 'A text as a filter; refused, and named, where it is none.';

create or replace function walhook.try_filter(
  filter text,
  event_types text[] default null,
  tenant text default null,
  most integer default 50
) returns table (event_id uuid, type text, key text, event_tenant text, created_at timestamptz, matches boolean, payload text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.try_filter(text, text[], text, integer) is
  'Which of the most recent events a filter would let pass: those of these types and this tenant, of the newest 10,000. The payload is its first 1,000 characters.';
