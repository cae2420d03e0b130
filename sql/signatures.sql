-- What signs requests, and which header names that and the rest of Walhook's own headers take.

create or replace function walhook.new_ed25519_key() returns text
language sql volatile
as $$ select 'whsk_' || encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64') $$;
comment on function walhook.new_ed25519_key() is
  'A fresh Ed25519 private key: a seed of 32 bytes, 244 bits of them from the server''s strong random source.';

create or replace function walhook.is_ed25519_key(key text) returns boolean
language sql immutable strict parallel safe
as $$ select key ~ '^whsk_([A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==)$' $$;
comment on function walhook.is_ed25519_key(text) is
  'Whether a text is an Ed25519 private key of Standard Webhooks: whsk_ and the base64 of 32 bytes, or of 64 with the public key.';

-- Of a sealed secret the hint is left to tell: a Standard Webhooks secret always has one, another text has none.
create or replace function walhook.can_sign(secret text, schemes text[]) returns boolean
language sql immutable parallel safe
as $$
  select case
    when secret is null then false
    when walhook.is_sealed(secret) then not 'standard' = any (schemes) or split_part(secret, ':', 4) <> ''
    when 'standard' = any (schemes) then walhook.is_signing_secret(secret)
    else length(secret) between 16 and 255
     and secret !~ '[\x01-\x1f\x7f]' and secret = btrim(secret) and secret not like 'enc:%'
  end
$$;
comment on function walhook.can_sign(text, text[]) is
  'Whether a secret, plain or sealed, has the form that these schemes need: whsec_ and base64 for standard, else a text.';

create or replace function walhook.bring_ed25519_key() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if 'standard-ed25519' = any (new.signature) then
    new.ed25519_key := coalesce(new.ed25519_key, walhook.new_ed25519_key());
  end if;
  -- Sealing a key does not change it; whatever else is written is another key, whose public half is not known yet.
  if tg_op = 'UPDATE' and new.ed25519_key is distinct from old.ed25519_key and walhook.is_sealed(new.ed25519_key) is not true then
    new.ed25519_public_key := null;
  end if;
  return new;
end
$$;
comment on function walhook.bring_ed25519_key() is
  'Makes the key of a subscription that signs with standard-ed25519 and brings none, and forgets the public key of another one.';
-- Before check_subscription, by its name.
create or replace trigger bring_ed25519_key before insert or update on walhook.subscriptions
  for each row execute function walhook.bring_ed25519_key();

create or replace function walhook.is_header_name(name text) returns boolean
language sql immutable strict parallel safe
as $$ select name ~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]{1,128}$' $$;
comment on function walhook.is_header_name(text) is 'Whether a text can be the name of a header: a token (RFC 9110) of at most 128 characters.';

create or replace function walhook.is_header_value(value text) returns boolean
language sql immutable strict parallel safe
as $$ select value ~ '^[!-~]([ -~]*[!-~])?$' $$;
comment on function walhook.is_header_value(text) is
  'Whether a text can be the value of a header: printable ASCII with no space at its ends, so that nothing ends it and begins another.';

create or replace function walhook.reserved_header(name text) returns text
language sql immutable strict parallel safe
as $$
  select case
    when lower(name) in ('authorization', 'proxy-authorization') then 'credentials are for auth'
    when lower(name) = 'content-type' then 'it follows from body'
    when lower(name) in ('traceparent', 'tracestate') then 'it comes from the event''s headers'
    when lower(name) in (
      'host', 'content-length', 'content-encoding', 'transfer-encoding', 'connection', 'proxy-connection', 'keep-alive',
      'te', 'trailer', 'upgrade', 'http2-settings', 'expect', 'accept-encoding'
    ) then 'it belongs to the connection'
    when lower(name) ~ '^(webhook|walhook)-' then 'names that begin so are Walhook''s own'
  end
$$;
comment on function walhook.reserved_header(text) is 'Why no subscription may choose a header of this name; null where it may.';

-- core/header-names.ts and core/signature.ts give them.
create or replace function walhook.own_header_names(s walhook.subscriptions) returns text[]
language sql immutable
as $$
  select array_agg(lower(name))
  from (
    select unnest(
      case when s.header_prefix is null
        then '{webhook-id,webhook-timestamp,walhook-event-type,walhook-attempt}'::text[]
        else array[
          s.header_prefix || 'Id', s.header_prefix || 'Event-Id', s.header_prefix || 'Timestamp',
          s.header_prefix || 'Event-Type', s.header_prefix || 'Event', s.header_prefix || 'Attempt'
        ]
      end
    )
    union all
    select coalesce(s.header_prefix, 'webhook-') || 'Signature' where s.signature && '{standard,standard-ed25519}'
    union all
    select 'X-Hub-Signature-256' where 'github' = any (s.signature)
    union all
    select 'Stripe-Signature' where 'stripe' = any (s.signature)
    union all
    select coalesce(s.signature_header, 'X-Webhook-Signature') where 'hex' = any (s.signature)
  ) as names (name)
$$;
comment on function walhook.own_header_names(walhook.subscriptions) is
  'What the headers are called that identify and sign a subscription''s requests, in lower case; a name that stands there twice is one too many.';
