/** `walhook doctor --json`, as a program reads it. */
import type { CheckId, Step } from '../../src/core/doctor.ts'
import { walhookHere } from './command-line.ts'
import type { Environment } from './sidecar-environment.ts'

export interface Check {
  readonly id: CheckId
  readonly status: 'ok' | 'warning' | 'problem' | 'skipped'
  readonly summary: string
  readonly why: string | null
  readonly steps: readonly Step[]
}

export interface Report {
  readonly code: number | null
  readonly stderr: string
  readonly checks: readonly Check[]
  /** Of the checks that have one finding each. */
  readonly of: (id: CheckId) => Check
  readonly statuses: Readonly<Partial<Record<CheckId, Check['status']>>>
}

export async function doctor(env: Environment, ...args: readonly string[]): Promise<Report> {
  const { code, stdout, stderr } = await walhookHere(['doctor', '--json', ...args], env)
  const { checks } = JSON.parse(stdout) as { checks: readonly Check[] }
  const of = (id: CheckId): Check => {
    const found = checks.find((check) => check.id === id)
    if (found === undefined) throw new Error(`nothing was said of ${id}`)
    return found
  }
  return {
    code,
    stderr,
    checks,
    of,
    statuses: Object.fromEntries(checks.map(({ id, status }) => [id, status])),
  }
}
