-- Privacy: the contents of an event are removed, and the record that there was one stays.

create or replace function walhook.expunge(
  event_id uuid,
  out expunged_at timestamptz,
  out cancelled integer,
  out response_bodies integer,
  out malformed integer
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.expunge(uuid) is
  'Removes an event''s payload and headers, and what endpoints answered to it; cancels what of it is still pending. Id, type, key, tenant, deliveries and attempts stay. May be called again.';
