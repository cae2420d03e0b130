/** What a look over the replication connection tells, whatever state the server is in: `inspectServer` refuses what is unfit. */
import type { ServerState } from '../core/slot-plan.ts'
import { withReplicationClient } from './server.ts'

export interface ReplicationFacts extends ServerState {
  readonly login: string
  /** Tells one running server from every other. */
  readonly startedAt: string
  /** The login's own default: the setting that commits of its kind go by. */
  readonly synchronousCommit: string
}

const READ = /* sql */ `
  select
    current_database()::text as database,
    current_user::text as login,
    extract(epoch from pg_postmaster_start_time())::text as started_at,
    current_setting('synchronous_commit') as synchronous_commit`

/** Errors: those of `replicationError`. */
export async function readReplicationFacts(
  connectionString: string,
  slotName: string,
  answerWithinMs: number,
): Promise<ReplicationFacts> {
  return withReplicationClient(
    connectionString,
    slotName,
    async (client) => {
      const [system] = (await client.query<{ systemid: string; timeline: number }>('IDENTIFY_SYSTEM')).rows
      const [row] = (
        await client.query<{
          database: string
          login: string
          started_at: string
          synchronous_commit: string
        }>(READ)
      ).rows
      if (system === undefined || row === undefined) throw new Error('IDENTIFY_SYSTEM answered nothing')
      return {
        systemIdentifier: system.systemid,
        timeline: Number(system.timeline),
        database: row.database,
        login: row.login,
        startedAt: row.started_at,
        synchronousCommit: row.synchronous_commit,
      }
    },
    answerWithinMs,
  )
}
