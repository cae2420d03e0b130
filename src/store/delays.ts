/** What the header `deliver_after` of some events means. Postgres says it, so that every way to a delivery agrees. */
import { deliverAfterOf, type OutboxEvent } from '../core/outbox-event.ts'
import type { Queryable } from './database.ts'

export interface Delays {
  /** By event; Postgres's text. */
  readonly dueAt: ReadonlyMap<string, string>
  /** Events whose header cannot be understood: they are not delayed. */
  readonly misread: readonly OutboxEvent[]
}

const NO_DELAYS: Delays = { dueAt: new Map(), misread: [] }

/** No statement where no event has that header. */
export async function readDelays(db: Queryable, events: readonly OutboxEvent[]): Promise<Delays> {
  const marked = events.filter((event) => deliverAfterOf(event) !== undefined)
  if (marked.length === 0) return NO_DELAYS
  // What no text of Postgres's can hold is no time either.
  const delayed = marked.filter((event) => deliverAfterOf(event)?.includes('\0') === false)
  const rows = await db.query<{ id: string; due_at: string | null }>(
    /* sql */ `
    select e.id, walhook.deliver_at(e.deliver_after, e.created_at)::text as due_at
    from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as e (id, deliver_after, created_at)`,
    [delayed.map((e) => e.id), delayed.map((e) => deliverAfterOf(e)), delayed.map((e) => e.timestamp)],
  )
  const dueAt = new Map(rows.flatMap(({ id, due_at: at }) => (at === null ? [] : [[id, at] as const])))
  return { dueAt, misread: marked.filter(({ id }) => !dueAt.has(id)) }
}
