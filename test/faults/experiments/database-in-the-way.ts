/** An operator in the way: he locks what Walhook writes, limits everybody, or waits for what waits for him. */
import { eventually } from '../../support/eventually.ts'
import { terminateSidecarConnections } from '../../support/sql-surface.ts'
import type { Plugin } from '../../support/sidecar-environment.ts'
import { conclude, type Experiment, type Run } from '../experiment.ts'
import { Scene } from '../scene.ts'
import {
  lapseLeftLeases,
  msUntilItGoesOn,
  msUntilLogged,
  SOME_LOAD,
  timesConfirmedTooFar,
} from '../while-in-trouble.ts'

const RECOVERED_WITHIN_MS = 5_000

const troubleMs = (run: Run): number => (run.form === 'short' ? 2_000 : 20_000)

/** Locks the deliveries for a while; tells how often too much was confirmed meanwhile, and when it went on. */
async function lockDeliveries(
  run: Run,
  scene: Scene,
): Promise<{ readonly tooFar: number; readonly recoveredMs: number }> {
  const operator = await scene.db.application()
  await operator.query('set statement_timeout = 0')
  await operator.query('set idle_in_transaction_session_timeout = 0')
  await operator.query('set lock_timeout = 0')
  return scene.faults.during('database', 'ACCESS EXCLUSIVE on walhook.deliveries', async () => {
    await operator.query('begin')
    await operator.query('lock table walhook.deliveries in access exclusive mode')
    const tooFar = await timesConfirmedTooFar(scene.db, troubleMs(run))
    await operator.query('commit')
    return { tooFar, recoveredMs: await msUntilItGoesOn(scene) }
  })
}

/** It is about the tables, which are written alike whichever plugin reads. */
const ONE: readonly Plugin[] = ['pgoutput']
const PASSES = 'nothing is confirmed that was not recorded, it goes on within 5 s, and nothing comes twice'

export const lockedDeliveries: Experiment = {
  name: 'locked-deliveries',
  does: 'Locks walhook.deliveries in ACCESS EXCLUSIVE mode under load: for 2 s, or 20 s.',
  passes: PASSES,
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, this.name)
    await scene.startSidecar()
    const application = await scene.startApplication(run.form === 'short' ? SOME_LOAD : {})
    await scene.untilReceived(20)
    const { tooFar, recoveredMs } = await lockDeliveries(run, scene)
    await lapseLeftLeases(run, scene, application)
    const verdict = await scene.judge()
    return conclude(
      verdict,
      { recovered_ms: recoveredMs },
      {
        [PASSES]: tooFar === 0 && recoveredMs < RECOVERED_WITHIN_MS && verdict.counts.duplicates === 0,
      },
    )
  },
}

/** lock_timeout is the one that Walhook does not set for itself. */
const LIMITS = {
  lock_timeout: '200ms',
  statement_timeout: '500ms',
  idle_session_timeout: '400ms',
  idle_in_transaction_session_timeout: '500ms',
}

export const shortLimits: Experiment = {
  name: 'short-limits',
  does: 'Sets lock_timeout, statement_timeout and the idle timeouts to half a second for everybody, and locks walhook.deliveries.',
  passes: PASSES,
  forms: ['short', 'long'],
  plugins: ONE,
  async run(run) {
    await using scene = await Scene.open(run, this.name)
    await scene.startSidecar()
    for (const [name, value] of Object.entries(LIMITS))
      await scene.db.query(`alter database "${scene.db.slot}" set ${name} = '${value}'`)
    // They hold for the next connections. The slot was made before: that waits for others, longer than these let it.
    await terminateSidecarConnections(scene.db)
    // Applications come back when their idle connections are ended.
    const application = await scene.startApplication(run.form === 'short' ? SOME_LOAD : {})
    await scene.untilReceived(20)
    const { tooFar, recoveredMs } = await lockDeliveries(run, scene)
    await lapseLeftLeases(run, scene, application)
    const verdict = await scene.judge()
    return conclude(
      verdict,
      { recovered_ms: recoveredMs },
      {
        [PASSES]: tooFar === 0 && recoveredMs < RECOVERED_WITHIN_MS && verdict.counts.duplicates === 0,
      },
    )
  },
}

const WAITING = `
  select from pg_stat_activity
  where datname = current_database() and application_name = 'walhook' and wait_event_type = 'Lock'`

export const deadlock: Experiment = {
  name: 'deadlock',
  does: 'Makes the relay’s transaction the victim of a deadlock with an operator’s.',
  passes: 'the batch is recorded again within 5 s, and nothing comes twice',
  forms: ['short', 'long'],
  plugins: ONE,
  async run(run) {
    await using scene = await Scene.open(run, this.name)
    const sidecar = await scene.startSidecar()
    const application = await scene.startApplication(run.form === 'short' ? SOME_LOAD : {})
    await scene.untilReceived(20)
    const operator = await scene.db.application()
    // He looks for deadlocks later than everybody: it is the other transaction that is ended.
    await operator.query(`set deadlock_timeout = '1min'`)
    const recoveredMs = await scene.faults.during('database', 'a deadlock', async () => {
      await operator.query('begin')
      await operator.query('select from walhook.relay for update')
      await eventually(async () => {
        if ((await scene.db.query(WAITING)).length === 0) throw new Error('nobody waits for the operator')
      })
      // The relay has inserted deliveries and waits for its position's row; now he waits for the deliveries.
      const since = Date.now()
      await operator.query('lock table walhook.deliveries in share row exclusive mode')
      await operator.query('commit')
      await msUntilLogged(sidecar, 'relay.interrupted', since)
      return msUntilItGoesOn(scene)
    })
    await lapseLeftLeases(run, scene, application)
    const verdict = await scene.judge()
    return conclude(
      verdict,
      { recovered_ms: recoveredMs },
      {
        [this.passes]: recoveredMs < RECOVERED_WITHIN_MS && verdict.counts.duplicates === 0,
      },
    )
  },
}
