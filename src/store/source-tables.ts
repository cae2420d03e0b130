/** What the catalogue says of the tables that are to be sources. It takes no right on them: Walhook never reads the tables themselves. */
import type { FoundTable } from '../core/source-check.ts'
import type { Queryable } from './database.ts'

const LOOK = /* sql */ `
  select
    asked.position::integer as position,
    c.oid::text as oid,
    c.relkind::text as kind,
    c.relpersistence::text as persistence,
    (
      select json_agg(json_build_object(
        'name', a.attname,
        'type', coalesce(base.typname, t.typname),
        'isEnum', coalesce(base.typtype, t.typtype) = 'e',
        'isGenerated', a.attgenerated <> '',
        'isUnique', exists (
          select from pg_index as i
          where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null
            and i.indnkeyatts = 1 and i.indkey[0] = a.attnum
        )
      ) order by a.attnum)
      from pg_attribute as a
      join pg_type as t on t.oid = a.atttypid
      left join pg_type as base on base.oid = t.typbasetype
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) as columns
  from unnest($1::text[], $2::text[]) with ordinality as asked (schema, name, position)
  join pg_namespace as n on n.nspname = asked.schema
  join pg_class as c on c.relnamespace = n.oid and c.relname = asked.name and c.relkind <> 'i'`

interface FoundRow {
  position: number
  oid: string
  kind: string
  persistence: string
  columns: FoundTable['columns'] | null
}

/** In the order asked; undefined where there is no such table. */
export async function readSourceTables(
  db: Queryable,
  names: readonly { readonly schema: string; readonly table: string }[],
): Promise<readonly (FoundTable | undefined)[]> {
  if (names.length === 0) return []
  const rows = await db.query<FoundRow>(LOOK, [
    names.map(({ schema }) => schema),
    names.map(({ table }) => table),
  ])
  return names.map((_name, i) => {
    const row = rows.find(({ position }) => position === i + 1)
    return row === undefined
      ? undefined
      : { oid: row.oid, kind: row.kind, persistence: row.persistence, columns: row.columns ?? [] }
  })
}
