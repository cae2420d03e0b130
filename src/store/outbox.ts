/** Writing an event, as an application does it. */
import type { Queryable } from './database.ts'

export interface NewEvent {
  readonly type: string
  /** JSON text; its bytes are what is sent and signed. */
  readonly payload: string
  readonly key?: string | undefined
  readonly tenant?: string | undefined
  /** JSON text of an object. */
  readonly headers?: string | undefined
}

/** Returns the event's id. In a transaction it is sent only if that commits. */
export async function publish(db: Queryable, event: NewEvent): Promise<string> {
  const [row] = await db.query<{ id: string }>(
    /* sql */ `
    select walhook.publish($1, $2::json, key => $3, tenant => $4, headers => coalesce($5::json, '{}')) as id`,
    [event.type, event.payload, event.key ?? null, event.tenant ?? null, event.headers ?? null],
  )
  if (row === undefined) throw new Error('walhook.publish returned no row')
  return row.id
}
