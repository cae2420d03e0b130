/** Batches are collected, refused and tried again while the sidecars that hold them die. */
import { setTimeout as sleep } from 'node:timers/promises'
import { respond } from '../../support/receiver.ts'
import { conclude, type Experiment, rounds } from '../experiment.ts'
import { EVERYTHING, LOST_WITH_A_PROCESS, Scene, type SceneEndpoint } from '../scene.ts'

const MAX_EVENTS = 20
const BATCHED: SceneEndpoint = {
  ...EVERYTHING,
  path: '/batched',
  batch: { maxEvents: MAX_EVENTS, maxWait: '300ms' },
}
/** Of ten batches, those that are refused. */
const REFUSED = 3

export const batches: Experiment = {
  name: 'batches',
  does: 'Two replicas send batches, of which three in ten are refused; every second one of the two is SIGKILLed or stopped, under load: 8 times, or 80.',
  passes:
    'each event comes in a batch within its size, and no batch comes again as another; what came twice was lost with a process',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, 'batches', { endpoints: [BATCHED, EVERYTHING] })
    scene.receivers.on(BATCHED.path, ({ number }) => respond(number % 10 < REFUSED ? 503 : 204))
    let [old, young] = [await scene.startSidecar(), await scene.startSidecar()]
    await scene.startApplication({ perSecond: 250 })
    for (const _ of rounds(run, { short: 8, long: 80 })) {
      await sleep(scene.random.between(500, 1_500))
      if (scene.random.chance(0.7)) await scene.kill(old)
      else await scene.stop(old)
      ;[old, young] = [young, await scene.startSidecar()]
    }
    const verdict = await scene.judge()
    const requests = new Map<number, number>()
    const again = new Map<string, Set<number>>()
    for (const { batch } of scene.receivers.requests) {
      if (batch === undefined) continue
      requests.set(batch.request, (requests.get(batch.request) ?? 0) + 1)
      again.set(batch.id, (again.get(batch.id) ?? new Set()).add(batch.request))
    }
    const events = [...requests.values()].reduce((sum, size) => sum + size, 0)
    return conclude(
      verdict,
      {
        kills: scene.faults.count('killed'),
        batches: requests.size,
        events_a_batch: Math.round((events / requests.size) * 10) / 10,
        batches_that_came_again: [...again.values()].filter(({ size }) => size > 1).length,
        duplicates_at_one_kill: verdict.counts.mostDuplicatesOfOneFault,
      },
      {
        'batches of several events came, and some came again':
          events > requests.size && again.size < requests.size,
        'what comes twice at a kill was in flight, or being recorded':
          verdict.counts.mostDuplicatesOfOneFault <= LOST_WITH_A_PROCESS * MAX_EVENTS,
      },
    )
  },
}
