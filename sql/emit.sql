-- An event without a table: written to the log, and nowhere else.

create or replace function walhook.emit(
  type text,
  payload json,
  key text default null,
  tenant text default null,
  headers json default '{}',
  id uuid default null
) returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  event_id constant uuid := coalesce(emit.id, walhook.uuidv7());
  wrong constant text := case
    when emit.type is null or not walhook.is_event_type(emit.type) then 'type has to be a dotted name like order.created'
    when length(emit.key) not between 1 and 1000 then 'key has to be 1 to 1000 characters'
    when length(emit.tenant) not between 1 and 255 then 'tenant has to be 1 to 255 characters'
    when emit.payload is null then 'payload is missing'
    when octet_length(emit.payload::text) > 1048576 then 'payload has to be at most 1 MiB'
    when emit.headers is null or json_typeof(emit.headers) <> 'object' or octet_length(emit.headers::text) > 16384
      then 'headers has to be an object of at most 16 KiB'
  end;
begin
  -- No table's constraints refuse it here, and nobody could tell the caller later.
  if wrong is not null then
    raise exception '%', wrong using errcode = 'check_violation';
  end if;
  perform pg_logical_emit_message(
    true,
    'walhook',
    json_build_object(
      'id', event_id, 'type', emit.type, 'key', emit.key, 'tenant', emit.tenant, 'headers', emit.headers,
      'payload', emit.payload
    )::text
  );
  return event_id;
end
$$;
comment on function walhook.emit(text, json, text, text, json, uuid) is
  'Writes an event to the log alone, in the caller''s transaction, and returns its id. Nothing is sent unless that transaction commits. The log is its only copy until Walhook has recorded it.';
