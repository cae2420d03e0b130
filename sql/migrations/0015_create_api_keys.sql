-- Keys for the HTTP API: who comes in over the network, what they may do, and for whom.

create table walhook.api_keys (
  id uuid primary key default walhook.uuidv7(),
  name text
    constraint api_keys_name_must_be_1_to_255_characters check (length(name) between 1 and 255),
  prefix text not null,
  hash bytea not null
    constraint api_keys_hash_must_be_a_sha_256 check (octet_length(hash) = 32),
  scope text not null
    constraint api_keys_scope_must_be_admin_operate_read_or_publish check (scope in ('admin', 'operate', 'read', 'publish')),
  tenant text
    constraint api_keys_tenant_must_be_1_to_255_characters check (length(tenant) between 1 and 255),
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  revoked_at timestamptz
);
create unique index api_keys_hash on walhook.api_keys (hash);

comment on table walhook.api_keys is
  'Keys for the HTTP API; made by walhook.create_api_key, ended by walhook.revoke_api_key. As soon as there is a row, even a revoked one, /v1 asks everyone for a key.';
comment on column walhook.api_keys.id is 'For walhook.revoke_api_key. Newer keys have greater ids.';
comment on column walhook.api_keys.name is 'For people: whose it is, or what for.';
comment on column walhook.api_keys.prefix is 'How the key begins, to recognize it by.';
comment on column walhook.api_keys.hash is 'SHA-256 of the key. The key itself was shown once and is nowhere.';
comment on column walhook.api_keys.scope is
  'publish: write events. read: look. operate: read, publish and change. admin: operate, and keys.';
comment on column walhook.api_keys.tenant is 'The key sees and writes only what is this tenant''s; null means all.';
comment on column walhook.api_keys.expires_at is 'From when on it is refused; null means never.';
comment on column walhook.api_keys.created_at is 'When it was made.';
comment on column walhook.api_keys.last_used_at is 'When it was last used, to the minute.';
comment on column walhook.api_keys.revoked_at is 'When it was revoked: refused from then on, and so is every session and portal link that was opened with it.';

-- One row at most, made when the first link or session is signed without WALHOOK_ADMIN_TOKEN.
create table walhook.session_secret (
  is_the_one boolean primary key default true
    constraint session_secret_has_one_row check (is_the_one),
  secret bytea not null
    constraint session_secret_must_be_32_bytes check (octet_length(secret) = 32),
  created_at timestamptz not null default now()
);
comment on table walhook.session_secret is
  'Signs portal links and the page''s sessions where there is no WALHOOK_ADMIN_TOKEN. Deleting the row ends all of them.';
comment on column walhook.session_secret.is_the_one is 'True: there is one row at most.';
comment on column walhook.session_secret.secret is 'Random; used together with WALHOOK_ENCRYPTION_KEY where there is one.';
comment on column walhook.session_secret.created_at is 'When it was made.';
