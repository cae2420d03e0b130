/** The catalog of event types: as the relay follows it, and as an operator reads and writes it. */
import type { Queryable } from './database.ts'

/** What a replica has of a type; it is told the schema again only where that may be another one. */
export interface KnownVersion {
  readonly name: string
  readonly version: string
}

export type CatalogRow = Readonly<{
  name: string
  deprecated: boolean
  /** Another one after each change. */
  version: string
  /** JSON text; null where there is none, and where the version is known. */
  schema: string | null
}>

const READ_CATALOG = {
  name: 'walhook_read_catalog',
  text: /* sql */ `
    select
      t.name,
      t.deprecated,
      t.updated_at::text as version,
      case when known.version is distinct from t.updated_at::text then t.schema::text end as schema
    from walhook.event_types as t
    left join unnest($1::text[], $2::text[]) as known (name, version) on known.name = t.name`,
}

/** Every type; one statement, which costs little where nothing has changed. */
export function readCatalog(db: Queryable, known: readonly KnownVersion[]): Promise<CatalogRow[]> {
  return db.query<CatalogRow>(READ_CATALOG, [
    known.map(({ name }) => name),
    known.map(({ version }) => version),
  ])
}

/** A row of walhook.event_types; timestamps are Postgres's text, in UTC. */
export type EventTypeRow = Readonly<{
  name: string
  description: string | null
  /** JSON text. */
  schema: string | null
  /** JSON text. */
  example: string | null
  deprecated: boolean
  created_at: string
  updated_at: string
}>

/** By name, byte by byte: the same order everywhere. */
export function listEventTypes(db: Queryable): Promise<EventTypeRow[]> {
  return db.query<EventTypeRow>(/* sql */ `
    select
      name, description, schema::text as schema, example::text as example, deprecated,
      created_at::text as created_at, updated_at::text as updated_at
    from walhook.event_types
    order by name collate "C"`)
}

/** The same in pages: those behind `after`. */
export function pageEventTypes(
  db: Queryable,
  page: { readonly after: string | undefined; readonly limit: number },
): Promise<EventTypeRow[]> {
  return db.query<EventTypeRow>(
    /* sql */ `
    select
      name, description, schema::text as schema, example::text as example, deprecated,
      created_at::text as created_at, updated_at::text as updated_at
    from walhook.event_types
    where $1::text is null or name collate "C" > $1
    order by name collate "C"
    limit $2`,
    [page.after ?? null, page.limit],
  )
}

/** Locked until the transaction ends. */
export async function lockEventType(tx: Queryable, name: string): Promise<EventTypeRow | undefined> {
  const [found] = await tx.query<EventTypeRow>(
    /* sql */ `
    select
      name, description, schema::text as schema, example::text as example, deprecated,
      created_at::text as created_at, updated_at::text as updated_at
    from walhook.event_types
    where name = $1
    for update`,
    [name],
  )
  return found
}

export type NewEventType = Pick<EventTypeRow, 'name' | 'description' | 'schema' | 'example' | 'deprecated'>

/** Makes it, or makes it so. Errors: Postgres's 22023, naming the column. */
export async function writeEventType(tx: Queryable, type: NewEventType): Promise<void> {
  await tx.query(
    /* sql */ `
    insert into walhook.event_types as t (name, description, schema, example, deprecated)
    values ($1, $2, $3::json, $4::json, $5)
    on conflict (name) do update
      set description = excluded.description,
          schema = excluded.schema,
          example = excluded.example,
          deprecated = excluded.deprecated`,
    [type.name, type.description, type.schema, type.example, type.deprecated],
  )
}

/** Whether it was there. */
export async function removeEventType(db: Queryable, name: string): Promise<boolean> {
  const removed = await db.query(/* sql */ `delete from walhook.event_types where name = $1 returning name`, [
    name,
  ])
  return removed.length > 0
}
