/** Whether the process lives, whether it is ready, and what it counts: for machines that ask without a key. */
import type { ApiApp } from './app.ts'
import { sendJson } from './serialization.ts'

export interface ProbePorts {
  /** What keeps this process from being ready, in words; empty when nothing does. */
  problems(): Promise<readonly string[]>
  /** What it does: `streaming`, or `standby` while another process streams. */
  role(): string
  /** How the slot is; undefined until it was looked at. */
  slot(): object | undefined
  metrics(): Promise<string>
}

const PROBE = { config: { unlimited: true }, schema: { hide: true } }

export function addProbes(app: ApiApp, ports: ProbePorts): void {
  app.get('/healthz', PROBE, () => ({ status: 'ok' }))
  app.get('/readyz', PROBE, async (_request, reply) => {
    const problems = await ports.problems()
    return sendJson(reply.status(problems.length === 0 ? 200 : 503), {
      status: problems.length === 0 ? 'ready' : 'not_ready',
      role: ports.role(),
      problems,
      slot: ports.slot(),
    })
  })
  app.get('/metrics', PROBE, async (_request, reply) =>
    reply.type('text/plain; version=0.0.4').send(await ports.metrics()),
  )
}
