/**
 * What to do with the slot at each start, told from what we have recorded and what the server has. Pure: each case
 * is a line of a table in its test.
 *
 * Where the slot cannot vouch for everything since the recorded position, the plan names the gap: the outbox is then
 * looked through for what the slot will not bring.
 */
import type { Lsn } from './lsn.ts'

export interface SlotState {
  readonly plugin: string
  readonly database: string
  readonly confirmedLsn: Lsn | undefined
  readonly isActive: boolean
  readonly walStatus: string | undefined
  readonly invalidationReason: string | undefined
}

export interface ServerState {
  readonly systemIdentifier: string
  readonly timeline: number
  readonly database: string
}

export interface RecordedState {
  readonly lsn: Lsn
  readonly systemIdentifier: string
  readonly timeline: number
}

/** Why events may have been passed over. A closed list: it stands in the log and in a metric's label. */
export const GAPS = [
  'first_start',
  'slot_missing',
  'slot_lost',
  'slot_moved',
  'another_cluster',
  'outbox_unpublished',
] as const
export type Gap = (typeof GAPS)[number]

export type SlotPlan =
  /** `replaces`: there is a slot of this name that can no longer be read. */
  | { readonly kind: 'create'; readonly replaces: boolean; readonly gap: Gap }
  /** Begin where the slot stands. */
  | { readonly kind: 'adopt'; readonly lsn: Lsn; readonly gap: Gap }
  | { readonly kind: 'continue'; readonly recordTimeline: boolean; readonly gap: Gap | undefined }
  | { readonly kind: 'refuse'; readonly reason: 'old_primary' | 'another_database' }

/** What else speaks against the slot, seen by who read it or by a look at the publication. */
export type Suspicion =
  /** The log that it holds cannot be decoded, though Postgres has not given it up. */
  | 'unreadable'
  /** For a while the plugin passed the outbox over. */
  | 'outbox_unpublished'

export function planSlot(
  server: ServerState,
  slot: SlotState | undefined,
  recorded: RecordedState | undefined,
  suspicion?: Suspicion,
): SlotPlan {
  const isForeign = recorded !== undefined && recorded.systemIdentifier !== server.systemIdentifier
  const known = isForeign ? undefined : recorded

  // A former primary that came back must not be streamed: what it has that the new one lacks was never committed.
  if (known !== undefined && server.timeline < known.timeline)
    return { kind: 'refuse', reason: 'old_primary' }
  if (slot !== undefined && slot.database !== server.database)
    return { kind: 'refuse', reason: 'another_database' }

  const beginning: Gap | undefined = isForeign
    ? 'another_cluster'
    : known === undefined
      ? 'first_start'
      : undefined
  if (slot === undefined) return { kind: 'create', replaces: false, gap: beginning ?? 'slot_missing' }
  if (slot.walStatus === 'lost' || slot.confirmedLsn === undefined || suspicion === 'unreadable')
    return { kind: 'create', replaces: true, gap: beginning ?? 'slot_lost' }
  if (known === undefined) return { kind: 'adopt', lsn: slot.confirmedLsn, gap: beginning ?? 'first_start' }

  // We record a position before we confirm it: a slot that is ahead was moved, or dropped and made again.
  if (slot.confirmedLsn > known.lsn) return { kind: 'adopt', lsn: slot.confirmedLsn, gap: 'slot_moved' }
  return { kind: 'continue', recordTimeline: server.timeline > known.timeline, gap: suspicion }
}
