/** What experiments on the database look at while it is in trouble, and how long it takes until all is well again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseLsn } from '../../src/core/lsn.ts'
import type { LogLine } from '../support/log-lines.ts'
import type { SidecarProcess } from '../support/sidecar-process.ts'
import type { TestDatabase } from '../support/test-database.ts'
import type { Run } from './experiment.ts'
import type { Application } from './history/application.ts'
import type { Scene } from './scene.ts'

/** Everything side by side on two cores: enough to have something under way at any moment. */
export const SOME_LOAD = { perSecond: 60, connections: 4 }

const QUIET_MS = 3_000

/**
 * In `npm test`, as if a minute had passed: an answer of the database that was lost may have left a lease to nobody, which
 * the long form waits for; and an event that is gone is looked for so long. When nothing has come for a while, what is held is held by nobody.
 */
export async function lapseLeftLeases(run: Run, scene: Scene, application: Application): Promise<void> {
  await application.stop()
  if (run.form === 'long') return
  let changedAt = performance.now()
  for (let seen = scene.receivers.count; performance.now() - changedAt < QUIET_MS; await sleep(100)) {
    const pending = await scene.db.query(`select from walhook.deliveries where state = 'pending' limit 1`)
    if (pending.length === 0) return
    if (seen !== scene.receivers.count) changedAt = performance.now()
    seen = scene.receivers.count
  }
  await scene.db.query(
    `update walhook.deliveries set next_attempt_at = now(), created_at = created_at - interval '1 minute'
     where state = 'pending' and not scheduled`,
  )
}

/** How often in `forMs` Postgres had been told of more than was recorded: it must never be. */
export async function timesConfirmedTooFar(db: Pick<TestDatabase, 'query'>, forMs: number): Promise<number> {
  const end = performance.now() + forMs
  let times = 0
  while (performance.now() < end) {
    const [slot] = await db.query<{ confirmed: string; recorded: string }>(
      `select s.confirmed_flush_lsn::text as confirmed, r.lsn::text as recorded
       from pg_replication_slots as s join walhook.relay as r using (slot_name) where s.database = current_database()`,
    )
    if (slot === undefined || parseLsn(slot.confirmed) > parseLsn(slot.recorded)) times++
    await sleep(50)
  }
  return times
}

/** From now until anything arrives again. */
export async function msUntilItGoesOn(scene: Scene): Promise<number> {
  const start = performance.now()
  await scene.untilReceived(1)
  return Math.round(performance.now() - start)
}

/** How long after `since` (unix milliseconds) the sidecar logged `message` for the first time. */
export async function msUntilLogged(
  sidecar: SidecarProcess,
  message: string,
  since: number,
  withinMs = 60_000,
): Promise<number> {
  const at = (line: LogLine): number => Date.parse(String(line['time']))
  return at(await sidecar.logs.waitFor(message, (line) => at(line) >= since, withinMs)) - since
}

export function worst(durationsMs: readonly number[]): number {
  return Math.round(Math.max(0, ...durationsMs))
}
