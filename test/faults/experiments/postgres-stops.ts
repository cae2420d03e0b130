/** Postgres is stopped in each of its ways under load, and started again: nothing is lost, and it is not held up. */
import { OwnServer, type Stop } from '../../support/own-server.ts'
import { conclude, type Experiment, rounds } from '../experiment.ts'
import { Scene } from '../scene.ts'
import { lapseLeftLeases, msUntilLogged, SOME_LOAD, worst } from '../while-in-trouble.ts'

const STREAMING_AGAIN_WITHIN_MS = 10_000
/** A fast stop waits until whoever streams has caught up, without a limit of its own. */
const STOPPED_WITHIN_MS = 5_000

function postgresStops(name: string, how: Stop, does: string): Experiment {
  return {
    name,
    does: `${does}, and starts it again, under load: twice, or 10 times.`,
    passes:
      'it stops within 5 s, is streamed again 10 s after it accepts connections, and nothing accepted is sent twice',
    forms: ['short', 'long'],
    plugins: ['pgoutput'],
    async run(run) {
      await using server = await OwnServer.start()
      await using scene = await Scene.open({ ...run, postgres: server.ground }, name)
      const sidecar = await scene.startSidecar()
      const application = await scene.startApplication(run.form === 'short' ? SOME_LOAD : {})
      const stopsMs: number[] = []
      const returnsMs: number[] = []
      for (const _ of rounds(run, { short: 2, long: 10 })) {
        await scene.untilReceived(50)
        const end = scene.faults.begin('database', how)
        const asked = performance.now()
        await server.stop(how)
        stopsMs.push(performance.now() - asked)
        await server.startAgain()
        returnsMs.push(await msUntilLogged(sidecar, 'relay.streaming', Date.now()))
        end()
      }
      await lapseLeftLeases(run, scene, application)
      const verdict = await scene.judge()
      return conclude(
        verdict,
        {
          stops: stopsMs.length,
          stopped_within_ms: worst(stopsMs),
          streaming_again_within_ms: worst(returnsMs),
        },
        {
          'it stopped in time': worst(stopsMs) < STOPPED_WITHIN_MS,
          'it was streamed again in time': worst(returnsMs) < STREAMING_AGAIN_WITHIN_MS,
          'nothing accepted was sent twice': verdict.counts.duplicates === 0,
        },
      )
    },
  }
}

export const POSTGRES_STOPS: readonly Experiment[] = [
  postgresStops('postgres-fast-stop', 'fast', 'Stops Postgres as its service does'),
  postgresStops('postgres-immediate-stop', 'immediate', 'Stops Postgres without a checkpoint'),
  postgresStops('postgres-killed', 'kill -9', 'Kills the postmaster'),
]
