/** The public halves of Ed25519 keys, which stand beside them for whoever verifies. */
import type { Queryable } from './database.ts'

export interface StoredEd25519Key {
  readonly id: string
  /** Plain or sealed. */
  readonly text: string
}

const FIND_WITHOUT_PUBLIC_KEY = {
  name: 'walhook_find_without_public_key',
  // The index subscriptions_without_public_key holds these rows and no others.
  text: /* sql */ `
    select id, ed25519_key as text
    from walhook.subscriptions
    where ed25519_key is not null and ed25519_public_key is null and id > $1
    order by id
    limit $2`,
}

/** Rows after `cursor`, in the order of their ids, whose public key is not known yet. */
export async function findWithoutPublicKey(
  db: Queryable,
  cursor: string,
  limit: number,
): Promise<readonly StoredEd25519Key[]> {
  return db.query<StoredEd25519Key>(FIND_WITHOUT_PUBLIC_KEY, [cursor, limit])
}

/** Where the key is still that one. It was decided when the key was written, so `updated_at` stays. */
export async function showPublicKey(
  db: Queryable,
  { id, text }: StoredEd25519Key,
  publicKey: string,
): Promise<void> {
  await db.query(
    /* sql */ `
    update walhook.subscriptions
    set ed25519_public_key = $3, updated_at = null
    where id = $1 and ed25519_key = $2`,
    [id, text, publicKey],
  )
}

/** Of a subscription that the caller's transaction made or found. Both null where it does not sign with Ed25519. */
export async function readEd25519Key(
  tx: Queryable,
  id: string,
): Promise<{ readonly text: string | null; readonly publicKey: string | null }> {
  const [found] = await tx.query<{ text: string | null; publicKey: string | null }>(
    /* sql */ `
    select ed25519_key as text, ed25519_public_key as "publicKey"
    from walhook.subscriptions
    where id = $1 and 'standard-ed25519' = any (signature)`,
    [id],
  )
  return found ?? { text: null, publicKey: null }
}
