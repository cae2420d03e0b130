/** Sources in our publication: pgoutput decodes what is in it and nothing else; wal2json goes by the tables' names alone. */
import type { SourceTable } from '../core/source-check.ts'
import { errorCode, WalhookError } from '../lifecycle/errors.ts'

/** Returns the names of those that were not in it: what was inserted into them before does not come through a slot. */
export async function publishSources(
  query: (statement: string, values?: readonly unknown[]) => Promise<readonly unknown[]>,
  publicationName: string,
  sources: readonly SourceTable[],
): Promise<readonly string[]> {
  const added: string[] = []
  for (const source of sources) {
    const published = await query(
      'select from pg_publication_tables where pubname = $1 and schemaname = $2 and tablename = $3',
      [publicationName, source.schema, source.table],
    )
    if (published.length > 0) continue
    const statement = `ALTER PUBLICATION "${publicationName}" ADD TABLE ${source.name}`
    try {
      await query(statement)
      added.push(source.name)
    } catch (error) {
      throwUnlessPublished(error, source.name, statement)
    }
  }
  return added
}

function throwUnlessPublished(error: unknown, name: string, statement: string): void {
  switch (errorCode(error)) {
    case '42710': // another replica was faster
      return
    case '42501':
      throw new WalhookError('database_refused', `the login may not publish ${name}, which it does not own`, {
        remedy: `Run as a superuser: ${statement}; or set WALHOOK_PLUGIN=wal2json, which needs no publication.`,
        cause: error,
      })
    default:
      throw error
  }
}
