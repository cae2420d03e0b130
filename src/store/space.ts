/** What walhook.space shows, summed up by table. */
import type { Queryable } from './database.ts'

export interface TableSpace {
  readonly table: string
  readonly bytes: number
}

export function readSpace(db: Queryable): Promise<readonly TableSpace[]> {
  return db.query<TableSpace>(/* sql */ `
    select table_name as "table", sum(total_bytes)::double precision as bytes
    from walhook.space
    group by table_name`)
}
