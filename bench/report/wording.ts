/** Figures as people read them. */
import { spreadOf } from '../figures/statistics.ts'
import type { ScenarioResult } from '../results.ts'
import type { FigureMeaning, Scenario } from '../scenario.ts'

export interface Row {
  readonly what: string
  readonly value: string
  readonly spread: string
  readonly reach: string
  /** Undefined where nothing was to be reached. */
  readonly isReached: boolean | undefined
}

const UNITS: Readonly<Record<FigureMeaning['unit'], string>> = {
  'per second': '/s',
  ms: ' ms',
  ratio: '',
  MiB: ' MiB',
  'MB/s': ' MB/s',
  s: ' s',
  kB: ' kB',
  count: '',
}

export function rowsOf(scenario: Scenario, result: ScenarioResult): Row[] {
  return Object.entries(scenario.figures).flatMap(([name, meaning]) => {
    const values = result.rounds.flatMap((round) => (round[name] === undefined ? [] : [round[name]]))
    if (values.length === 0) return []
    const { median, low, high } = spreadOf(values)
    const { reach } = meaning
    return [
      {
        what: meaning.what,
        value: spoken(median) + UNITS[meaning.unit],
        spread: values.length === 1 ? '' : `${spoken(low)} to ${spoken(high)}`,
        reach: reach === undefined ? '' : reachText(reach) + UNITS[meaning.unit],
        isReached: reach === undefined ? undefined : isReached(median, reach),
      },
    ]
  })
}

/** CPU milliseconds of one delivery by process, and memory: the median of the rounds, by what was measured. */
export function costRowsOf(result: ScenarioResult): {
  readonly label: string
  readonly cpu: readonly string[]
  readonly wal: string
  readonly walhookMiB: string
  readonly postgresMiB: string
}[] {
  const [first = []] = result.measurements
  const labels = [...new Set(first.map(({ label }) => label))]
  return labels.map((label) => {
    const all = result.measurements.flat().filter((measurement) => measurement.label === label)
    const median = (of: (one: (typeof all)[number]) => number): number => spreadOf(all.map(of)).median
    return {
      label,
      cpu: (['postgres', 'walhook', 'application', 'receiver', 'bench'] as const).map((name) =>
        spoken(median(({ cpuMs }) => cpuMs[name])),
      ),
      wal: spoken(median(({ walBytes }) => walBytes)),
      walhookMiB: spoken(median((one) => one.walhookPeakMiB)),
      postgresMiB: spoken(median((one) => one.postgresPrivateMiB)),
    }
  })
}

function reachText(reach: NonNullable<FigureMeaning['reach']>): string {
  return 'atLeast' in reach ? `≥ ${spoken(reach.atLeast)}` : `≤ ${spoken(reach.atMost)}`
}

function isReached(value: number, reach: NonNullable<FigureMeaning['reach']>): boolean {
  return 'atLeast' in reach ? value >= reach.atLeast : value <= reach.atMost
}

/** Three digits are what such a measurement can tell. */
export function spoken(value: number): string {
  if (Number.isNaN(value)) return '–'
  if (value === 0) return '0'
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return Number(value.toPrecision(3)).toLocaleString('en', { maximumFractionDigits: Math.min(digits, 4) })
}
