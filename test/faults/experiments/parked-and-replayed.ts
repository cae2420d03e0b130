/**
 * What waits by a person's wish or a limit's, while replicas are killed and stopped: a subscription that is paused and resumed, one
 * with a rate limit, and one whose dead letters an operator replays again and again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { respond } from '../../support/receiver.ts'
import type { SidecarProcess } from '../../support/sidecar-process.ts'
import { conclude, type Experiment, rounds } from '../experiment.ts'
import { Random } from '../history/random.ts'
import { EVERYTHING, Scene, type SceneEndpoint } from '../scene.ts'

const matches: SceneEndpoint['matches'] = ({ type }) => type.startsWith('order.')
const LIMITED: SceneEndpoint = { ...EVERYTHING, path: '/limited' }
const PARKED: SceneEndpoint = { path: '/parked', eventTypes: ['order.*'], matches }
const BROKEN: SceneEndpoint = {
  path: '/broken',
  eventTypes: ['order.*'],
  matches,
  wish: { retrySchedule: ['100ms'] },
}
const PAUSED_MS = 400
const REPLAY_EVERY_MS = 1_000

export const parkedAndReplayed: Experiment = {
  name: 'parked-and-replayed',
  does: 'Kills and stops two replicas while one subscription is paused and resumed, one is limited and one is replayed.',
  passes: 'everything arrives, or is dead in sight, and nothing twice without a reason',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, 'parked-and-replayed', { endpoints: [LIMITED, PARKED, BROKEN] })
    await scene.db.query(
      `update walhook.subscriptions set rate_limit = '200/s burst 20' where url like '%/limited'`,
    )
    const answers = Random.of(run.seed, 'answers')
    scene.receivers.on(BROKEN.path, () => respond(answers.chance(0.5) ? 204 : 500))
    const living: SidecarProcess[] = [await scene.startSidecar(), await scene.startSidecar()]
    await scene.startApplication({ perSecond: 100, deletes: false })
    const retiring = new AbortController()
    using stack = new DisposableStack()
    stack.defer(() => retiring.abort())
    const operating = Promise.all([
      pauseAndResume(scene, retiring.signal),
      replayDeadLetters(scene, retiring.signal),
    ])
    for (const _round of rounds(run, { short: 4, long: 40 })) {
      await scene.untilReceived(60)
      await sleep(scene.random.between(0, 500))
      const victim = scene.random.pick(living)
      if (scene.random.chance(0.7)) await scene.kill(victim)
      else await scene.stop(victim)
      living.splice(living.indexOf(victim), 1, await scene.startSidecar())
    }
    retiring.abort()
    const [pauses, replayed] = await operating
    const verdict = await scene.judge()
    return conclude(
      verdict,
      { kills: scene.faults.count('killed'), pauses, replayed, dead: verdict.counts.dead },
      { 'the subscription was paused': pauses > 0, 'dead letters were replayed': replayed > 0 },
    )
  },
}

/** Leaves it active. */
async function pauseAndResume(scene: Scene, signal: AbortSignal): Promise<number> {
  const id = idOf(scene, PARKED)
  for (let pauses = 0; ; pauses++) {
    if (signal.aborted) return pauses
    await scene.db.query('select walhook.pause($1)', [id])
    await sleep(PAUSED_MS)
    await scene.db.query('select walhook.resume($1)', [id])
    await sleep(PAUSED_MS)
  }
}

/** Until every replay has come to its end. Returns how many deliveries were put back on their way. */
async function replayDeadLetters(scene: Scene, signal: AbortSignal): Promise<number> {
  const id = idOf(scene, BROKEN)
  while (!signal.aborted) {
    await scene.db.query('select walhook.replay(subscription_id => $1)', [id])
    await sleep(REPLAY_EVERY_MS)
  }
  for (;;) {
    const [all] = await scene.db.query<{ running: number; replayed: number }>(
      `select count(*) filter (where state = 'running')::int as running, coalesce(sum(replayed), 0)::int as replayed
       from walhook.replays`,
    )
    if (all === undefined || all.running === 0) return all?.replayed ?? 0
    await sleep(REPLAY_EVERY_MS)
  }
}

function idOf(scene: Scene, { path }: SceneEndpoint): string {
  const subscription = scene.subscriptions.find(({ name }) => name === path)
  if (subscription === undefined) throw new Error(`no subscription ${path}`)
  return subscription.id
}
