/** From commit to receipt: the first request of each delivery, timed by the one clock of this process. Pure. */
import type { WrittenEvent } from './application.ts'
import type { Receipt } from './receiver.ts'

export interface Latency {
  readonly samples: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Undefined where nothing arrived. A request can come before the commit has returned: that is a time below zero. */
export function commitToReceipt(
  written: readonly WrittenEvent[],
  receipts: readonly Receipt[],
): Latency | undefined {
  const committedAtMs = new Map(written.map(({ id, endedAtMs }) => [id, endedAtMs]))
  const tookMs = receipts
    .filter(({ attempt }) => attempt === 1)
    .flatMap(({ eventId, arrivedAtMs }) => {
      const endedAtMs = committedAtMs.get(eventId)
      return endedAtMs === undefined ? [] : [arrivedAtMs - endedAtMs]
    })
    .sort((a, b) => a - b)
  const p50Ms = percentile(tookMs, 50)
  const p99Ms = percentile(tookMs, 99)
  if (p50Ms === undefined || p99Ms === undefined) return undefined
  return { samples: tookMs.length, p50Ms, p99Ms }
}

/** The nearest rank: a time that was measured. */
function percentile(sorted: readonly number[], percent: number): number | undefined {
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]
}
