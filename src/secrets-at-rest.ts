/**
 * Secrets at rest: what signs, credentials and certificates. SQL writes them plain and is left alone with that; while
 * Walhook runs with a key, it puts a sealed text in the place of each plain one within a second or so, and of each that an
 * old key sealed. Replicas may do so at once. A row is locked while that happens: what a rotation wrote is never overwritten.
 */
import { randomBytes } from 'node:crypto'
import type { Config } from './config.ts'
import { FIRST_CURSOR } from './core/first-cursor.ts'
import type { EncryptionKey, KeyRing } from './core/key-ring.ts'
import { NONCE_BYTES } from './core/sealing.ts'
import { resealed, SECRET_COLUMNS, type UnreadableSecret } from './core/signing-secret.ts'
import { WalhookError } from './lifecycle/errors.ts'
import { Wake } from './lifecycle/wake.ts'
import type { Database, Queryable } from './store/database.ts'
import {
  findSealed,
  lockNotSealedWith,
  lockUnsealed,
  replaceSecrets,
  type SecretRow,
} from './store/stored-secrets.ts'
import type { Logger } from './telemetry/logger.ts'

/** How long a plain secret stays plain. */
const LOOK_EVERY_MS = 1_000
/** How often all of them are looked through, for what other replicas sealed with an old key meanwhile. */
const LOOK_THROUGH_EVERY_MS = 3_600_000
/** The same where an old key is still needed: for rows that were locked, or cannot be read. */
const LOOK_THROUGH_AGAIN_MS = 60_000
/** Rows that are locked at a time. */
const BATCH = 500

/** Errors: `configuration`, where a secret was sealed with a key that is not in the ring. */
export async function assertSecretsCanBeRead(config: Config, db: Queryable): Promise<void> {
  const ring = config.encryptionKeys
  const { subscriptions, exampleId, keyIds } = await findSealed(
    db,
    ring.map(({ id }) => id),
    'with_others',
  )
  if (subscriptions === 0) return
  const whose = `the secrets of ${subscriptions === 1 ? 'subscription' : `${subscriptions} subscriptions, among them`} ${exampleId}`
  const lack = ring.length === 0 ? 'is not set' : 'does not have the key that sealed them'
  throw new WalhookError(
    'configuration',
    `${whose}${subscriptions === 1 ? '' : ','} cannot be read: WALHOOK_ENCRYPTION_KEY ${lack}`,
    {
      remedy:
        `Name the key with id ${keyIds.join(', ')} in WALHOOK_ENCRYPTION_KEY, after a comma where another one is to seal. ` +
        `Where it is lost, give each subscription a new secret, and its credentials and certificates anew: docs/operations.md, "Secrets at rest".`,
    },
  )
}

/** What to do is the operator's: until then the subscription's deliveries wait. */
export function reportUnreadable(logger: Logger, { id, column, reason }: UnreadableSecret): void {
  logger.error({ subscription_id: id, column, reason }, 'secret.unreadable')
}

/** Runs until `signal` aborts. Rejects where the database does. `key` is the first of the ring. */
export async function keepSecretsSealed(
  key: EncryptionKey,
  ring: KeyRing,
  database: Database,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const lock = (tx: Queryable): Promise<readonly SecretRow[]> => lockUnsealed(tx, BATCH)
  for (let lookThroughAt = -Infinity; !signal.aborted;) {
    if (performance.now() >= lookThroughAt) {
      await sealEverything(key, ring, database, logger, signal)
      const isDone = await reportOldKeys(ring.slice(1), database, logger)
      lookThroughAt = performance.now() + (isDone ? LOOK_THROUGH_EVERY_MS : LOOK_THROUGH_AGAIN_MS)
    }
    while (!signal.aborted && (await sealBatch(key, ring, database, logger, lock)).length === BATCH);
    await new Wake().sleep(LOOK_EVERY_MS, signal)
  }
}

async function sealEverything(
  key: EncryptionKey,
  ring: KeyRing,
  database: Database,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  for (let cursor: string | undefined = FIRST_CURSOR; cursor !== undefined && !signal.aborted;) {
    const after: string = cursor
    const rows = await sealBatch(key, ring, database, logger, (tx) =>
      lockNotSealedWith(tx, key.id, after, BATCH),
    )
    cursor = rows.at(-1)?.id
  }
}

/** Returns the rows that it looked at. No two of these transactions wait for each other: what is locked is passed over. */
async function sealBatch(
  key: EncryptionKey,
  ring: KeyRing,
  database: Database,
  logger: Logger,
  lock: (tx: Queryable) => Promise<readonly SecretRow[]>,
): Promise<readonly SecretRow[]> {
  const { rows, sealed } = await database.transaction(async (tx) => {
    const locked = await lock(tx)
    const changed = locked.flatMap((row) => sealedRow(key, ring, row, logger) ?? [])
    await replaceSecrets(tx, changed)
    return { rows: locked, sealed: changed.length }
  })
  if (sealed > 0) logger.info({ subscriptions: sealed, key_id: key.id }, 'secrets.sealed')
  return rows
}

/** Undefined where nothing is to be changed. What cannot be read stays as it is, and does not keep the others from being sealed. */
function sealedRow(key: EncryptionKey, ring: KeyRing, row: SecretRow, logger: Logger): SecretRow | undefined {
  const sealed = { ...row }
  for (const column of SECRET_COLUMNS) {
    const text = row[column]
    if (text === null) continue
    const result = resealed(key, ring, { id: row.id, column, text }, randomBytes(NONCE_BYTES))
    if (result.kind === 'unreadable') reportUnreadable(logger, { id: row.id, column, reason: result.reason })
    if (result.kind === 'sealed') sealed[column] = result.text
  }
  return SECRET_COLUMNS.some((column) => sealed[column] !== row[column]) ? sealed : undefined
}

/** Returns whether none of them is needed any more. */
async function reportOldKeys(oldKeys: KeyRing, database: Database, logger: Logger): Promise<boolean> {
  if (oldKeys.length === 0) return true
  const keyIds = oldKeys.map(({ id }) => id)
  const left = await findSealed(database, keyIds, 'with_these')
  if (left.subscriptions === 0) {
    logger.info({ key_ids: keyIds }, 'secrets.old_keys_unused')
    return true
  }
  logger.warn(
    { key_ids: left.keyIds, subscriptions: left.subscriptions, subscription_id: left.exampleId },
    'secrets.old_keys_in_use',
  )
  return false
}
