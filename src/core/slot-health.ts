/**
 * How near Postgres is to giving the slot up, and who has to do something about it. Pure: readings in, verdict out.
 */
import type { Lsn } from './lsn.ts'

/** `missing` is ours; the others are Postgres's `wal_status`. */
export const SLOT_STATES = ['missing', 'reserved', 'extended', 'unreserved', 'lost'] as const
export type SlotStateName = (typeof SLOT_STATES)[number]

export interface SlotReading {
  readonly state: SlotStateName
  /** Postgres's own word for why it gave the slot up, from 17 on. */
  readonly invalidationReason: string | undefined
  /** Whether any process streams it. */
  readonly isActive: boolean
  /** Log that the server keeps for the slot; undefined while there is none. */
  readonly retainedBytes: number | undefined
  /** The part of it that has not been confirmed. */
  readonly unconfirmedBytes: number | undefined
  /** What may still be written before the slot is given up; undefined where the server sets no limit. */
  readonly safeBytes: number | undefined
  /** The end of the log. */
  readonly walEnd: Lsn
  /** Milliseconds of a clock that only moves forward. */
  readonly atMs: number
}

export const SLOT_RISKS = ['none', 'rising', 'high', 'lost'] as const
export type SlotRisk = (typeof SLOT_RISKS)[number]

export interface SlotVerdict {
  readonly risk: SlotRisk
  /** Whom to look at; undefined while there is no risk. */
  readonly cause: string | undefined
  /** If the log goes on growing as it did and nothing more is read; undefined where there is no limit, or no growth. */
  readonly secondsUntilLost: number | undefined
}

/** Without `max_slot_wal_keep_size` the disk is the limit, and nobody tells us how large it is. */
const RISING_WITHOUT_LIMIT_BYTES = 1024 ** 3
const HIGH_WITHOUT_LIMIT_BYTES = 10 * 1024 ** 3
const RISING_SHARE = 0.5
const HIGH_SHARE = 0.8

/** `earlier` is of the same slot, and tells how fast the log grows. */
export function judgeSlot(latest: SlotReading, earlier: SlotReading = latest): SlotVerdict {
  const risk = riskOf(latest)
  return {
    risk,
    cause: risk === 'none' ? undefined : causeOf(latest),
    secondsUntilLost: secondsUntilLost(earlier, latest),
  }
}

function riskOf({ state, retainedBytes = 0, safeBytes }: SlotReading): SlotRisk {
  switch (state) {
    case 'missing':
    case 'lost':
      return 'lost'
    case 'unreserved':
      return 'high'
    case 'reserved':
    case 'extended': {
      const [rising, high] =
        safeBytes === undefined
          ? [RISING_WITHOUT_LIMIT_BYTES, HIGH_WITHOUT_LIMIT_BYTES]
          : [RISING_SHARE * (retainedBytes + safeBytes), HIGH_SHARE * (retainedBytes + safeBytes)]
      return retainedBytes < rising ? 'none' : retainedBytes < high ? 'rising' : 'high'
    }
    default:
      return state satisfies never
  }
}

function causeOf(reading: SlotReading): string {
  const { state, isActive, retainedBytes = 0, unconfirmedBytes = 0, invalidationReason } = reading
  if (state === 'missing') return 'the slot is gone: it is made anew, and the outbox looked through'
  if (state === 'lost')
    return `Postgres gave the slot up${invalidationReason === undefined ? '' : ` (${invalidationReason})`}: it is made anew, and the outbox looked through`
  if (!isActive) return 'no process reads the slot'
  return unconfirmedBytes * 2 >= retainedBytes
    ? 'the relay does not keep up, or cannot record'
    : 'a transaction that has been open for long holds the log: look for the oldest xact_start in pg_stat_activity and for prepared transactions'
}

function secondsUntilLost(first: SlotReading, latest: SlotReading): number | undefined {
  if (latest.state === 'missing' || latest.state === 'lost') return 0
  const elapsedMs = latest.atMs - first.atMs
  if (latest.safeBytes === undefined || elapsedMs <= 0) return undefined
  const bytesASecond = (Number(latest.walEnd - first.walEnd) / elapsedMs) * 1000
  return bytesASecond > 0 ? Math.max(0, latest.safeBytes) / bytesASecond : undefined
}
