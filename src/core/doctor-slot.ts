/** What `walhook doctor` says of the slot: who reads it, where it stands, and how long that is safe. Pure. */
import {
  formatAge,
  formatBytes,
  ok,
  plural,
  problem,
  shell,
  sql,
  sqlText,
  todo,
  type Verdict,
  warning,
} from './doctor.ts'
import type { Lsn } from './lsn.ts'
import { judgeSlot, type SlotReading } from './slot-health.ts'
import type { SlotPlan } from './slot-plan.ts'

export interface SlotFacts {
  readonly name: string
  readonly exists: boolean
  readonly database: string
  readonly ourDatabase: string
  readonly plugin: string
  readonly reading: SlotReading
  readonly confirmedLsn: Lsn | undefined
  /** Undefined where nobody streams. */
  readonly activePid: number | undefined
  /** Of whoever streams; undefined where the login may not see. */
  readonly activeAs: string | undefined
  /** From 17 on. */
  readonly failover: boolean | undefined
}

export function judgeSlotState(facts: SlotFacts): Verdict {
  const { name, reading } = facts
  if (!facts.exists)
    return problem(
      `there is no slot ${name}`,
      'What commits meanwhile does not come over the log. The next start makes the slot and looks the outbox through for it.',
      shell('walhook run # or walhook migrate, which makes it and no more'),
    )
  if (facts.database !== facts.ourDatabase)
    return problem(
      `slot ${name} belongs to database ${facts.database}, not to ${facts.ourDatabase}`,
      'A slot reads one database; slots’ names are unique in the whole server.',
      todo('set WALHOOK_SLOT to a name of its own for each database'),
    )
  if (reading.state === 'lost')
    return problem(
      `Postgres gave slot ${name} up${reading.invalidationReason === undefined ? '' : ` (${reading.invalidationReason})`}`,
      'It brings nothing any more. The next start makes it anew, and looks the outbox through for what it had not brought; events that are gone from the outbox by then are lost.',
      shell('walhook run'),
      todo(
        'raise max_slot_wal_keep_size where that is what it ran into: docs/operations.md, "Watch the slot"',
      ),
    )
  if (facts.confirmedLsn === undefined)
    return warning(
      `slot ${name} is being made`,
      'Making it waits for every transaction that is running.',
      sql(
        'SELECT pid, usename, xact_start, state FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start;',
      ),
    )
  return ok(
    `slot ${name} is there (${facts.plugin}, ${reading.state}), ${formatBytes(reading.unconfirmedBytes ?? 0)} of log unconfirmed`,
  )
}

export interface SidecarFacts {
  /** Events that have been in the outbox for a while and that no relay has recorded. */
  readonly waitingEvents: number
  readonly countedUpTo: number
}

/** `waiting` is undefined where the outbox could not be looked at. */
export function judgeSidecar(slot: SlotFacts, waiting: SidecarFacts | undefined): Verdict {
  if (slot.activePid !== undefined) {
    if (slot.activeAs !== undefined && slot.activeAs !== 'walhook' && slot.activeAs !== '')
      return problem(
        `slot ${slot.name} is streamed by ${slot.activeAs} (process ${slot.activePid}), which is no Walhook`,
        'What it confirms does not come to Walhook any more.',
        sql(`SELECT pg_terminate_backend(${slot.activePid}); -- and give that program a slot of its own`),
      )
    return ok(`a sidecar streams slot ${slot.name} (process ${slot.activePid} of the server)`)
  }
  const { waitingEvents, countedUpTo } = waiting ?? { waitingEvents: 0, countedUpTo: 0 }
  if (waitingEvents > 0)
    return problem(
      `no sidecar streams slot ${slot.name}, and ${plural(waitingEvents, 'event', countedUpTo)} wait in the outbox`,
      'Nothing is relayed, and the slot keeps log.',
      shell('walhook run'),
    )
  return warning(
    `no sidecar streams slot ${slot.name}`,
    `Nothing is relayed, and the slot keeps log. ${waiting === undefined ? 'Whether events wait could not be looked at.' : 'No event waits yet.'}`,
    shell('walhook run'),
  )
}

