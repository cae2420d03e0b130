/** Writing events, as an application does it; and so that writing one twice writes it once. */
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

/** With the id that its publisher gave it; without one it is always new. */
export interface IdentifiedEvent extends NewEvent {
  readonly id?: string | undefined
}

export type PublishedEvent = Readonly<{
  id: string
  type: string
  key: string | null
  tenant: string | null
  /** Postgres's text. */
  created_at: string
  is_new: boolean
  /** What stands under its id says something else. */
  differs: boolean
}>

const PUBLISH = /* sql */ `
  insert into walhook.outbox (id, type, key, tenant, payload, headers)
  select e.id, e.type, e.key, e.tenant, e.payload::json, e.headers::json
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
    with ordinality as e (id, type, key, tenant, payload, headers, position)
  order by e.position
  on conflict (id) do nothing
  returning id`

/** A statement of its own: it sees what stood in the way of the first, which may have been committed meanwhile. */
const COMPARE = /* sql */ `
  select
    o.id, o.type, o.key, o.tenant, o.created_at::text as created_at, o.id = any ($7::uuid[]) as is_new,
    (o.type, o.key, o.tenant, o.payload::text, o.headers::text, o.captured_from)
      is distinct from (e.type, e.key, e.tenant, e.payload, e.headers, null) as differs
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
    with ordinality as e (id, type, key, tenant, payload, headers, position)
  join walhook.outbox as o on o.id = e.id
  order by e.position`

/**
 * In their order. What stands there already is left as it is, and compared byte for byte. Errors: Postgres's, where a rule of the
 * outbox is broken.
 */
export async function publishOnce(
  tx: Queryable,
  events: readonly IdentifiedEvent[],
): Promise<readonly PublishedEvent[]> {
  const ids = await idsOf(tx, events)
  const columns = [
    ids,
    events.map(({ type }) => type),
    events.map(({ key }) => key ?? null),
    events.map(({ tenant }) => tenant ?? null),
    events.map(({ payload }) => payload),
    events.map(({ headers }) => headers ?? '{}'),
  ]
  const made = await tx.query<{ id: string }>(PUBLISH, columns)
  return tx.query<PublishedEvent>(COMPARE, [...columns, made.map(({ id }) => id)])
}

async function idsOf(tx: Queryable, events: readonly IdentifiedEvent[]): Promise<readonly string[]> {
  const nameless = events.filter(({ id }) => id === undefined).length
  if (nameless === 0) return events.flatMap(({ id }) => id ?? [])
  const fresh = (
    await tx.query<{ id: string }>('select walhook.uuidv7() as id from generate_series(1, $1)', [nameless])
  ).map(({ id }) => id)
  return events.flatMap(({ id }) => id ?? fresh.shift() ?? [])
}
