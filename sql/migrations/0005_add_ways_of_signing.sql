-- A secret may be any text for the schemes that take it whole, and Ed25519 keys show their public half. What may be a secret
-- for which scheme is for the trigger check_subscription, which has a name for what is wrong and does not quote the row.

alter table walhook.subscriptions
  drop constraint subscriptions_secret_must_be_whsec_and_24_to_64_bytes,
  drop constraint subscriptions_previous_secret_must_be_whsec,
  add column ed25519_public_key text;

-- It is made again after the migrations.
drop view if exists walhook.subscription_health;
alter table walhook.subscriptions drop column secret_preview;
-- Of a text that is no Standard Webhooks secret nothing is shown: four characters may be a good part of it. A sealed one has no
-- hint then.
alter table walhook.subscriptions
  add column secret_preview text not null generated always as (
    case
      when secret like 'enc:%' then
        case when split_part(secret, ':', 4) = '' then '…' else 'whsec_…' || split_part(secret, ':', 4) end
      when walhook.is_signing_secret(secret) then 'whsec_…' || right(rtrim(secret, '='), 4)
      else '…'
    end
  ) stored;

-- All that is ever to be sealed, so that a further column needs no further index.
drop index walhook.subscriptions_unsealed;
create index subscriptions_unsealed on walhook.subscriptions (created_at)
  where secret not like 'enc:%' or previous_secret not like 'enc:%' or ed25519_key not like 'enc:%'
     or auth not like 'enc:%' or tls not like 'enc:%';

create index subscriptions_without_public_key on walhook.subscriptions (id)
  where ed25519_key is not null and ed25519_public_key is null;

comment on column walhook.subscriptions.secret is
  'Signing secret: whsec_ and base64, or for github, stripe and hex any text of 16 to 255 characters; plain, or sealed (enc:v1:…), which Walhook makes of it where it has a key.';
comment on column walhook.subscriptions.secret_preview is
  'The last four characters of a whsec_ secret, to tell which it is; of another text nothing.';
comment on column walhook.subscriptions.ed25519_public_key is
  'whpk_ and base64: what verifies the signatures of standard-ed25519. Walhook fills it in, within a second or so.';
