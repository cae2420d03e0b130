/** Removing what an event said, and leaving the record that there was one. */
import type { Queryable } from './database.ts'

export type Expunged = Readonly<{
  /** The first time, where it was done before; null where retention had removed the event itself. Postgres's text. */
  expunged_at: string | null
  /** Deliveries that were pending. */
  cancelled: number
  response_bodies: number
  malformed: number
}>

/** Errors: P0002 where nothing is known of such an event. */
export async function expunge(db: Queryable, eventId: string): Promise<Expunged> {
  const [done] = await db.query<Expunged>(
    /* sql */ `
    select expunged_at::text as expunged_at, cancelled, response_bodies, malformed
    from walhook.expunge($1::uuid)`,
    [eventId],
  )
  if (done === undefined) throw new Error('walhook.expunge returned no row')
  return done
}
