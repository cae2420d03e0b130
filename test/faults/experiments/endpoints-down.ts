/** Every endpoint takes requests and never answers: the relay goes on, and the log is not held back. */
import { setTimeout as sleep } from 'node:timers/promises'
import { hang, respond } from '../../support/receiver.ts'
import { eventually } from '../../support/eventually.ts'
import { currentLsn, recordedLsn } from '../../support/sql-surface.ts'
import { conclude, type Experiment } from '../experiment.ts'
import { Scene } from '../scene.ts'

const SHORT_MS = 10_000
const LONG_MS = 600_000
const MOST_UNCONFIRMED_BYTES = 16 * 1024 * 1024
const MOST_LAG_MS = 2_000
/** A circuit's longest pause between probes, then the backlog. */
const DRAINS_WITHIN_MS = 180_000

export const endpointsDown: Experiment = {
  name: 'endpoints-down',
  does: 'All endpoints accept requests and never answer, for 10 s or 10 minutes, under load.',
  passes:
    'the slot’s unconfirmed log stays below 16 MiB, the relay within 2 s, and all is delivered afterwards',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, 'endpoints-down', { timeout: '2s' })
    await scene.startSidecar()
    await scene.startApplication({ perSecond: 200, deletes: run.form === 'long' })
    await scene.untilReceived(50)
    for (const { name } of scene.subscriptions) scene.receivers.on(name, () => hang())
    const forMs = run.form === 'short' ? SHORT_MS : (run.minutes ?? LONG_MS / 60_000) * 60_000
    let mostUnconfirmed = 0
    let mostLagMs = 0
    for (const endsAt = performance.now() + forMs; performance.now() < endsAt; await sleep(500)) {
      mostUnconfirmed = Math.max(mostUnconfirmed, await unconfirmedBytes(scene))
      mostLagMs = Math.max(mostLagMs, await relayLagMs(scene))
    }
    for (const { name } of scene.subscriptions) scene.receivers.on(name, () => respond(204))
    const healedAt = performance.now()
    const verdict = await scene.judge(DRAINS_WITHIN_MS)
    return conclude(
      verdict,
      {
        down_s: Math.round(forMs / 1000),
        most_unconfirmed_kib: Math.round(mostUnconfirmed / 1024),
        longest_relay_lag_ms: Math.round(mostLagMs),
        drained_s: Math.round((performance.now() - healedAt) / 1000),
      },
      {
        'the unconfirmed log stays below 16 MiB': mostUnconfirmed < MOST_UNCONFIRMED_BYTES,
        'what commits is recorded within 2 s': mostLagMs < MOST_LAG_MS,
        'nothing comes twice': verdict.counts.duplicates === 0,
      },
    )
  },
}

async function unconfirmedBytes(scene: Scene): Promise<number> {
  const [slot] = await scene.db.query<{ bytes: number }>(
    `select pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::float8 as bytes
     from pg_replication_slots where slot_name = $1`,
    [scene.db.slot],
  )
  return slot?.bytes ?? Infinity
}

/** Until what is committed now is recorded. The application goes on, so that there is always something after it. */
async function relayLagMs(scene: Scene): Promise<number> {
  const committed = await currentLsn(scene.db)
  const from = performance.now()
  await eventually(
    async () => {
      if ((await recordedLsn(scene.db)) < committed)
        throw new Error(`the relay is behind\n${scene.lastWords()}`)
    },
    { withinMs: 60_000, everyMs: 10 },
  )
  return performance.now() - from
}
