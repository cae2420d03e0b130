/** What `walhook doctor` says of the server: its version, its settings and what is left of its resources. Pure. */
import { formatAge, ok, plural, problem, shell, sql, todo, type Verdict, warning } from './doctor.ts'

export interface ServerFacts {
  /** 170004 for 17.4. */
  readonly version: number
  readonly isInRecovery: boolean
  readonly database: string
  readonly login: string
  readonly isSuperuser: boolean
  /** Whether the login sees what others do: a member of pg_read_all_stats. */
  readonly seesOthers: boolean
  readonly isUtf8: boolean
  /** By name: the setting in its unit; absent where this server has none of that name, or does not show it. */
  readonly settings: Readonly<Record<string, { readonly setting: string; readonly unit: string | null }>>
  /** Connections that stream, of whatever kind. */
  readonly senders: number
  readonly slots: number
  /** Whether ours is one of them. */
  readonly slotExists: boolean
  readonly slotIsActive: boolean
  /** Standbys that keep slots here. */
  readonly physicalSlots: readonly string[]
}

export const LEAST_VERSION = 140_000

interface BadMinors {
  /** The first minor release that has it, and the first that has it no more, of each major release. */
  readonly from: Readonly<Record<number, number>>
  readonly until: Readonly<Record<number, number>>
  readonly what: string
}

const FROM_THE_FIRST = { 14: 0, 15: 0, 16: 0, 17: 0 }

/** From the release notes. The gravest first. */
const BAD_MINORS: readonly BadMinors[] = [
  {
    from: FROM_THE_FIRST,
    until: { 14: 15, 15: 10, 16: 6, 17: 2 },
    what: "a slot's restart_lsn may go backwards, to log that is gone: then the slot cannot be read any more",
  },
  {
    from: FROM_THE_FIRST,
    until: { 14: 18, 15: 13, 16: 9, 17: 5 },
    what: 'pgoutput may pass over what running transactions insert into a table while it is put into the publication',
  },
  {
    from: { 14: 18, 15: 13, 16: 9, 17: 5 },
    until: { 14: 19, 15: 14, 16: 10, 17: 6 },
    what: 'decoding may run out of memory where schemas change while many transactions run (invalid memory alloc request size)',
  },
]

export function judgeVersion({ version }: ServerFacts): Verdict {
  const major = Math.floor(version / 10_000)
  const minor = version % 10_000
  const name = `Postgres ${major}.${minor}`
  if (version < LEAST_VERSION)
    return problem(
      `${name} is too old`,
      'Walhook needs Postgres 14 or newer.',
      todo('upgrade to a newer major release'),
    )
  const bad = BAD_MINORS.find(
    ({ from, until }) => minor >= (from[major] ?? Infinity) && minor < (until[major] ?? 0),
  )
  if (bad === undefined) return ok(name)
  const goodMinor = Math.max(...BAD_MINORS.map(({ until }) => until[major] ?? 0))
  return warning(
    `${name} has known faults in logical decoding`,
    `In this minor release ${bad.what}.`,
    todo(
      `update to ${major}.${goodMinor} or newer: a minor release wants new binaries and a restart, no dump`,
    ),
  )
}

export function judgePrimary({ isInRecovery }: ServerFacts): Verdict {
  if (!isInRecovery) return ok('the server is a primary')
  return problem(
    'the server is a standby',
    'Nothing can be recorded on a standby, so nothing is relayed.',
    todo(
      'point DATABASE_URL and WALHOOK_REPLICATION_URL at the primary, or promote this one: SELECT pg_promote();',
    ),
  )
}

export function judgeWalLevel(facts: ServerFacts): Verdict {
  const level = settingOf(facts, 'wal_level') ?? 'unknown'
  if (level === 'logical') return ok('wal_level is logical')
  return problem(
    `wal_level is ${level}, and has to be logical`,
    'Only then does Postgres write to its log what it takes to decode it.',
    sql('ALTER SYSTEM SET wal_level = logical;'),
    todo('restart Postgres; managed services have a parameter for it'),
  )
}

/** One streams; another looks at the server now and then, or streams for a replica that takes over. */
const SENDERS_WANTED = 2

export function judgeSenders(facts: ServerFacts): Verdict {
  const most = Number(settingOf(facts, 'max_wal_senders') ?? 0)
  const free = most - facts.senders
  const summary = `${facts.senders} of ${plural(most, 'WAL sender')} in use`
  const wanted = SENDERS_WANTED - (facts.slotIsActive ? 1 : 0)
  const steps = [
    sql(`ALTER SYSTEM SET max_wal_senders = ${Math.max(10, most + 5)};`),
    todo('restart Postgres, or end what streams and is not needed: SELECT * FROM pg_stat_replication;'),
  ]
  if (free >= wanted) return ok(summary)
  if (free > 0 || facts.slotIsActive)
    return warning(
      summary,
      'A sidecar streams over one of them and now and then needs a second, to look at the server or to take over.',
      ...steps,
    )
  return problem(summary, 'A sidecar streams over one of them, and none is free.', ...steps)
}

export function judgeSlots(facts: ServerFacts): Verdict {
  const most = Number(settingOf(facts, 'max_replication_slots') ?? 0)
  const summary = `${facts.slots} of ${plural(most, 'replication slot')} in use`
  if (facts.slotExists || facts.slots < most) return ok(summary)
  return problem(
    `${summary}, and none of them is Walhook's`,
    'Walhook needs one, and cannot make it.',
    sql(
      'SELECT slot_name, active, restart_lsn FROM pg_replication_slots; -- then pg_drop_replication_slot of one that nobody uses',
    ),
    sql(`ALTER SYSTEM SET max_replication_slots = ${most + 5};`),
    todo('restart Postgres'),
  )
}

