/** Keys for the HTTP API: told apart by their hash, listed, made and revoked. `tenant` narrows what a tenant's own key sees. */
import { createHash } from 'node:crypto'
import type { Scope } from '../core/principal.ts'
import type { Queryable } from './database.ts'

/** What begins so is one of ours; anything else need not be looked up. */
export const API_KEY = /^whk_[A-Za-z0-9_-]{43}$/

/** A row of walhook.api_keys without the hash; timestamps are Postgres's text, in UTC. */
export type ApiKeyRow = Readonly<{
  id: string
  name: string | null
  prefix: string
  scope: Scope
  tenant: string | null
  expires_at: string | null
  created_at: string
  last_used_at: string | null
  revoked_at: string | null
}>

export type ValidKey = Pick<ApiKeyRow, 'id' | 'scope' | 'tenant'>

const USE = {
  name: 'walhook_use_api_key',
  text: /* sql */ `
    with valid as (
      select k.id, k.scope, k.tenant
      from walhook.api_keys as k
      where k.hash = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
    ), used as (
      -- To the minute: a row version a request would be a table of dead rows.
      update walhook.api_keys as k set last_used_at = now()
      from valid
      where k.id = valid.id and (k.last_used_at is null or k.last_used_at < now() - interval '1 minute')
    )
    select id, scope, tenant from valid`,
}

/** The key that this text is, where it is one that holds; notes that it was used. */
export async function useApiKey(db: Queryable, key: string): Promise<ValidKey | undefined> {
  const [valid] = await db.query<ValidKey>(USE, [createHash('sha256').update(key).digest()])
  return valid
}

const STILL_HOLDS = {
  name: 'walhook_find_valid_api_key',
  text: /* sql */ `
    select k.id, k.scope, k.tenant
    from walhook.api_keys as k
    where k.id = $1::uuid and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())`,
}

/** A session lasts no longer than the key it was opened with. */
export async function findValidKey(db: Queryable, id: string): Promise<ValidKey | undefined> {
  const [valid] = await db.query<ValidKey>(STILL_HOLDS, [id])
  return valid
}

const ANY = { name: 'walhook_has_api_keys', text: 'select exists (select from walhook.api_keys) as exists' }

/** Revoked ones count: whoever has once made a key wants the door shut. */
export async function hasApiKeys(db: Queryable): Promise<boolean> {
  const [found] = await db.query<{ exists: boolean }>(ANY)
  return found?.exists === true
}

/** The newest first, those before `beforeId`. */
export function listApiKeys(
  db: Queryable,
  page: { readonly tenant: string | null; readonly beforeId: string | undefined; readonly limit: number },
): Promise<ApiKeyRow[]> {
  return db.query<ApiKeyRow>(
    /* sql */ `
    select
      id, name, prefix, scope, tenant, expires_at::text as expires_at, created_at::text as created_at,
      last_used_at::text as last_used_at, revoked_at::text as revoked_at
    from walhook.api_keys
    where ($1::text is null or tenant = $1) and ($2::uuid is null or id < $2)
    order by id desc
    limit $3`,
    [page.tenant, page.beforeId ?? null, page.limit],
  )
}

export interface NewApiKey {
  readonly name: string | null
  readonly scope: Scope
  readonly tenant: string | null
  /** As Postgres reads it. */
  readonly expiresAt: string | null
}

/** Returns the key itself, this once. Errors: Postgres's 22023, naming the field. */
export async function createApiKey(
  db: Queryable,
  wish: NewApiKey,
): Promise<ApiKeyRow & { readonly key: string }> {
  const [made] = await db.query<{ id: string; key: string }>(
    /* sql */ `
    select id, key
    from walhook.create_api_key(name => $1, scope => $2, tenant => $3, expires_at => $4::timestamptz)`,
    [wish.name, wish.scope, wish.tenant, wish.expiresAt],
  )
  if (made === undefined) throw new Error('walhook.create_api_key returned no row')
  const [row] = await db.query<ApiKeyRow>(
    /* sql */ `
    select
      id, name, prefix, scope, tenant, expires_at::text as expires_at, created_at::text as created_at,
      last_used_at::text as last_used_at, revoked_at::text as revoked_at
    from walhook.api_keys
    where id = $1::uuid`,
    [made.id],
  )
  if (row === undefined) throw new Error('the key that was made is not there')
  return { ...row, key: made.key }
}

/** Whether there is such a key. Revoking it again changes nothing. */
export async function revokeApiKey(db: Queryable, id: string, tenant: string | null): Promise<boolean> {
  const revoked = await db.query(
    /* sql */ `
    select walhook.revoke_api_key(k.id)
    from walhook.api_keys as k
    where k.id = $1::uuid and ($2::text is null or k.tenant = $2)`,
    [id, tenant],
  )
  return revoked.length > 0
}
