-- Waking Walhook: what is changed here is acted on at once, by a message in the log that the replica which streams reads anyway. It
-- says which subscription, and nothing that a row does not say: one that is lost costs a second, until the next look.

create or replace function walhook.wake(subscription_id uuid) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  -- sql/roles.sql takes it from everybody: whoever lacks it does not have to fail for it.
  if (
    select bool_and(has_function_privilege(p.oid, 'execute'))
    from pg_proc as p
    where p.proname = 'pg_logical_emit_message' and p.pronamespace = 'pg_catalog'::regnamespace
  ) then
    -- Transactional: it arrives with the commit, or not at all.
    perform pg_logical_emit_message(true, 'walhook.wake', wake.subscription_id::text);
  end if;
end
$$;
comment on function walhook.wake(uuid) is
  'Has Walhook look at a subscription and what it is owed as soon as the caller''s transaction has committed, rather than within a second. It changes nothing.';

create or replace function walhook.wake_for_subscription() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform walhook.wake(old.id);
  return null;
end
$$;
comment on function walhook.wake_for_subscription() is 'Has a change of a subscription noticed at once, whoever makes it.';
create or replace trigger wake after update on walhook.subscriptions
  for each row
  -- Housekeeping leaves it as it was.
  when (old.updated_at is distinct from new.updated_at)
  execute function walhook.wake_for_subscription();
create or replace trigger wake_of_deleted after delete on walhook.subscriptions
  for each row execute function walhook.wake_for_subscription();