export function judgeSlotLimit(facts: ServerFacts): Verdict {
  const megabytes = Number(settingOf(facts, 'max_slot_wal_keep_size') ?? -1)
  if (megabytes >= 0) return ok(`a slot may keep ${megabytes} MB of log (max_slot_wal_keep_size)`)
  return warning(
    'max_slot_wal_keep_size is -1: a slot keeps log until the disk is full',
    'While no sidecar runs, the slot keeps all log since then, and a full disk stops Postgres.',
    sql(
      "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; -- what your longest outage may write, and less than the disk has",
    ),
    sql('SELECT pg_reload_conf();'),
  )
}

const DAY_MS = 86_400_000

export function judgeTimeouts(facts: ServerFacts): Verdict {
  const idleMs = durationOf(facts, 'idle_replication_slot_timeout') ?? 0
  if (idleMs > 0 && idleMs < DAY_MS)
    return warning(
      `idle_replication_slot_timeout is ${formatAge(idleMs)}`,
      'When no sidecar has run for as long, Postgres gives the slot up.',
      sql('ALTER SYSTEM SET idle_replication_slot_timeout = 0; -- or longer than your longest outage'),
      sql('SELECT pg_reload_conf();'),
    )
  const senderMs = durationOf(facts, 'wal_sender_timeout')
  if (senderMs === 0)
    return warning(
      'wal_sender_timeout is 0',
      'Neither Postgres nor Walhook notices by itself that the connection between them is dead.',
      sql("ALTER SYSTEM SET wal_sender_timeout = '60s';"),
      sql('SELECT pg_reload_conf();'),
    )
  return ok(
    `a dead connection is noticed${senderMs === undefined ? '' : ` within ${formatAge(senderMs)}`}, and an idle slot is kept`,
  )
}

export interface Durability {
  /** Standbys that a commit waits for are connected; undefined where the login may not see. */
  readonly synchronousStandbys: number | undefined
  /** `ALTER ROLE`, `ALTER DATABASE`: for whom `synchronous_commit` is off. */
  readonly offFor: readonly string[]
  /** The server's own, as the replication login has it. */
  readonly synchronousCommit: string | undefined
}

export function judgeDurability(facts: ServerFacts, durability: Durability): Verdict {
  const { synchronousStandbys, offFor, synchronousCommit } = durability
  const names = settingOf(facts, 'synchronous_standby_names') ?? ''
  if (names !== '' && synchronousStandbys === 0)
    return problem(
      'synchronous_standby_names names standbys, and none of them is connected',
      'Every commit waits for them: the application’s, and those that record deliveries.',
      todo('bring a standby back; or, knowing that commits then stand on one server only:'),
      sql("ALTER SYSTEM SET synchronous_standby_names = '';"),
      sql('SELECT pg_reload_conf();'),
    )
  const unsafe = ['fsync', 'full_page_writes'].filter((name) => settingOf(facts, name) === 'off')
  if (unsafe.length > 0)
    return warning(
      `${unsafe.join(' and ')} ${unsafe.length === 1 ? 'is' : 'are'} off`,
      'A crash of the machine can destroy the database, events and deliveries with it.',
      ...unsafe.map((name) => sql(`ALTER SYSTEM SET ${name} = on;`)),
      sql('SELECT pg_reload_conf();'),
    )
  const off = [...(synchronousCommit === 'off' ? ['the server'] : []), ...offFor]
  if (off.length > 0)
    return warning(
      `synchronous_commit is off for ${off.join(', ')}`,
      'A crash of the server can take back an event whose commit the application was told. What Walhook records is safe: it sets its own.',
      ...(synchronousCommit === 'off'
        ? [sql('ALTER SYSTEM SET synchronous_commit = on;'), sql('SELECT pg_reload_conf();')]
        : [
            shell(
              "psql -c '\\drds' # shows where; then ALTER ROLE … or ALTER DATABASE … RESET synchronous_commit;",
            ),
          ]),
    )
  return ok('a commit that was told is on disk')
}

/** Receivers refuse a signature that is more than five minutes old, or from as far ahead (Standard Webhooks). */
const TOLERANCE_MS = 300_000
const NOTICEABLE_MS = 2_000

/** `aheadMs`: how far this machine's clock is ahead of the server's; `uncertaintyMs`: how much of that asking may have made. */
export function judgeClock({
  aheadMs,
  uncertaintyMs,
}: {
  readonly aheadMs: number
  readonly uncertaintyMs: number
}): Verdict {
  const offMs = Math.abs(aheadMs)
  const direction = aheadMs > 0 ? 'ahead of' : 'behind'
  const summary = `this machine's clock is ${formatAge(offMs)} ${direction} the server's`
  const step = todo('set both clocks by NTP: timedatectl status')
  if (offMs - uncertaintyMs >= TOLERANCE_MS)
    return problem(
      summary,
      'If it is this one that is wrong, receivers refuse every webhook: its timestamp is more than five minutes off.',
      step,
    )
  if (offMs - uncertaintyMs >= NOTICEABLE_MS)
    return warning(
      summary,
      'Receivers judge the age of a webhook by the timestamp that this machine gives it, within five minutes; lag in metrics is off by as much.',
      step,
    )
  return ok(`this machine's clock and the server's agree`)
}

export function settingOf(facts: ServerFacts, name: string): string | undefined {
  return facts.settings[name]?.setting
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: DAY_MS }

function durationOf(facts: ServerFacts, name: string): number | undefined {
  const found = facts.settings[name]
  return found === undefined ? undefined : Number(found.setting) * (UNIT_MS[found.unit ?? 'ms'] ?? 1)
}
