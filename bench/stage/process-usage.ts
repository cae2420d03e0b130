/**
 * What processes have used, from Linux's /proc; undefined elsewhere, and for what is not a process of this machine.
 * CPU in seconds, in steps of the kernel's tick of 10 ms; memory in MiB.
 */
import { readFileSync } from 'node:fs'
import { errorCode } from '../../src/lifecycle/errors.ts'

export interface ProcessUsage {
  readonly cpuSeconds: number
  /** What is resident now, shared pages too. */
  readonly residentMiB: number
  /** The most that was resident since the process began. */
  readonly peakMiB: number
}

const TICKS_A_SECOND = 100

/** One process; the threads in it included. */
export function processUsage(pid: number): ProcessUsage | undefined {
  const stat = readStat(pid)
  const status = read(`/proc/${pid}/status`)
  if (stat === undefined || status === undefined) return undefined
  return {
    cpuSeconds: stat.own,
    residentMiB: mebibytes(status, 'VmRSS'),
    peakMiB: mebibytes(status, 'VmHWM'),
  }
}

/** Postgres: the postmaster and its children, also those that have ended. Memory is what is theirs alone: shared buffers are not in it. */
export function postgresUsage(
  postmaster: number,
): { readonly cpuSeconds: number; readonly privateMiB: number } | undefined {
  const main = readStat(postmaster)
  const children = read(`/proc/${postmaster}/task/${postmaster}/children`)
  if (main === undefined || children === undefined) return undefined
  let cpuSeconds = main.own + main.endedChildren
  let privateMiB = 0
  for (const child of children.trim().split(' ')) {
    cpuSeconds += readStat(Number(child))?.own ?? 0
    privateMiB += mebibytes(read(`/proc/${child}/status`) ?? '', 'RssAnon')
  }
  return { cpuSeconds, privateMiB }
}

/** The postmaster of one of its sessions, if that session is a process of this machine. */
export function postmasterOf(sessionPid: number): number | undefined {
  if (read(`/proc/${sessionPid}/cmdline`)?.startsWith('postgres:') !== true) return undefined
  const parent = /^PPid:\s+(\d+)$/m.exec(read(`/proc/${sessionPid}/status`) ?? '')?.[1]
  return parent === undefined ? undefined : Number(parent)
}

/** CPU seconds that all processes of the machine have used, and what other machines took of its cores. */
export function machineCpuSeconds(): number | undefined {
  const line = read('/proc/stat')?.split('\n', 1)[0]
  if (line === undefined) return undefined
  // cpu user nice system idle iowait irq softirq steal: interrupts are counted for no process, so they are left out.
  const [user = 0, nice = 0, system = 0, , , , , steal = 0] = line.split(/\s+/).slice(1).map(Number)
  return (user + nice + system + steal) / TICKS_A_SECOND
}

function readStat(pid: number): { own: number; endedChildren: number } | undefined {
  const stat = read(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  // The second field is a name in parentheses that may hold anything; user, system, and the same of ended children are the 14th to 17th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [user = 0, system = 0, childrenUser = 0, childrenSystem = 0] = fields.slice(11, 15).map(Number)
  return {
    own: (user + system) / TICKS_A_SECOND,
    endedChildren: (childrenUser + childrenSystem) / TICKS_A_SECOND,
  }
}

function mebibytes(status: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) / 1024
}

/** Undefined for a process that has ended meanwhile, and where there is no /proc. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errorCode(error) ?? '')) return undefined
    throw error
  }
}
