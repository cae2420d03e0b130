/** What the relay writes: its position, and the rows that could not be events. */
import { formatLsn, type Lsn, parseLsn } from '../core/lsn.ts'
import type { RawRow } from '../core/outbox-event.ts'
import type { RelayPosition } from '../core/relay-position.ts'
import type { Gap } from '../core/slot-plan.ts'
import { WalhookError } from '../lifecycle/errors.ts'
import type { Queryable } from './database.ts'

/** Which history of which cluster a position belongs to. */
export interface ServerIdentity {
  readonly systemIdentifier: string
  readonly timeline: number
}

export interface RelayRow extends RelayPosition, ServerIdentity {}

export async function readRelayRow(db: Queryable, slotName: string): Promise<RelayRow | undefined> {
  const [row] = await db.query<{ lsn: string; row: string; system_identifier: string; timeline: number }>(
    /* sql */ `
    select lsn::text as lsn, row_in_transaction::text as row, system_identifier, timeline
    from walhook.relay
    where slot_name = $1`,
    [slotName],
  )
  if (row === undefined) return undefined
  return {
    lsn: parseLsn(row.lsn),
    row: Number(row.row),
    systemIdentifier: row.system_identifier,
    timeline: row.timeline,
  }
}

/**
 * For a slot that stands at `lsn`: everything that commits from there on will come through it, and what committed before is to be
 * looked for. Transaction numbers mean nothing in another cluster, so there a clock has to do, with a margin.
 */
export async function startRelayRow(
  tx: Queryable,
  slotName: string,
  lsn: Lsn,
  server: ServerIdentity,
  gap: Gap,
): Promise<void> {
  await tx.query(
    /* sql */ `
    insert into walhook.relay
      (slot_name, lsn, system_identifier, timeline, rescan_from, rescan_to, rescan_reason, audited_to)
    values (
      $1, $2, $3, $4, '-infinity', pg_snapshot_xmax(pg_current_snapshot()), $5,
      -- Under another slot's name this cluster's outbox may have been relayed already.
      coalesce((select max(audited_to::text::bigint)::text::xid8 from walhook.relay where system_identifier = $3), '0')
    )
    on conflict (slot_name) do update
      set lsn = excluded.lsn,
          row_in_transaction = 0,
          system_identifier = excluded.system_identifier,
          timeline = excluded.timeline,
          audited_to = case when relay.system_identifier = excluded.system_identifier then relay.audited_to else '0' end,
          rescan_from = case
            -- A search that is still owed may begin at a time, and not at the beginning.
            when relay.system_identifier = excluded.system_identifier then coalesce(relay.rescan_from, excluded.rescan_from)
            else coalesce(relay.committed_at - interval '1 hour', '-infinity')
          end,
          rescan_to = excluded.rescan_to,
          rescan_reason = excluded.rescan_reason,
          updated_at = now()
      -- Two that start at once may both come here: the second must not set the first one back.
      where relay.system_identifier <> excluded.system_identifier or relay.lsn <= excluded.lsn`,
    [slotName, formatLsn(lsn), server.systemIdentifier, server.timeline, gap],
  )
}

/** The slot can be read on, but did not bring everything. */
export async function recordGap(db: Queryable, slotName: string, gap: Gap): Promise<void> {
  await db.query(
    /* sql */ `
    update walhook.relay
    set rescan_from = coalesce(rescan_from, '-infinity'), rescan_to = pg_snapshot_xmax(pg_current_snapshot()), rescan_reason = $2
    where slot_name = $1`,
    [slotName, gap],
  )
}

/** Positions of another cluster mean nothing here: every subscription is taken to be older than what comes. */
export async function forgetForeignPositions(tx: Queryable): Promise<void> {
  await tx.query(`update walhook.subscriptions set active_from_lsn = '0/0', active_from_xid = '0'`)
  await tx.query(`update walhook.dead_events set lsn = null where lsn is not null`)
}

export async function recordTimeline(db: Queryable, slotName: string, timeline: number): Promise<void> {
  await db.query(`update walhook.relay set timeline = $2 where slot_name = $1`, [slotName, timeline])
}

/**
 * What the rows of a transaction are counted among. Returns whether that has changed: then one that was recorded in part has to be
 * recorded from its beginning, and row 0 is where the relay stands.
 */
export async function recordSources(
  db: Queryable,
  slotName: string,
  sources: readonly string[],
): Promise<boolean> {
  const changed = await db.query(
    /* sql */ `
    update walhook.relay
    set sources = $2, row_in_transaction = 0
    where slot_name = $1 and sources is distinct from $2
    returning slot_name`,
    [slotName, ['message', ...sources].join(' ')],
  )
  return changed.length > 0
}

const ADVANCE = {
  name: 'walhook_advance_relay',
  text: /* sql */ `
    update walhook.relay
    set lsn = $2::pg_lsn,
        row_in_transaction = $3,
        committed_at = coalesce($4::timestamptz, committed_at),
        updated_at = now()
    where slot_name = $1 and (lsn, row_in_transaction) <= ($2::pg_lsn, $3::bigint)
    returning slot_name`,
}

/** Errors: `slot_in_use` when another process has recorded further, so that a sleeper that wakes up undoes nothing. */
export async function advanceRelay(
  tx: Queryable,
  slotName: string,
  position: RelayPosition,
  committedAt: Date | undefined,
): Promise<void> {
  const advanced = await tx.query(ADVANCE, [
    slotName,
    formatLsn(position.lsn),
    position.row,
    committedAt ?? null,
  ])
  if (advanced.length === 0) {
    throw new WalhookError(
      'slot_in_use',
      `the relay of slot ${slotName} is already past ${formatLsn(position.lsn)}`,
      {
        remedy: 'Another process relays this slot; this one waits for its turn.',
      },
    )
  }
}

export interface MalformedRow {
  readonly lsn: Lsn
  readonly rowInTransaction: number
  readonly reason: string
  readonly raw: RawRow
}

const RAW_LIMIT = 65_536

export async function recordMalformed(
  tx: Queryable,
  slotName: string,
  rows: readonly MalformedRow[],
): Promise<void> {
  if (rows.length === 0) return
  await tx.query(
    /* sql */ `
    insert into walhook.malformed (slot_name, lsn, row_in_transaction, reason, raw)
    select $1, m.lsn, m.row_in_transaction, m.reason, m.raw
    from unnest($2::pg_lsn[], $3::bigint[], $4::text[], $5::text[]) as m (lsn, row_in_transaction, reason, raw)
    on conflict (slot_name, lsn, row_in_transaction) do nothing`,
    [
      slotName,
      rows.map((row) => formatLsn(row.lsn)),
      rows.map((row) => row.rowInTransaction),
      rows.map((row) => row.reason),
      rows.map((row) => JSON.stringify(Object.fromEntries(row.raw)).slice(0, RAW_LIMIT)),
    ],
  )
}
