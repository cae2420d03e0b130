-- Events that Walhook writes itself, into the same outbox: what an operator may want to hear of.

create or replace function walhook.url_origin(url text) returns text
language sql immutable strict parallel safe
as $$ select substring(url from '^([A-Za-z]+://)') || substring(url from '^[A-Za-z]+://(?:[^/?#]*@)?([^/?#@]*)') $$;
comment on function walhook.url_origin(text) is
  'Scheme, host and port of a URL: user, path and query may be secrets.';

-- "*" alone, of a subscription without a tenant, asks for what applications write. It gets these too once somebody asks for them.
create or replace function walhook.is_operator_event_wanted(type text) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select
    from walhook.subscriptions as s
    where s.match_keys && array_remove(walhook.event_match_keys(is_operator_event_wanted.type, 'walhook'), ':*')
  )
$$;
comment on function walhook.is_operator_event_wanted(text) is
  'Whether a subscription asks for such an event of Walhook''s own: by the tenant walhook, or by a pattern that names walhook.';

create or replace function walhook.tell_operators(type text, key text, facts jsonb) returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  -- An outbox must not fill up with what nobody reads.
  if not walhook.is_operator_event_wanted(tell_operators.type) then return null; end if;
  return walhook.publish(tell_operators.type, tell_operators.facts::json, key => tell_operators.key, tenant => 'walhook');
exception
  -- A rule of the outbox that somebody added must not undo what is to be told.
  when integrity_constraint_violation or data_exception or raise_exception then
    raise warning 'an event % could not be written: %', tell_operators.type, sqlerrm;
    return null;
end
$$;
comment on function walhook.tell_operators(text, text, jsonb) is
  'Writes an event of the tenant walhook and returns its id; null, and nothing is written, where nobody asks for such events.';

create or replace function walhook.subscription_facts(s walhook.subscriptions) returns jsonb
language sql stable
as $$
  select jsonb_build_object(
    'subscription_id', s.id, 'tenant', s.tenant, 'description', left(s.description, 1000), 'origin', walhook.url_origin(s.url)
  )
$$;
comment on function walhook.subscription_facts(walhook.subscriptions) is 'What an operator event says of a subscription: nothing that is a secret.';
