/** Deployments: the only sidecar is restarted, two are restarted in turn, and one is told twice to end. */
import { respond } from '../../support/receiver.ts'
import type { SidecarProcess } from '../../support/sidecar-process.ts'
import { conclude, type Experiment, rounds } from '../experiment.ts'
import { LOST_WITH_A_PROCESS, Scene } from '../scene.ts'

const EXITS_WITHIN_MS = 35_000

export const sigtermUnderLoad: Experiment = {
  name: 'sigterm-under-load',
  does: 'Restarts the sidecar, then two replicas in turn, by SIGTERM, and at last ends one with a second signal.',
  passes: 'each exits with 0 within 35 s; nothing comes twice but for the second signal',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, 'sigterm-under-load')
    for (const { name } of scene.subscriptions) scene.receivers.on(name, () => respond(204, { delayMs: 20 }))
    let sidecar = await scene.startSidecar()
    await scene.startApplication({ perSecond: 200, deletes: run.form === 'long' })
    const exits: { code: number | null; tookMs: number }[] = []
    let other: SidecarProcess | undefined
    for (const round of rounds(run, { short: 6, long: 40 })) {
      await scene.untilReceived(50)
      // Alone in the odd rounds; in the even ones another one is there to go on.
      if (round % 2 === 0) other = await scene.startSidecar()
      exits.push(await scene.stop(sidecar))
      sidecar = other ?? (await scene.startSidecar())
      other = undefined
    }
    const graceful = scene.receivers.count

    for (const { name } of scene.subscriptions)
      scene.receivers.on(name, () => respond(204, { delayMs: 5_000 }))
    await scene.untilReceived(5)
    const askedTwice = await scene.faults.during('aborted', 'told twice to end', async () => {
      process.kill(sidecar.pid, 'SIGTERM')
      await sidecar.waitForLog('sidecar.stopping')
      await sidecar.kill('SIGTERM')
      return sidecar.exit()
    })
    for (const { name } of scene.subscriptions) scene.receivers.on(name, () => respond(204))
    await scene.lapseLeases()
    await scene.startSidecar()

    const verdict = await scene.judge()
    const longest = Math.round(Math.max(...exits.map(({ tookMs }) => tookMs)))
    return conclude(
      verdict,
      { stops: exits.length, longest_exit_ms: longest, requests_before_second_signal: graceful },
      {
        'every stop exits with 0': exits.every(({ code }) => code === 0),
        'within 35 s': longest <= EXITS_WITHIN_MS,
        'the second signal ends it at once, with 1': askedTwice.code === 1,
        'what comes twice was in flight at the second signal, or being recorded':
          verdict.counts.mostDuplicatesOfOneFault <= LOST_WITH_A_PROCESS,
      },
    )
  },
}