export function judgeSlotWal(slot: SlotFacts, earlier: SlotReading | undefined): Verdict {
  const { reading, name } = slot
  if (reading.state === 'lost' || reading.state === 'missing')
    return { status: 'skipped', summary: 'the slot keeps no log' }
  const { risk, cause, secondsUntilLost } = judgeSlot(reading, earlier)
  const limit =
    reading.safeBytes === undefined
      ? ', and nothing limits it'
      : `, and may keep ${formatBytes(reading.safeBytes)} more`
  const time =
    secondsUntilLost === undefined
      ? ''
      : `: ${formatAge(secondsUntilLost * 1000)} at the pace of the last moments`
  const summary = `slot ${name} keeps ${formatBytes(reading.retainedBytes ?? 0)} of log${limit}${time}`
  if (risk === 'none') return ok(summary)
  const why = `Past its limit Postgres gives the slot up; without one the disk fills and Postgres stops. Cause: ${cause}.`
  const steps = [
    ...(reading.isActive ? [] : [shell('walhook run')]),
    sql('SELECT * FROM walhook.slot_health;'),
    ...(reading.safeBytes === undefined
      ? []
      : [
          sql(
            `ALTER SYSTEM SET max_slot_wal_keep_size = '${moreMegabytes(reading)}MB'; -- where the disk has room for it`,
          ),
          sql('SELECT pg_reload_conf();'),
        ]),
  ]
  return risk === 'rising' ? warning(summary, why, ...steps) : problem(summary, why, ...steps)
}

function moreMegabytes({ retainedBytes = 0, safeBytes = 0 }: SlotReading): number {
  return Math.max(1024, Math.ceil(((retainedBytes + safeBytes) * 2) / 1024 ** 2))
}

/** What the next start would do. */
export function judgeSlotPosition(plan: SlotPlan, slotName: string): Verdict {
  switch (plan.kind) {
    case 'refuse':
      return plan.reason === 'old_primary'
        ? problem(
            'the server is on an older timeline than was recorded: it is a former primary',
            'What it has that the new primary lacks was never committed; Walhook refuses to stream it.',
            todo('point DATABASE_URL and WALHOOK_REPLICATION_URL at the current primary'),
          )
        : problem(
            `slot ${slotName} belongs to another database`,
            'Walhook refuses to start.',
            todo('set WALHOOK_SLOT to a name of its own for each database'),
          )
    case 'create':
      return { status: 'skipped', summary: 'there is no slot that could be read' }
    case 'adopt':
      return plan.gap === 'first_start'
        ? ok('the slot is there and no position is recorded: the first start begins where the slot stands')
        : warning(
            plan.gap === 'slot_moved'
              ? `slot ${slotName} is ahead of the recorded position: somebody advanced it, or made it again`
              : 'the recorded position is of another cluster',
            'What it passed over does not come over the log. The next start looks the outbox through for it, and reads on from where the slot stands.',
            shell('walhook run # restart a sidecar that runs'),
          )
    case 'continue':
      return ok('the slot vouches for everything since the recorded position')
    default:
      return plan satisfies never
  }
}

export interface FailoverFacts {
  readonly version: number
  readonly physicalSlots: readonly string[]
  /** synchronized_standby_slots; undefined before 17, or where it is not shown. */
  readonly synchronizedSlots: string | undefined
}

export function judgeFailover(slot: SlotFacts, facts: FailoverFacts): Verdict {
  const { version, physicalSlots, synchronizedSlots } = facts
  if (physicalSlots.length === 0)
    return ok('no standby keeps a slot here, so there is nothing to fail over to')
  if (version < 170_000)
    return ok(
      'before Postgres 17 no slot outlives a failover; the start on the new primary makes one, and looks the outbox through',
    )
  if (slot.failover !== true)
    return warning(
      `slot ${slot.name} was made without failover, and there are standbys`,
      'After a failover the slot is missing: it is made anew and the outbox looked through, which takes time in place of none.',
      todo('stop the sidecars; then, over a replication connection:'),
      shell(
        `psql "dbname=${/^[\w-]+$/.test(slot.ourDatabase) ? slot.ourDatabase : '…'} replication=database" -c 'ALTER_REPLICATION_SLOT ${slot.name} (FAILOVER true)'`,
      ),
    )
  if (synchronizedSlots === '')
    return warning(
      'synchronized_standby_slots is empty, and there are standbys',
      'The slot may be ahead of the standby that is promoted: what was sent from it by then is sent again, and what the standby lacks was sent already.',
      sql(
        `ALTER SYSTEM SET synchronized_standby_slots = ${physicalSlots.map(sqlText).join(', ')}; -- those that may be promoted`,
      ),
      sql('SELECT pg_reload_conf();'),
      todo('and sync_replication_slots = on, on the standbys'),
    )
  return ok(`slot ${slot.name} follows a failover`)
}
