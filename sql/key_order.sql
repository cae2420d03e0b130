-- Order by key. A delivery of a key is either at the front (it waits to be claimed, is held, or has its retry scheduled) or
-- behind: next_attempt_at = infinity, where no claim looks. Everything begins at the front. Whoever claims finds that a
-- delivery is not its key's first and puts it behind (src/store/key-order.ts); whatever ends the one at the front fetches
-- the next from behind, by the trigger below, in the same transaction.
--
-- So that no key is forgotten, a delivery is put behind only under a row lock on one that is at the front: that one cannot
-- end meanwhile, and when it ends its trigger, whose statements see what was committed until then, finds who stands behind.

-- Not md5, which servers in FIPS mode refuse. Two keys with one digest would merely wait for each other.
create or replace function walhook.order_key(ordering text, key text) returns uuid
language sql stable parallel safe
as $$ select case when ordering = 'key' then left(encode(sha256(convert_to(key, 'UTF8')), 'hex'), 32)::uuid end $$;
comment on function walhook.order_key(text, text) is
  'What to write into deliveries.order_key for an event with this key and a subscription with this ordering.';

drop view if exists walhook.key_fronts;
create view walhook.key_fronts as
select
  d.id,
  d.subscription_id,
  d.order_key,
  -- A younger one lets pass what is older and was put back on its way, unless it is being sent. What is due by another
  -- transaction's now() may lie after ours, which can be older than our snapshot: it must not look held, or older ones would
  -- be put behind it. A second more, for clocks that are set back: attempts end two seconds before their leases.
  case
    when d.state = 'pending' then not d.scheduled and d.next_attempt_at > clock_timestamp() + interval '1 second'
    else d.holds_key_until < 'infinity'
  end as is_held,
  case when d.state = 'pending' then 'infinity' else d.holds_key_until end as holds_until
from walhook.deliveries as d
where d.order_key is not null
  -- As in the index deliveries_key_front.
  and (d.state = 'pending' and d.next_attempt_at < 'infinity' or d.holds_key_until is not null)
  and (d.state = 'pending' or d.holds_key_until > now());
comment on view walhook.key_fronts is
  'For Walhook itself: deliveries that others of their key wait for. One may be claimed if no other here is older, or held.';

create or replace function walhook.let_key_go_on() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.let_key_go_on() is
  'When a delivery with an order_key ends: fetches the next of its key to the front, or lets a dead one block the key.';
-- After and not before: those lock every row that is updated, of whatever subscription.
create or replace trigger let_key_go_on after update on walhook.deliveries
  for each row
  when (old.order_key is not null and (old.state <> new.state or old.holds_key_until is distinct from new.holds_key_until))
  execute function walhook.let_key_go_on();
create or replace trigger let_key_go_on_without after delete on walhook.deliveries
  for each row
  when (old.order_key is not null and (old.state = 'pending' or old.holds_key_until is not null))
  execute function walhook.let_key_go_on();

create or replace function walhook.apply_ordering() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.apply_ordering() is
  'A change of ordering or on_dead, applied to what waits already.';
create or replace trigger apply_ordering after update of ordering, on_dead on walhook.subscriptions
  for each row
  when (old.ordering <> new.ordering or old.on_dead <> new.on_dead)
  execute function walhook.apply_ordering();
create or replace trigger apply_ordering_of_deleted after delete on walhook.subscriptions
  for each row execute function walhook.apply_ordering();

create or replace function walhook.release_key(subscription_id uuid, key text) returns setof bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.release_key(uuid, text) is
  'Lets a blocked key go on without its dead deliveries, which stay dead; returns their ids. walhook.resend would send them first instead.';

create or replace function walhook.release_key(delivery_id bigint) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
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
$$;
comment on function walhook.release_key(bigint) is 'The same, by the id of the dead delivery: of use where the outbox no longer has its key.';
