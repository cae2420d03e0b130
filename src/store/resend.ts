/** Putting deliveries back on their way, and taking them off it. */
import type { Queryable } from './database.ts'

export type ResentDelivery = Readonly<{
  /** A bigint as text. */
  id: string
  event_id: string
  subscription_id: string
  /** Made so far; the next one bears the next number. */
  attempts: number
}>

/** Makes a delivery due now, whatever its state. Errors: Postgres's P0002 where there is no such delivery. */
export async function resend(db: Queryable, deliveryId: string): Promise<ResentDelivery> {
  const [resent] = await db.query<ResentDelivery>(
    /* sql */ `
    select id::text as id, event_id, subscription_id, attempts
    from walhook.resend($1::bigint)`,
    [deliveryId],
  )
  if (resent === undefined) throw new Error('walhook.resend returned no row')
  return resent
}

/**
 * Takes a pending delivery off its way; one that is cancelled already is left so. Errors: Postgres's P0002 where there is no such
 * delivery, 55000 where it is delivered or dead.
 */
export async function cancelDelivery(db: Queryable, deliveryId: string): Promise<void> {
  await db.query('select from walhook.cancel($1::bigint)', [deliveryId])
}
