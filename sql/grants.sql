-- Applied at each migration. Only where the role of sql/roles.sql exists: an application may write events and no more.
do $$
begin
  if exists (select from pg_roles where rolname = 'walhook_app') then
    grant usage on schema walhook to walhook_app;
    grant insert on walhook.outbox to walhook_app;
  end if;
end
$$;

-- What only operators call is not for every login that can reach the schema.
revoke execute on all functions in schema walhook from public;
grant execute on function walhook.publish(text, json, text, text, json, uuid) to public;
grant execute on function walhook.emit(text, json, text, text, json, uuid) to public;
grant execute on function walhook.uuidv7() to public;
-- The outbox's own constraints run with the rights of whoever inserts.
grant execute on function walhook.is_event_type(text) to public;
