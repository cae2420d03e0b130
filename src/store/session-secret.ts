/** What portal links and sessions are signed with: the same for all replicas, whether or not there is a token in their environment. */
import { randomBytes } from 'node:crypto'
import type { KeyRing } from '../core/key-ring.ts'
import { type Purpose, signingKey } from '../core/signed-claims.ts'
import type { Queryable } from './database.ts'

export interface SigningParts {
  readonly adminToken: string | undefined
  readonly encryptionKeys: KeyRing
}

const SECRET_BYTES = 32

/**
 * Of WALHOOK_ADMIN_TOKEN, where there is one: another token ends all that was signed with it. Else of a row, which whoever
 * reads the table could sign with; so WALHOOK_ENCRYPTION_KEY goes into it where there is one.
 */
export async function readSigningKey(
  db: Queryable,
  { adminToken, encryptionKeys: [first] }: SigningParts,
  purpose: Purpose,
): Promise<Uint8Array> {
  if (adminToken !== undefined) return signingKey([Buffer.from(adminToken)], purpose)
  const stored = await readOrMake(db)
  return signingKey(first === undefined ? [stored] : [stored, first.key.export()], purpose)
}

const READ = { name: 'walhook_read_session_secret', text: 'select secret from walhook.session_secret' }

async function readOrMake(db: Queryable): Promise<Uint8Array> {
  const [found] = await db.query<{ secret: Buffer }>(READ)
  if (found !== undefined) return found.secret
  // Of two that make it at once, both get the one that stays.
  const [made] = await db.query<{ secret: Buffer }>(
    /* sql */ `
    insert into walhook.session_secret as s (secret) values ($1)
    on conflict (is_the_one) do update set secret = s.secret
    returning s.secret`,
    [randomBytes(SECRET_BYTES)],
  )
  if (made === undefined) throw new Error('the session secret that was made is not there')
  return made.secret
}
