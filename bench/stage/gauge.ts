/** Watches the processes of a stage while something is measured, and says what it cost; or that others used the machine. */
import { availableParallelism } from 'node:os'
import { type Measurement, PROCESSES, type ProcessName, type Sample } from '../figures/measurement.ts'
import { NoFigure } from '../figures/no-figure.ts'
import { clock } from '../load/answering.ts'
import { whileLooking } from './looking.ts'
import { machineCpuSeconds, postgresUsage, processUsage } from './process-usage.ts'

export interface Watched {
  readonly postmaster: number | undefined
  readonly walhooks: () => readonly number[]
  readonly application: number
  readonly receiver: number
  readonly received: () => Promise<number>
  /** Bytes of log that the server has written in its life. */
  readonly walBytes: () => Promise<number>
}

const SAMPLE_EVERY_MS = 500
/** Of all that the cores could do meanwhile, what others may have. */
const OTHERS_MAY_HAVE = 0.15

/** What was done while it was measured. */
export interface Measured<Result> {
  readonly deliveries: number
  readonly latencies?: Measurement['latencies']
  readonly result: Result
}

type Cpu = Readonly<Record<ProcessName, number>>

/** Throws `NoFigure` where others had too much of the machine, unless `besideOthers`. */
export async function measure<Result>(
  watched: Watched,
  label: string,
  besideOthers: boolean,
  work: () => Promise<Measured<Result>>,
): Promise<{ readonly measurement: Measurement; readonly result: Result }> {
  const startedAt = clock()
  const cpuBefore = cpuOf(watched)
  const machineBefore = machineCpuSeconds()
  const walBefore = await watched.walBytes()
  const samples: Sample[] = []
  let walhookPeakMiB = 0
  let postgresPrivateMiB = 0
  const look = async (): Promise<void> => {
    const memory = watched.walhooks().map((pid) => processUsage(pid))
    const most = (values: (number | undefined)[]): number => Math.max(0, ...values.map((value) => value ?? 0))
    walhookPeakMiB = Math.max(walhookPeakMiB, most(memory.map((usage) => usage?.peakMiB)))
    if (watched.postmaster !== undefined)
      postgresPrivateMiB = Math.max(postgresPrivateMiB, postgresUsage(watched.postmaster)?.privateMiB ?? 0)
    samples.push({
      second: (clock() - startedAt) / 1000,
      received: await watched.received(),
      walhookMiB: most(memory.map((usage) => usage?.residentMiB)),
    })
  }

  const { deliveries, latencies = [], result } = await whileLooking(SAMPLE_EVERY_MS, look, work)
  const seconds = (clock() - startedAt) / 1000
  const used = difference(cpuOf(watched), cpuBefore)
  const machine = (machineCpuSeconds() ?? NaN) - (machineBefore ?? NaN)
  if (!besideOthers) refuseStarved(label, machine, used, seconds)

  const walBytes = ((await watched.walBytes()) - walBefore) / deliveries
  const cpuMs = mapped((name) => (used[name] * 1000) / deliveries)
  const measurement = {
    label,
    seconds,
    deliveries,
    cpuMs,
    walBytes,
    walhookPeakMiB,
    postgresPrivateMiB,
    samples,
    latencies,
  }
  return { measurement, result }
}

function refuseStarved(label: string, machineSeconds: number, used: Cpu, seconds: number): void {
  const ours = PROCESSES.reduce((total, name) => total + (Number.isNaN(used[name]) ? 0 : used[name]), 0)
  const share = (machineSeconds - ours) / (seconds * availableParallelism())
  if (share > OTHERS_MAY_HAVE)
    throw new NoFigure(
      `${label}: other work had ${Math.round(share * 100)} % of the machine meanwhile. Measure while it is quiet, or with --beside-others, whose figures say so`,
    )
}

function cpuOf(watched: Watched): Cpu {
  const own = process.cpuUsage()
  const walhook = watched.walhooks().map((pid) => processUsage(pid)?.cpuSeconds ?? NaN)
  return {
    postgres: watched.postmaster === undefined ? NaN : (postgresUsage(watched.postmaster)?.cpuSeconds ?? NaN),
    walhook: walhook.reduce((total, seconds) => total + seconds, 0),
    application: processUsage(watched.application)?.cpuSeconds ?? NaN,
    receiver: processUsage(watched.receiver)?.cpuSeconds ?? NaN,
    bench: (own.user + own.system) / 1e6,
  }
}

function difference(after: Cpu, before: Cpu): Cpu {
  return mapped((name) => after[name] - before[name])
}

function mapped(value: (name: ProcessName) => number): Cpu {
  return {
    postgres: value('postgres'),
    walhook: value('walhook'),
    application: value('application'),
    receiver: value('receiver'),
    bench: value('bench'),
  }
}
