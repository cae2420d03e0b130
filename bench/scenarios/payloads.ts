import { scenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

export const SMALL = { label: '200 B', bytes: 200, events: 50_000 }
export const MIDDLE = { label: '10 kB', bytes: 10_000, events: 20_000 }
const LARGE = { label: '1 MB', bytes: 1_000_000, events: 400 }

export const payloads = scenario({
  name: 'payloads',
  shows: 'events with payloads of 200 B, 10 kB and 1 MB, drained',
  rounds: 2,
  figures: {
    small: { what: '200 B: deliveries', unit: 'per second' },
    smallBytes: { what: '200 B: payload', unit: 'MB/s' },
    smallMemory: { what: "200 B: Walhook's memory at most", unit: 'MiB', reach: { atMost: 300 } },
    middle: { what: '10 kB: deliveries', unit: 'per second' },
    middleBytes: { what: '10 kB: payload', unit: 'MB/s' },
    middleMemory: { what: "10 kB: Walhook's memory at most", unit: 'MiB' },
    large: { what: '1 MB: deliveries', unit: 'per second' },
    largeBytes: { what: '1 MB: payload', unit: 'MB/s' },
    largeMemory: { what: "1 MB: Walhook's memory at most", unit: 'MiB' },
  },
  async round(stage) {
    await stage.subscribe()
    const small = await drained(stage, SMALL)
    const middle = await drained(stage, MIDDLE)
    const large = await drained(stage, LARGE)
    return {
      small: small.perSecond,
      smallBytes: small.megabytes,
      smallMemory: small.memory,
      middle: middle.perSecond,
      middleBytes: middle.megabytes,
      middleMemory: middle.memory,
      large: large.perSecond,
      largeBytes: large.megabytes,
      largeMemory: large.memory,
    }
  },
})

async function drained(
  stage: Stage,
  { label, bytes, events: wanted }: typeof SMALL,
): Promise<{ perSecond: number; megabytes: number; memory: number }> {
  const events = stage.scaled(wanted, 20)
  const { perSecond, walhookPeakMiB } = await stage.commitAndDrain(label, events, { payloadBytes: bytes })
  return { perSecond, megabytes: (perSecond * bytes) / 1e6, memory: walhookPeakMiB }
}
