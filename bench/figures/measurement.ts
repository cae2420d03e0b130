/** What one measured piece of a round cost, by process, and how it went over time. */

export const PROCESSES = ['postgres', 'walhook', 'application', 'receiver', 'bench'] as const
export type ProcessName = (typeof PROCESSES)[number]

/** A moment of it; seconds since its begin. */
export interface Sample {
  readonly second: number
  /** Different events that endpoints got since its begin. */
  readonly received: number
  readonly walhookMiB: number
}

/** Of one second in which events were committed: commit to receipt, in milliseconds. */
export interface LatencySample {
  readonly second: number
  readonly p50: number
  readonly p99: number
}

export interface Measurement {
  readonly label: string
  readonly seconds: number
  readonly deliveries: number
  /** Milliseconds of CPU for one delivery; NaN for a process that this machine does not show. */
  readonly cpuMs: Readonly<Record<ProcessName, number>>
  /** Of the log that the server wrote, all databases and the application's own inserts included. */
  readonly walBytes: number
  /** The most that any one replica of Walhook had resident at any time. */
  readonly walhookPeakMiB: number
  readonly postgresPrivateMiB: number
  readonly samples: readonly Sample[]
  readonly latencies: readonly LatencySample[]
}

/** What Walhook costs, a delivery: its own milliseconds of CPU and those of Postgres. */
export function cpuOf({ cpuMs }: Pick<Measurement, 'cpuMs'>): number {
  return cpuMs.walhook + cpuMs.postgres
}

/** Different events a second between two shares of a measurement: 0 and 1 are all of it. */
export function rateBetween(samples: readonly Sample[], from: number, to: number): number {
  const last = samples.at(-1)?.received ?? NaN
  const momentOf = (share: number): number => {
    const wanted = last * share
    const after = samples.findIndex(({ received }) => received >= wanted)
    const end = samples[after]
    const begin = samples[Math.max(0, after - 1)]
    if (end === undefined || begin === undefined) return NaN
    if (end.received === begin.received) return end.second
    const part = (wanted - begin.received) / (end.received - begin.received)
    return begin.second + part * (end.second - begin.second)
  }
  return (last * (to - from)) / (momentOf(to) - momentOf(from))
}
