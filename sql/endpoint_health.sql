-- Health of endpoints, and what delays an event.

-- Whoever activates a subscription, or gives it another URL, in whatever way, gives it a new beginning.
create or replace function walhook.begin_health_anew() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'DELETE' then
    delete from walhook.failing_endpoints where subscription_id = old.id;
  else
    update walhook.failing_endpoints set failures = 0, told_failing = false where subscription_id = new.id;
  end if;
  return null;
end
$$;
comment on function walhook.begin_health_anew() is
  'Ends the failing period of a subscription that is resumed, moved to another URL, or deleted.';
create or replace trigger begin_health_anew after update on walhook.subscriptions
  for each row when (new.state = 'active' and (old.state <> 'active' or old.url <> new.url))
  execute function walhook.begin_health_anew();
create or replace trigger forget_health after delete on walhook.subscriptions
  for each row execute function walhook.begin_health_anew();

create or replace function walhook.deliver_at(deliver_after text, created_at timestamptz) returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.deliver_at(text, timestamptz) is
  'When an event with this deliver_after in its headers is due: a duration counts from its creation, a time is RFC 3339, and a year is the most. Null for what is neither.';

create or replace function walhook.due_at(headers json, created_at timestamptz) returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.due_at(json, timestamptz) is
  'When an event with these headers is due, by their deliver_after; null where it is due at once.';
