-- Test events: one delivery, to one subscription, through everything that any other goes through. walhook.event_match_keys knows no
-- pattern that meets their type, so nothing that fans events out, looks for missing deliveries, releases or replays finds them.

create or replace function walhook.test_subscription(id uuid, out event_id uuid, out delivery_id bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  s walhook.subscriptions;
begin
  select * into s from walhook.subscriptions as t where t.id = test_subscription.id for key share;
  if not found then
    raise exception 'there is no subscription %', test_subscription.id using errcode = 'no_data_found';
  end if;
  if s.state <> 'active' then
    raise exception 'state has to be active for a test, and is %', s.state || coalesce(' (' || s.state_reason || ')', '')
      using errcode = 'object_not_in_prerequisite_state', column = 'state';
  end if;
  event_id := walhook.publish(
    'walhook.test',
    json_build_object('subscription_id', s.id, 'message', 'A test: nothing has happened.'),
    tenant => s.tenant
  );
  -- Held for nobody yet, for as long as the relay may need to come to it: whoever looks for what waits would put it behind a backlog.
  insert into walhook.deliveries (event_id, subscription_id, next_attempt_at)
  values (test_subscription.event_id, s.id, now() + interval '1 second')
  returning deliveries.id into delivery_id;
end
$$;
comment on function walhook.test_subscription(uuid) is
  'Sends an event walhook.test to this subscription and no other, whatever its patterns and filter, once the transaction commits. What becomes of it stands in walhook.delivery_status like any other delivery.';
