-- Keys for the HTTP API, as psql makes and ends them. The API and `walhook api-keys` call the same functions.

create or replace function walhook.new_api_key() returns text
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  select 'whk_' || translate(
    rtrim(encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64'), '='), '+/', '-_'
  )
$$;
comment on function walhook.new_api_key() is 'A fresh key for the HTTP API: 244 bits from the server''s strong random source.';

create or replace function walhook.create_api_key(
  name text default null,
  scope text default 'read',
  tenant text default null,
  expires_at timestamptz default null,
  out id uuid,
  out key text
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if length(create_api_key.name) not between 1 and 255 then
    perform walhook.refuse('name', 'has to be 1 to 255 characters');
  end if;
  if create_api_key.scope is null or create_api_key.scope not in ('admin', 'operate', 'read', 'publish') then
    perform walhook.refuse('scope', 'has to be admin, operate, read or publish');
  end if;
  if length(create_api_key.tenant) not between 1 and 255 then
    perform walhook.refuse('tenant', 'has to be 1 to 255 characters');
  end if;
  if create_api_key.expires_at <= clock_timestamp() then
    perform walhook.refuse('expires_at', 'has to be in the future');
  end if;
  key := walhook.new_api_key();
  insert into walhook.api_keys as k (name, prefix, hash, scope, tenant, expires_at)
  values (
    create_api_key.name, left(key, 12), sha256(convert_to(key, 'UTF8')), create_api_key.scope, create_api_key.tenant,
    create_api_key.expires_at
  )
  returning k.id into create_api_key.id;
end
$$;
comment on function walhook.create_api_key(text, text, text, timestamptz) is
  'Makes a key for the HTTP API and shows it, this once. scope: publish, read, operate or admin. With a tenant it sees and writes only what is that tenant''s.';

create or replace function walhook.revoke_api_key(id uuid) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  update walhook.api_keys as k set revoked_at = coalesce(k.revoked_at, now()) where k.id = revoke_api_key.id;
  if not found then
    raise exception 'there is no key %', revoke_api_key.id using errcode = 'no_data_found';
  end if;
end
$$;
comment on function walhook.revoke_api_key(uuid) is
  'From the next request on the key is refused, and with it the sessions and portal links that were opened with it. Revoking it again changes nothing.';
