-- Signing secrets at rest: beside a plain secret its column may hold a sealed one, which Walhook makes of it where it
-- has WALHOOK_ENCRYPTION_KEY.

create function walhook.is_sealed(secret text) returns boolean
language sql immutable strict parallel safe
as $$ select secret ~ '^enc:v1:[0-9a-f]{8}:[A-Za-z0-9+/]{0,4}:[A-Za-z0-9+/]{40,}={0,2}$' $$;
comment on function walhook.is_sealed(text) is
  'Whether a text is sealed: enc:v1, the id of the key, the last characters of what is sealed, and base64.';

alter table walhook.subscriptions
  drop constraint subscriptions_secret_must_be_whsec_and_24_to_64_bytes,
  drop constraint subscriptions_previous_secret_must_be_whsec,
  add constraint subscriptions_secret_must_be_whsec_and_24_to_64_bytes
    check (walhook.is_signing_secret(secret) or walhook.is_sealed(secret)),
  add constraint subscriptions_previous_secret_must_be_whsec
    check (walhook.is_signing_secret(previous_secret) or walhook.is_sealed(previous_secret)),
  -- A sealed secret bears its last characters with it, so that nobody has to open one to tell which it is.
  add column secret_preview text not null generated always as (
    'whsec_…' || right(rtrim(case when secret like 'enc:%' then split_part(secret, ':', 4) else secret end, '='), 4)
  ) stored;

-- Holds what is still to be sealed, and so nothing: looking each second costs nothing, however many subscriptions there are.
create index subscriptions_unsealed on walhook.subscriptions (created_at)
  where secret not like 'enc:%' or previous_secret not like 'enc:%';

comment on column walhook.subscriptions.secret is
  'Signing secret: whsec_ and base64 as it was written, or sealed (enc:v1:…), which Walhook makes of it where it has a key.';
comment on column walhook.subscriptions.previous_secret is
  'The secret before the last rotation, plain or sealed; requests are signed with both until previous_secret_until.';
comment on column walhook.subscriptions.previous_secret_until is
  'When the previous secret stops signing; retention removes it then.';
comment on column walhook.subscriptions.secret_preview is
  'The last four characters of the secret, to tell which it is.';
comment on column walhook.subscriptions.updated_at is
  'When it was last changed; not by sealing a secret nor by removing one that has ended.';
