/** What `walhook doctor` says of who runs: the sidecars, and others' transactions that hold the slot back. Pure. */
import { formatAge, ok, sql, sqlName, sqlText, todo, type Verdict, warning } from './doctor.ts'

/** Processes of Walhook as each tells of itself. */
export interface ReplicaFacts {
  readonly host: string
  readonly version: string
  readonly role: string
  readonly isGone: boolean
}

export function judgeReplicas(replicas: readonly ReplicaFacts[], ourVersion: string): Verdict {
  const running = replicas.filter(({ isGone }) => !isGone)
  const gone = replicas.filter(({ isGone }) => isGone)
  const summary =
    running.length === 0
      ? 'no process of Walhook runs'
      : running.map(({ host, role, version }) => `${host} (${version}) is ${role}`).join(', ')
  const interrupted = running.filter(({ role }) => role === 'interrupted')
  if (interrupted.length > 0)
    return warning(
      summary,
      'A stream that was interrupted opens again by itself, where what ended it passes.',
      todo(`look for relay.interrupted in the log of ${hosts(interrupted)}: it says why`),
    )
  const others = running.filter(({ version }) => version !== ourVersion)
  if (others.length > 0)
    return warning(
      summary,
      `This is Walhook ${ourVersion}. Different versions may run side by side while one replaces the other, and no longer.`,
      todo(`replace what runs on ${hosts(others)}`),
    )
  if (gone.length > 0)
    return warning(
      `${summary}; ${hosts(gone)} ended without a word in the last ten minutes`,
      'It was killed, or lost the database. What it held is delivered by others within a minute.',
      todo(`look at what ended it: its log, and whether it ran out of memory (docs/operations.md, "Tuning")`),
    )
  return ok(summary)
}

function hosts(replicas: readonly ReplicaFacts[]): string {
  return [...new Set(replicas.map(({ host }) => host))].join(', ')
}

export interface Transaction {
  readonly pid: number
  readonly login: string
  readonly ageMs: number
  readonly isIdle: boolean
}

export interface PreparedTransaction {
  readonly gid: string
  readonly database: string
  readonly ageMs: number
}

export interface TransactionFacts {
  readonly open: readonly Transaction[]
  readonly prepared: readonly PreparedTransaction[]
  /** Whether others' transactions are shown to the login. */
  readonly seesOthers: boolean
  readonly login: string
}

export function judgeTransactions(facts: TransactionFacts): Verdict {
  const { open, prepared, seesOthers, login } = facts
  const found = [
    ...prepared.map(({ gid, ageMs }) => `prepared transaction ${gid} is ${formatAge(ageMs)} old`),
    ...open.map(
      ({ pid, login: whose, ageMs, isIdle }) =>
        `process ${pid} of ${whose} has ${isIdle ? 'idled in' : 'been in'} a transaction for ${formatAge(ageMs)}`,
    ),
  ]
  if (found.length > 0)
    return warning(
      found.join('; '),
      'The slot keeps all log since the oldest transaction that is open on this server, in whatever database, and a slot that is to be made waits for it.',
      ...prepared.map(({ gid, database }) =>
        sql(`ROLLBACK PREPARED ${sqlText(gid)}; -- or COMMIT PREPARED, in database ${sqlName(database)}`),
      ),
      ...open.map(({ pid }) => sql(`SELECT pg_terminate_backend(${pid});`)),
    )
  if (!seesOthers)
    return {
      status: 'skipped',
      summary: `${login} may not see others' transactions: GRANT pg_read_all_stats TO ${sqlName(login)}; no prepared one is old`,
    }
  return ok('no transaction has been open for long')
}
