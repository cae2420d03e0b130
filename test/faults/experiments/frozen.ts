/**
 * A process stands still, as in a frozen VM, and goes on with what it holds. In the long form for longer than its leases
 * and its connection last, while a replica takes over.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { hang, respond } from '../../support/receiver.ts'
import { recordedLsn } from '../../support/sql-surface.ts'
import { conclude, type Experiment, rounds } from '../experiment.ts'
import { LOST_WITH_A_PROCESS, Scene } from '../scene.ts'

const SHORT_MS = 10_000
const LONG_MS = 90_000
/** The server's `wal_sender_timeout`, a standby's pause, and opening the stream. */
const TAKES_OVER_WITHIN_MS = 65_000

export const frozen: Experiment = {
  name: 'frozen',
  does: 'SIGSTOPs the sidecar that streams for 10 s; in the long form for 90 s, while a replica takes over.',
  passes: 'who wakes up undoes nothing: no failure over a 2xx, no position that goes back',
  forms: ['short', 'long'],
  async run(run) {
    const isLong = run.form === 'long'
    await using scene = await Scene.open(run, 'frozen')
    const sidecars = [await scene.startSidecar()]
    if (isLong) sidecars.push(await scene.startSidecar())
    await scene.startApplication({ perSecond: 100, deletes: run.form === 'long' })
    const takeovers: number[] = []
    let wentBack = 0
    for (const _ of rounds(run, { short: 1, long: 3 })) {
      const streamer = await scene.streamer(sidecars)
      await scene.untilReceived(50)
      // Some attempts have no answer when it freezes: to whoever wakes up, they have timed out.
      scene.receivers.on('/orders', () => hang())
      await scene.untilReceived(20)
      const walsender = await scene.walsender()
      let furthest = await recordedLsn(scene.db)
      const look = async (): Promise<void> => {
        const now = await recordedLsn(scene.db)
        if (now < furthest) wentBack++
        furthest = now > furthest ? now : furthest
      }
      const forMs = isLong ? LONG_MS : SHORT_MS
      await scene.freeze(streamer, async () => {
        scene.receivers.on('/orders', () => respond(204))
        const frozenAt = performance.now()
        if (isLong) takeovers.push(await scene.untilTakenOver(walsender, forMs))
        while (performance.now() - frozenAt < forMs) {
          await look()
          await sleep(200)
        }
      })
      for (let looks = 0; looks < 10; looks++) {
        await look()
        await sleep(200)
      }
    }
    const verdict = await scene.judge()
    const freezes = scene.faults.count('frozen')
    const [failures] = await scene.db.query<{ count: number }>(FAILURES_AFTER_2XX)
    return conclude(
      verdict,
      { freezes, ...(isLong ? { longest_takeover_ms: Math.round(Math.max(...takeovers)) } : {}) },
      {
        'no failure is recorded after a 2xx': failures?.count === 0,
        'no recorded position goes back': wentBack === 0,
        'a replica takes over within wal_sender_timeout and 5 s': takeovers.every(
          (ms) => ms <= TAKES_OVER_WITHIN_MS,
        ),
        'what comes twice at a freeze was in flight, or being recorded':
          verdict.counts.mostDuplicatesOfOneFault <= LOST_WITH_A_PROCESS,
      },
    )
  },
}

const FAILURES_AFTER_2XX = `
  select count(*)::int as count
  from walhook.attempts as failed
  join walhook.attempts as done on done.delivery_id = failed.delivery_id and done.number < failed.number
  where done.response_status between 200 and 299 and failed.response_status is distinct from done.response_status`
