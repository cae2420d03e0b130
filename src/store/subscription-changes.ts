/**
 * Writing subscriptions. What can stand in one, the database decides, and names the field that cannot (SQLSTATE 22023 with its column;
 * 23505 for a name that is taken). Each is told whose it may be: of another tenant, or none, it is not there.
 */
import type { SubscriptionOptions } from '../core/subscription-options.ts'
import type { Queryable } from './database.ts'

export interface CreatedSubscription {
  readonly id: string
  /** The signing secret, this once. */
  readonly secret: string
}

/** Without a secret it gets a fresh one. */
export async function createSubscription(
  db: Queryable,
  options: SubscriptionOptions,
  secret?: string,
): Promise<CreatedSubscription> {
  const [made] = await db.query<CreatedSubscription>(
    /* sql */ `select id, new_secret as secret from walhook.create_subscription($1::jsonb, $2)`,
    [JSON.stringify(options), secret ?? null],
  )
  if (made === undefined) throw new Error('walhook.create_subscription returned no row')
  return made
}

/** Whether it is there. Errors: WH412, where it is not of this version any more. */
export function changeSubscription(
  db: Queryable,
  id: string,
  tenant: string | null,
  changes: SubscriptionOptions,
  version?: string,
): Promise<boolean> {
  return isDone(
    db,
    /* sql */ `
    select walhook.change_subscription(id, $3::jsonb, $4)
    from walhook.subscriptions
    where id = $1 and ($2::text is null or tenant = $2)`,
    [id, tenant, JSON.stringify(changes), version ?? null],
  )
}

/** Whether it was there. What it was still owed is cancelled. Errors: WH412, where it is not of this version any more. */
export function deleteSubscription(
  db: Queryable,
  id: string,
  tenant: string | null,
  version?: string,
): Promise<boolean> {
  return isDone(
    db,
    /* sql */ `
    select walhook.delete_subscription(id, $3)
    from walhook.subscriptions
    where id = $1 and ($2::text is null or tenant = $2)`,
    [id, tenant, version ?? null],
  )
}

/** Whether it is there. */
export function pauseSubscription(
  db: Queryable,
  id: string,
  tenant: string | null,
  reason: string | undefined,
): Promise<boolean> {
  return isDone(
    db,
    /* sql */ `
    select walhook.pause(id, $3)
    from walhook.subscriptions
    where id = $1 and ($2::text is null or tenant = $2)`,
    [id, tenant, reason ?? null],
  )
}

/** Whether it is there. */
export function resumeSubscription(db: Queryable, id: string, tenant: string | null): Promise<boolean> {
  return isDone(
    db,
    /* sql */ `
    select walhook.resume(id)
    from walhook.subscriptions
    where id = $1 and ($2::text is null or tenant = $2)`,
    [id, tenant],
  )
}

export interface Rotation {
  /** Undefined for a fresh one. */
  readonly secret?: string | undefined
  /** How long both sign: a duration; undefined for 24 hours. */
  readonly overlap?: string | undefined
}

/** The new secret, this once; undefined where there is no such subscription. */
export async function rotateSecret(
  db: Queryable,
  id: string,
  tenant: string | null,
  { secret, overlap }: Rotation,
): Promise<string | undefined> {
  const [rotated] = await db.query<{ secret: string }>(
    /* sql */ `
    select walhook.rotate_secret(id, $3, overlap => walhook.overlap_of($4)) as secret
    from walhook.subscriptions
    where id = $1 and ($2::text is null or tenant = $2)`,
    [id, tenant, secret ?? null, overlap ?? null],
  )
  return rotated?.secret
}

async function isDone(db: Queryable, text: string, values: readonly unknown[]): Promise<boolean> {
  return (await db.query({ text }, values)).length > 0
}
