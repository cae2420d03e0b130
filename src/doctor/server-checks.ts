/** The server and both ways to it: what has to hold before there is anything of Walhook's. */
import type { Config } from '../config.ts'
import { withoutPassword } from '../config.ts'
import { type Fact, judged, ok, problem, sql, sqlName, todo, unknown, type Verdict } from '../core/doctor.ts'
import {
  judgeClock,
  judgeDurability,
  judgePrimary,
  judgeSenders,
  judgeSlotLimit,
  judgeSlots,
  judgeTimeouts,
  judgeVersion,
  judgeWalLevel,
  type ServerFacts,
} from '../core/doctor-server.ts'
import { errorCode, WalhookError } from '../lifecycle/errors.ts'
import { readReplicationFacts, type ReplicationFacts } from '../replication/replication-facts.ts'
import type { Database } from '../store/database.ts'
import { readOnly } from '../store/read-only.ts'
import { readClock, readDurability, readServerFacts } from '../store/server-facts.ts'
import type { Examination } from './examination.ts'
import { reasonOf } from './examination.ts'

const ANSWER_WITHIN_MS = 5_000

export interface ServerKnown {
  readonly server: Fact<ServerFacts>
  readonly replication: Fact<ReplicationFacts>
}

export async function checkServer(
  examination: Examination,
  config: Config,
  database: Database,
): Promise<ServerKnown> {
  // Side by side: where neither answers, nobody waits twice.
  const [asked, streamed] = await Promise.all([
    examination.attempt(() => readOnly(database, (tx) => readServerFacts(tx, config.slotName))),
    readReplicationFacts(config.replicationUrl, config.slotName, ANSWER_WITHIN_MS).then(
      (value) => ({ kind: 'known', value }) as const,
      (error: unknown) => ({ kind: 'failed', error }) as const,
    ),
  ])
  const where = withoutPassword(config.databaseUrl)
  examination.add(
    'database',
    asked.kind === 'known'
      ? ok(`${where} answers, and lets ${asked.value.login} in`)
      : unreached(`${where}`, asked.error, 'DATABASE_URL', userOf(config.databaseUrl)),
  )
  const server = asked.kind === 'known' ? asked : unknown('the database cannot be asked')
  examination.add(
    'replication',
    streamed.kind === 'known'
      ? judgeReplication(streamed.value, asked.kind === 'known' ? asked.value : undefined)
      : unreached(
          withoutPassword(config.replicationUrl),
          streamed.error,
          config.replicationUrl === config.databaseUrl ? 'DATABASE_URL' : 'WALHOOK_REPLICATION_URL',
          userOf(config.replicationUrl),
        ),
  )
  const replication =
    streamed.kind === 'known' ? streamed : unknown('the server cannot be asked over a replication connection')

  examination.add('version', judged(server, judgeVersion))
  examination.add('primary', judged(server, judgePrimary))
  examination.add('wal_level', judged(server, judgeWalLevel))
  examination.add('wal_senders', judged(server, judgeSenders))
  examination.add('replication_slots', judged(server, judgeSlots))
  examination.add('slot_limit', judged(server, judgeSlotLimit))
  examination.add('slot_timeouts', judged(server, judgeTimeouts))
  const durability = await examination.askAfter(server, async (tx, facts) => ({
    facts,
    ...(await readDurability(tx)),
  }))
  const synchronousCommit = replication.kind === 'known' ? replication.value.synchronousCommit : undefined
  examination.add(
    'durability',
    judged(durability, ({ facts, ...found }) => judgeDurability(facts, { ...found, synchronousCommit })),
  )
  await checkClock(examination, server)
  return { server, replication }
}

async function checkClock(examination: Examination, server: Fact<ServerFacts>): Promise<void> {
  const fact = await examination.askAfter(server, async (tx) => {
    await readClock(tx)
    const askedAt = Date.now()
    const theirs = await readClock(tx)
    const answeredAt = Date.now()
    return {
      aheadMs: (askedAt + answeredAt) / 2 - theirs,
      uncertaintyMs: (answeredAt - askedAt) / 2 + 1,
    }
  })
  examination.add('clock', judged(fact, judgeClock))
}

function judgeReplication(
  replication: ReplicationFacts,
  server: { readonly database: string; readonly startedAt: string } | undefined,
): Verdict {
  const why =
    'What is streamed has to be what is recorded: Walhook would read the events of another database.'
  if (server !== undefined && replication.startedAt !== server.startedAt)
    return problem(
      'DATABASE_URL and WALHOOK_REPLICATION_URL lead to different servers',
      why,
      todo('point both at the primary, and at no pooler or balancer'),
    )
  if (server !== undefined && replication.database !== server.database)
    return problem(
      `WALHOOK_REPLICATION_URL leads to database ${replication.database}, and DATABASE_URL to ${server.database}`,
      why,
      todo('name the same database in both'),
    )
  return ok(`${replication.login} may replicate`)
}

/** No remedy but for what the error itself tells: a pooler, a right. */
function unreached(where: string, error: unknown, setting: string, user: string): Verdict {
  const why = 'Nothing can be relayed, recorded or delivered.'
  const cause = error instanceof WalhookError ? error.cause : error
  const said = reasonOf(error)
  if (said.includes('unsupported startup parameter'))
    return problem(
      `${where} is a pooler: ${said}`,
      'Walhook uses session settings and named statements, and a replication connection does not go through a pooler.',
      todo(`point ${setting} at Postgres itself`),
    )
  if (errorCode(cause) === '42501')
    return problem(
      `${where}: ${said}`,
      'Only a login with REPLICATION may read the log.',
      sql(`ALTER ROLE ${sqlName(user)} REPLICATION;`),
      todo('as a superuser; managed services have a role to grant: rds_replication, for one'),
    )
  const remedy = error instanceof WalhookError ? error.remedy : undefined
  return problem(`${where}: ${said}`, why, ...(remedy === undefined ? [] : [todo(remedy)]))
}

function userOf(url: string): string {
  const { username } = new URL(url)
  try {
    return decodeURIComponent(username)
  } catch {
    return username
  }
}

export function primaryOnly(server: Fact<ServerFacts>): Fact<ServerFacts> {
  if (server.kind === 'known' && server.value.isInRecovery) return unknown('the server is a standby')
  return server
}
