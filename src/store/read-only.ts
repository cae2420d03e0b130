/** A look that can harm nobody: Postgres itself refuses every write in it, and it waits for no lock and for no answer for long. */
import type { Database, Queryable } from './database.ts'

/** Errors: Postgres's own; 57014 where it took too long, 55P03 where somebody holds what it wants to read. */
export function readOnly<Result>(
  database: Database,
  work: (tx: Queryable) => Promise<Result>,
): Promise<Result> {
  return database.transaction(async (tx) => {
    await tx.query(/* sql */ `set transaction read only`)
    await tx.query(/* sql */ `set local statement_timeout = '4s'`)
    await tx.query(/* sql */ `set local lock_timeout = '500ms'`)
    return work(tx)
  })
}
