/** From the moments of two processes' clocks to latencies in milliseconds. */
import type { LatencySample } from './measurement.ts'
import { percentile } from './statistics.ts'

type Moments = ReadonlyMap<string, number>

/** Of those that are in both. */
export function latenciesOf(from: Moments, to: Moments): number[] {
  const latencies: number[] = []
  for (const [id, at] of from) {
    const then = to.get(id)
    if (then !== undefined) latencies.push(then - at)
  }
  return latencies
}

/** By the second in which they began. */
export function latenciesOverTime(from: Moments, to: Moments): LatencySample[] {
  let firstAt = Infinity
  for (const at of from.values()) firstAt = Math.min(firstAt, at)
  const bySecond = new Map<number, number[]>()
  for (const [id, at] of from) {
    const then = to.get(id)
    if (then === undefined) continue
    const second = Math.floor((at - firstAt) / 1000)
    const values = bySecond.get(second) ?? []
    values.push(then - at)
    bySecond.set(second, values)
  }
  return [...bySecond]
    .toSorted(([a], [b]) => a - b)
    .map(([second, values]) => ({ second, p50: percentile(values, 0.5), p99: percentile(values, 0.99) }))
}
