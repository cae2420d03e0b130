-- Who got an event, who will, and who might have been expected to: what `matching_subscriptions` answers yes or no, with the reason.

create or replace function walhook.matches(event_id uuid, tenant text default null, max_rows integer default 100)
returns table (
  subscription_id uuid,
  matches boolean,
  reason text,
  url text,
  subscription_tenant text,
  state text,
  delivery_id bigint,
  delivery_state text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.matches(uuid, text, integer) is
  'Who gets an event, and why others do not: "event type", "tenant", "filter", "made after the event", "made or changed after the event", "the catalog refused it" or "expunged". Those that match come first, with their deliveries; then near misses, up to max_rows in all. With a tenant, that tenant''s subscriptions only.';
