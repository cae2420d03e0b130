/** What is secret of subscriptions, at rest: what is still to be sealed, sealed texts in its place, and under which keys they are. */
import { SECRET_COLUMNS, type SecretColumn } from '../core/signing-secret.ts'
import type { Queryable } from './database.ts'

/** Null where there is none. The order is the list's: the statements below name each column as it does. */
export type SecretRow = { readonly id: string } & Record<SecretColumn, string | null>

const LOCK_UNSEALED = {
  name: 'walhook_lock_unsealed',
  // Condition and order are those of the index subscriptions_unsealed, which holds these rows and no others.
  text: /* sql */ `
    select id, secret, previous_secret, ed25519_key, auth, tls
    from walhook.subscriptions
    where secret not like 'enc:%' or previous_secret not like 'enc:%' or ed25519_key not like 'enc:%'
       or auth not like 'enc:%' or tls not like 'enc:%'
    order by created_at
    limit $1
    for no key update skip locked`,
}

/**
 * Rows with something plain. Locked until the transaction ends, so that a rotation comes before or after it; what somebody
 * else has locked (another replica, for one) is left for the next look.
 */
export async function lockUnsealed(tx: Queryable, limit: number): Promise<readonly SecretRow[]> {
  return tx.query<SecretRow>(LOCK_UNSEALED, [limit])
}

const LOCK_NOT_SEALED_WITH = /* sql */ `
  select id, secret, previous_secret, ed25519_key, auth, tls
  from walhook.subscriptions
  where id > $1
    and (
      secret not like 'enc:v1:' || $2 || ':%' or previous_secret not like 'enc:v1:' || $2 || ':%'
      or ed25519_key not like 'enc:v1:' || $2 || ':%'
      or auth not like 'enc:v1:' || $2 || ':%' or tls not like 'enc:v1:' || $2 || ':%'
    )
  order by id
  limit $3
  for no key update skip locked`

/** Rows after `cursor`, in the order of their ids, with something that this key has not sealed. Locked like the above. */
export async function lockNotSealedWith(
  tx: Queryable,
  keyId: string,
  cursor: string,
  limit: number,
): Promise<readonly SecretRow[]> {
  return tx.query<SecretRow>(LOCK_NOT_SEALED_WITH, [cursor, keyId, limit])
}

const REPLACE_SECRETS = /* sql */ `
  update walhook.subscriptions as s
  set secret = r.secret, previous_secret = r.previous_secret, ed25519_key = r.ed25519_key,
      auth = r.auth, tls = r.tls, updated_at = null
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
    as r (id, secret, previous_secret, ed25519_key, auth, tls)
  where s.id = r.id`

/** Of rows that the caller has locked. The secrets stay what they are, so `updated_at` stays too. */
export async function replaceSecrets(tx: Queryable, rows: readonly SecretRow[]): Promise<void> {
  if (rows.length === 0) return
  await tx.query(REPLACE_SECRETS, [
    rows.map((row) => row.id),
    ...SECRET_COLUMNS.map((column) => rows.map((row) => row[column])),
  ])
}

export interface SealedUnder {
  readonly subscriptions: number
  /** Undefined where there are none. */
  readonly exampleId: string | undefined
  readonly keyIds: readonly string[]
}

const FIND_SEALED = /* sql */ `
  select
    count(distinct id)::int as subscriptions,
    min(id::text) as "exampleId",
    coalesce(array_agg(distinct key_id), '{}') as "keyIds"
  from (
    select id, split_part(text, ':', 3) as key_id
    from walhook.subscriptions
    cross join lateral unnest(
      array[secret, case when previous_secret_until > now() then previous_secret end, ed25519_key, auth, tls]
    ) as text
    where text like 'enc:%'
  ) as sealed
  where (key_id = any ($1::text[])) = $2`

/** Subscriptions with something live that was sealed with a key among these, or with one that is not. */
export async function findSealed(
  db: Queryable,
  keyIds: readonly string[],
  which: 'with_these' | 'with_others',
): Promise<SealedUnder> {
  const [found] = await db.query<{ subscriptions: number; exampleId: string | null; keyIds: string[] }>(
    FIND_SEALED,
    [keyIds, which === 'with_these'],
  )
  if (found === undefined) throw new Error('count returned no row')
  return { ...found, exampleId: found.exampleId ?? undefined }
}
