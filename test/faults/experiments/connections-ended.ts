/** Connections of the sidecar's end, one at a time: the one that streams, or one of the pool's. */
import { conclude, type Experiment, rounds } from '../experiment.ts'
import { Scene } from '../scene.ts'
import { lapseLeftLeases, msUntilItGoesOn, msUntilLogged, SOME_LOAD, worst } from '../while-in-trouble.ts'

const BACK_WITHIN_MS = 3_000

const TERMINATE_ONE = `
  select pg_terminate_backend(pid) from (
    select pid from pg_stat_activity
    where datname = current_database() and application_name = 'walhook' and (backend_type = 'walsender') = $1
    order by random() limit 1) as one`

export const connectionsEnded: Experiment = {
  name: 'connections-ended',
  does: 'Ends the replication connection or a pooled one, by chance, under load: 6 times, or 200.',
  passes: 'events arrive again within 3 s, and none of them twice',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, this.name)
    const sidecar = await scene.startSidecar()
    const application = await scene.startApplication(run.form === 'short' ? SOME_LOAD : {})
    const backMs: number[] = []
    for (const _ of rounds(run, { short: 6, long: 200 })) {
      await scene.untilReceived(10)
      const streaming = scene.random.chance(0.5)
      const since = Date.now()
      await scene.faults.during(
        'database',
        streaming ? 'replication connection' : 'pooled connection',
        async () => {
          await scene.db.query(TERMINATE_ONE, [streaming])
          if (streaming) await msUntilLogged(sidecar, 'relay.streaming', since)
          await msUntilItGoesOn(scene)
        },
      )
      backMs.push(Date.now() - since)
    }
    await lapseLeftLeases(run, scene, application)
    const verdict = await scene.judge()
    return conclude(
      verdict,
      { ended: backMs.length, back_within_ms: worst(backMs) },
      { [this.passes]: worst(backMs) < BACK_WITHIN_MS && verdict.counts.duplicates === 0 },
    )
  },
}
