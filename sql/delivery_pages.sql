-- Where in the table of deliveries a time lies. There is no index on created_at, for each delivery would pay for it: ids follow it but
-- for the length of a transaction.

create or replace function walhook.delivery_id_at(at timestamptz) returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.delivery_id_at(timestamptz) is
  'About which id the deliveries begin that were recorded then or later, found by halving. Right but for transactions that ran at that time: allow some minutes, and compare created_at itself.';
