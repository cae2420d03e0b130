/** Filters, tried on what was published lately. */
import { rfc3339 } from '../core/outbox-event.ts'
import type { Queryable } from './database.ts'

export interface FilterTrial {
  readonly filter: string
  readonly eventTypes?: readonly string[] | undefined
  readonly limit: number
}

export type TriedEvent = Readonly<{
  event_id: string
  type: string
  key: string | null
  tenant: string | null
  created_at: string
  matches: boolean
  /** Its first 1,000 characters. */
  payload: string
}>

/** The newest first. Errors: Postgres's 22023, naming the field. */
export async function tryFilter(
  db: Queryable,
  tenant: string | null,
  { filter, eventTypes, limit }: FilterTrial,
): Promise<readonly TriedEvent[]> {
  const rows = await db.query<TriedEvent>(
    /* sql */ `
    select event_id, type, key, event_tenant as tenant, created_at::text as created_at, matches, payload
    from walhook.try_filter($1, $2::text[], $3, $4::int)`,
    [filter, eventTypes ?? null, tenant, limit],
  )
  return rows.map((row) => ({ ...row, created_at: rfc3339(row.created_at) ?? row.created_at }))
}
