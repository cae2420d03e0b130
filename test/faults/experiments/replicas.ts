/** Two and three replicas: one streams, all deliver. Whichever dies or is stopped, the others go on. */
import type { SidecarProcess } from '../../support/sidecar-process.ts'
import { conclude, type Experiment, rounds } from '../experiment.ts'
import { LOST_WITH_A_PROCESS, Scene } from '../scene.ts'

const TAKES_OVER_WITHIN_MS = 5_000

export const replicas: Experiment = {
  name: 'replicas',
  does: 'Two, then three replicas: kills the one that streams, stops and starts them in any order, under load.',
  passes: 'another one streams within 5 s; what comes twice at a kill was in flight, or being recorded',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, 'replicas')
    const living: SidecarProcess[] = [await scene.startSidecar(), await scene.startSidecar()]
    await scene.startApplication({ perSecond: 200 })
    const takeovers: number[] = []
    const end = (sidecar: SidecarProcess): void => void living.splice(living.indexOf(sidecar), 1)
    for (const round of rounds(run, { short: 4, long: 40 })) {
      await scene.untilReceived(100)
      const streamer = await scene.streamer(living)
      const walsender = await scene.walsender()
      if (round % 2 === 1) {
        const killing = scene.kill(streamer)
        takeovers.push(await scene.untilTakenOver(walsender, 30_000))
        await killing
        end(streamer)
      } else {
        const victim = scene.random.pick(living)
        await scene.stop(victim)
        end(victim)
        if (victim === streamer) takeovers.push(await scene.untilTakenOver(walsender, 30_000))
      }
      const wanted = round <= 2 ? 2 : scene.random.between(2, 3)
      while (living.length < wanted) living.push(await scene.startSidecar())
    }
    const verdict = await scene.judge()
    const kills = scene.faults.count('killed')
    const longest = Math.round(Math.max(...takeovers))
    const median = Math.round(takeovers.toSorted((a, b) => a - b)[takeovers.length >> 1] ?? NaN)
    return conclude(
      verdict,
      {
        kills,
        duplicates_at_one_kill: verdict.counts.mostDuplicatesOfOneFault,
        takeovers: takeovers.length,
        median_takeover_ms: median,
        longest_takeover_ms: longest,
      },
      {
        'another replica streams within 5 s': longest <= TAKES_OVER_WITHIN_MS,
        'what comes twice at a kill was in flight, or being recorded':
          verdict.counts.mostDuplicatesOfOneFault <= LOST_WITH_A_PROCESS,
      },
    )
  },
}
