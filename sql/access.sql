-- What can be credentials and certificates, and when an endpoint may be asked for its consent. Applied again at each
-- migration. No rule repeats what it refuses: it may be a password that stands in the wrong place.

-- The members of a JSON object of texts, or null where the text is none: a cast's own error would quote it.
create or replace function walhook.text_members(value text) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  members jsonb;
begin
  members := value::jsonb;
  if jsonb_typeof(members) <> 'object' then return null; end if;
  if exists (select from jsonb_each(members) as m (name, member) where jsonb_typeof(m.member) <> 'string') then return null; end if;
  return members;
exception
  when data_exception or program_limit_exceeded or statement_too_complex then
    return null;
end
$$;
comment on function walhook.text_members(text) is 'A JSON object whose values are all texts; null where the text is something else.';

-- The rule that credentials break, or null.
create or replace function walhook.credentials_rule(value text) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  members constant jsonb := walhook.text_members(value);
  needed text[];
  allowed text[];
begin
  if members is null then
    return 'has to be a JSON object of texts like {"type":"bearer","token":"…"}';
  end if;
  case members ->> 'type'
    when 'basic' then
      needed := '{type,username,password}';
    when 'bearer' then
      needed := '{type,token}';
    when 'oauth2' then
      needed := '{type,token_url,client_id,client_secret}';
      allowed := '{scope,audience,client_auth}';
    else
      return 'has to have a type, which is basic, bearer or oauth2';
  end case;
  if not members ?& needed or members - (needed || allowed) <> '{}' then
    return 'of type ' || (members ->> 'type') || ' has to have ' || array_to_string(needed, ', ')
      || coalesce(', if wished ' || array_to_string(allowed, ', '), '') || ', and nothing else';
  end if;
  if exists (select from jsonb_each_text(members) as m (name, member) where m.member ~ '[\u0001-\u001f\u007f-\u009f]') then
    return 'has to be without control characters';
  end if;
  if members ->> 'client_id' = '' or members ->> 'client_secret' = '' then
    return 'has to have a client_id and a client_secret that are not empty';
  end if;
  if strpos(members ->> 'username', ':') > 0 then
    return 'has to have a username without a colon: basic authentication cannot carry one';
  end if;
  if members ->> 'token' !~ '^[\u0021-\u007e]+$' then
    return 'has to have a token of visible ASCII characters, without spaces';
  end if;
  if not walhook.is_endpoint_url(members ->> 'token_url') then
    return 'has to have a token_url that is an http or https URL of at most 2048 characters';
  end if;
  if members ->> 'client_auth' not in ('basic', 'post') then
    return 'has to have a client_auth that is basic or post';
  end if;
  return null;
end
$$;
comment on function walhook.credentials_rule(text) is 'Which rule a text breaks that is to be credentials; null where it breaks none.';

-- The rule that certificates break, or null. Whether they fit each other and are still valid is seen when they are used.
create or replace function walhook.certificates_rule(value text) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  members constant jsonb := walhook.text_members(value);
  certificate constant text := '-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----';
  private_key constant text := '-----BEGIN ((RSA|EC) )?PRIVATE KEY-----\s[A-Za-z0-9+/=\s]+-----END ((RSA|EC) )?PRIVATE KEY-----';
begin
  if members is null or members = '{}' or members - '{ca,cert,key}'::text[] <> '{}' then
    return 'has to be a JSON object with ca, or cert and key, or all three, each PEM';
  end if;
  if (members ? 'cert') <> (members ? 'key') then
    return 'has to have cert and key together';
  end if;
  if members ->> 'ca' !~ certificate then
    return 'has to have a ca that is PEM: -----BEGIN CERTIFICATE----- and what follows it';
  end if;
  if members ->> 'cert' !~ certificate then
    return 'has to have a cert that is PEM: -----BEGIN CERTIFICATE----- and what follows it';
  end if;
  if members ->> 'key' !~ private_key then
    return 'has to have a key that is PEM and has no passphrase: -----BEGIN PRIVATE KEY----- and what follows it';
  end if;
  return null;
end
$$;
comment on function walhook.certificates_rule(text) is 'Which rule a text breaks that is to be certificates; null where it breaks none.';

-- At once the first time; after a refusal a minute later, then two, four, up to an hour.
create or replace function walhook.consent_pause(refusals integer) returns interval
language sql immutable parallel safe
as $$ select least(interval '1 hour', interval '1 minute' * 2 ^ least(greatest(refusals - 1, 0), 6)) $$;
comment on function walhook.consent_pause(integer) is 'How long after so many refusals in a row an endpoint is asked again for its consent.';
