/** The sidecar dies over and over, at any moment, under load: nothing is lost, and little comes twice. */
import { setTimeout as sleep } from 'node:timers/promises'
import { conclude, type Experiment, rounds } from '../experiment.ts'
import { LOST_WITH_A_PROCESS, Scene } from '../scene.ts'

export const killAtRandom: Experiment = {
  name: 'kill-at-random',
  does: 'SIGKILLs the sidecar 0.3 to 1.1 s after it started, under load: 6 times, or 100.',
  passes: 'what comes twice at a kill was in flight, or being recorded',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, 'kill-at-random')
    let sidecar = await scene.startSidecar()
    await scene.startApplication({ perSecond: 250 })
    for (const _ of rounds(run, { short: 6, long: 100 })) {
      await sleep(scene.random.between(300, 1_100))
      await scene.kill(sidecar)
      sidecar = await scene.startSidecar()
    }
    const verdict = await scene.judge()
    const kills = scene.faults.count('killed')
    return conclude(
      verdict,
      {
        kills,
        duplicates_a_kill: Math.round((verdict.counts.duplicates / kills) * 10) / 10,
        duplicates_at_one_kill: verdict.counts.mostDuplicatesOfOneFault,
      },
      { [this.passes]: verdict.counts.mostDuplicatesOfOneFault <= LOST_WITH_A_PROCESS },
    )
  },
}
