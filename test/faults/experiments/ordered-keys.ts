/**
 * Subscriptions ordered by key, while endpoints fail at random and replicas are killed, stopped and started: the checker
 * asks of each key that its events came in commit order. An operator resends and releases what is blocked.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Reply, reset, respond } from '../../support/receiver.ts'
import type { SidecarProcess } from '../../support/sidecar-process.ts'
import { conclude, type Experiment, rounds } from '../experiment.ts'
import { Random } from '../history/random.ts'
import { Scene, type SceneEndpoint } from '../scene.ts'

const QUICKLY = Array.from({ length: 30 }, () => '200ms')
const ENDPOINTS: readonly SceneEndpoint[] = [
  {
    path: '/patient',
    eventTypes: ['*'],
    matches: () => true,
    wish: { ordering: 'key', retrySchedule: QUICKLY },
  },
  {
    path: '/blocking',
    eventTypes: ['order.*'],
    matches: ({ type }) => type.startsWith('order.'),
    wish: { ordering: 'key', onDead: 'block', retrySchedule: ['100ms'] },
  },
  {
    path: '/skipping',
    eventTypes: ['order.*'],
    matches: ({ type }) => type.startsWith('order.'),
    wish: { ordering: 'key', onDead: 'skip', retrySchedule: ['100ms'] },
  },
]
/** Of a hundred requests. The endpoints' circuits open after ten in a row: seldom. */
const ANSWERS: readonly (readonly [weight: number, answer: () => Reply])[] = [
  [70, () => respond(204)],
  [10, () => respond(204, { delayMs: 150 })],
  [12, () => respond(500)],
  [5, () => reset()],
  [3, () => respond(503, { delayMs: 50 })],
]
const LONGER_THAN_A_LEASE_MS = 75_000
const QUIET_WITHIN_MS = 120_000

export const orderedKeys: Experiment = {
  name: 'ordered-keys',
  does: 'Orders by key over two replicas, kills, stops and (long) freezes them, fails requests, resends and releases keys.',
  passes: 'no event of a key overtakes another, and none comes again after a later one',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, 'ordered-keys', { endpoints: ENDPOINTS, timeout: '5s' })
    const answers = Random.of(run.seed, 'answers')
    for (const { path } of ENDPOINTS) scene.receivers.on(path, () => answers.weighted(ANSWERS)())
    const living: SidecarProcess[] = [await scene.startSidecar(), await scene.startSidecar()]
    // What leaves the outbox before its turn comes cannot be sent.
    await scene.startApplication({ perSecond: 100, deletes: false })
    const retiring = new AbortController()
    using stack = new DisposableStack()
    stack.defer(() => retiring.abort())
    const operating = operate(scene, Random.of(run.seed, 'operator'), retiring.signal)
    for (const round of rounds(run, { short: 4, long: 40 })) {
      await scene.untilReceived(60)
      await sleep(scene.random.between(0, 500))
      const victim = scene.random.pick(living)
      if (run.form === 'long' && round % 10 === 0) {
        await scene.freeze(victim, () => sleep(LONGER_THAN_A_LEASE_MS))
        continue
      }
      if (scene.random.chance(0.7)) await scene.kill(victim)
      else await scene.stop(victim)
      living.splice(living.indexOf(victim), 1, await scene.startSidecar())
    }
    const verdict = await scene.judge(QUIET_WITHIN_MS)
    retiring.abort()
    const decided = await operating
    return conclude(
      verdict,
      { kills: scene.faults.count('killed'), dead: verdict.counts.dead, ...decided },
      { 'keys were blocked, and decided about': decided.resent + decided.released > 0 },
    )
  },
}

/** Decides about each blocked key, some time later: sent again, or let go. */
async function operate(
  scene: Scene,
  random: Random,
  signal: AbortSignal,
): Promise<{ readonly resent: number; readonly released: number }> {
  const decided = { resent: 0, released: 0 }
  while (!signal.aborted) {
    const blocked = await scene.db.query<{ id: string }>(
      'select delivery_id::text as id from walhook.blocked_keys',
    )
    for (const { id } of blocked) {
      const isSentAgain = random.chance(0.5)
      if (isSentAgain) await scene.db.query('select walhook.resend($1)', [id])
      else await scene.db.query('select walhook.release_key($1::bigint)', [id])
      decided[isSentAgain ? 'resent' : 'released']++
    }
    await sleep(300)
  }
  return decided
}
