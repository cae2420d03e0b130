/**
 * Shows the public key of each Ed25519 key that SQL wrote, so that it can be given to a receiver before anything is sent.
 * Replicas may do so at once: a key has one public key, and one that was changed meanwhile is looked at again.
 */
import { FIRST_CURSOR } from './core/first-cursor.ts'
import { ed25519PublicKey } from './core/ed25519-key.ts'
import type { KeyRing } from './core/key-ring.ts'
import { readSecret } from './core/signing-secret.ts'
import { Wake } from './lifecycle/wake.ts'
import type { Database, Queryable } from './store/database.ts'
import {
  findWithoutPublicKey,
  readEd25519Key,
  showPublicKey,
  type StoredEd25519Key,
} from './store/public-keys.ts'

const LOOK_EVERY_MS = 1_000
const BATCH = 500

/** Runs until `signal` aborts. Rejects where the database does. A key that cannot be read is told of where it is to sign. */
export async function keepPublicKeysShown(
  ring: KeyRing,
  database: Database,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    for (let cursor: string | undefined = FIRST_CURSOR; cursor !== undefined && !signal.aborted;) {
      const found: readonly StoredEd25519Key[] = await findWithoutPublicKey(database, cursor, BATCH)
      for (const key of found) await show(database, ring, key)
      cursor = found.at(-1)?.id
    }
    await new Wake().sleep(LOOK_EVERY_MS, signal)
  }
}

/** Of one subscription, at once; undefined where it does not sign with Ed25519, or its key cannot be read. */
export async function publicKeyOf(tx: Queryable, ring: KeyRing, id: string): Promise<string | undefined> {
  const { text, publicKey } = await readEd25519Key(tx, id)
  if (publicKey !== null || text === null) return publicKey ?? undefined
  return show(tx, ring, { id, text })
}

async function show(db: Queryable, ring: KeyRing, key: StoredEd25519Key): Promise<string | undefined> {
  const read = readSecret(ring, { id: key.id, column: 'ed25519_key', text: key.text })
  if (read.kind !== 'plain' && read.kind !== 'opened') return undefined
  const publicKey = ed25519PublicKey(read.plain)
  await showPublicKey(db, key, publicKey)
  return publicKey
}
