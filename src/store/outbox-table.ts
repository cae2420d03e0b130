/** Whether the outbox is still the table that is streamed. A renamed or replaced one loses its events without an error. */
import type { Queryable } from './database.ts'

export interface OutboxTable {
  /** As text; null when there is no table of that name. */
  readonly oid: string | null
  /** Of the publication that it is in; null when it is in none of that name. One that is dropped and made again is another. */
  readonly publicationOid: string | null
}

const LOOK = /* sql */ `
  select
    to_regclass('walhook.outbox')::oid::text as oid,
    (
      select p.oid::text
      from pg_publication as p
      join pg_publication_tables as t using (pubname)
      where p.pubname = $1 and t.schemaname = 'walhook' and t.tablename = 'outbox'
    ) as "publicationOid"`

export async function readOutboxTable(db: Queryable, publicationName: string): Promise<OutboxTable> {
  const [table] = await db.query<OutboxTable>(LOOK, [publicationName])
  return table ?? { oid: null, publicationOid: null }
}

export function isSameOutbox(one: OutboxTable, other: OutboxTable): boolean {
  return one.oid === other.oid && one.publicationOid === other.publicationOid
}
