/** The database as the operator's commands use it: briefly, and over one connection. */
import { parseDatabaseUrl } from '../config.ts'
import { Database } from '../store/database.ts'
import type { CommandContext } from './command.ts'

/** Errors: `configuration`, `database_unreachable`, `database_refused`, and those of `work`. */
export async function withDatabase<Result>(
  context: CommandContext,
  work: (database: Database) => Promise<Result>,
): Promise<Result> {
  await using database = new Database({
    url: parseDatabaseUrl(context.environment),
    maxConnections: 1,
  })
  return await work(database)
}
