/** Others take every connection of the server, those of the sidecar's pool too. */
import type pg from 'pg'
import { errorCode } from '../../../src/lifecycle/errors.ts'
import { eventually } from '../../support/eventually.ts'
import { OwnServer } from '../../support/own-server.ts'
import { conclude, type Experiment } from '../experiment.ts'
import { Scene } from '../scene.ts'
import { lapseLeftLeases, msUntilItGoesOn, SOME_LOAD, timesConfirmedTooFar } from '../while-in-trouble.ts'

const POOLED = `application_name = 'walhook' and backend_type = 'client backend'`
const TOO_MANY_CONNECTIONS = '53300'

export const noConnectionFree: Experiment = {
  name: 'no-connection-free',
  does: 'Ends the pooled connections, and takes every one that the server has: for 2 s, or 20 s.',
  passes: 'nothing is confirmed that was not recorded, it goes on within 5 s, and nothing comes twice',
  forms: ['short', 'long'],
  plugins: ['pgoutput'],
  async run(run) {
    await using server = await OwnServer.start({ max_connections: '28' })
    await using scene = await Scene.open({ ...run, postgres: server.ground }, this.name)
    await scene.startSidecar()
    const application = await scene.startApplication(SOME_LOAD)
    await scene.untilReceived(20)
    // Connections from before, which look on.
    await Promise.all(Array.from({ length: 4 }, () => scene.db.query('select pg_sleep(0.1)')))
    const taken: pg.Client[] = []
    const { tooFar, recoveredMs } = await scene.faults.during(
      'database',
      'no connection is free',
      async () => {
        await eventually(async () => {
          await scene.db.query(`select pg_terminate_backend(pid) from pg_stat_activity where ${POOLED}`)
          await takeAll(server, taken)
          const left = await scene.db.query(`select from pg_stat_activity where ${POOLED}`)
          if (left.length > 0) throw new Error('Walhook was faster')
        })
        const tooFar = await timesConfirmedTooFar(scene.db, run.form === 'short' ? 2_000 : 20_000)
        await Promise.all(taken.map((client) => client.end()))
        return { tooFar, recoveredMs: await msUntilItGoesOn(scene) }
      },
    )
    await lapseLeftLeases(run, scene, application)
    const verdict = await scene.judge()
    return conclude(
      verdict,
      { taken: taken.length, recovered_ms: recoveredMs },
      { [this.passes]: tooFar === 0 && recoveredMs < 5_000 && verdict.counts.duplicates === 0 },
    )
  },
}

async function takeAll(server: OwnServer, taken: pg.Client[]): Promise<void> {
  try {
    for (;;) taken.push(await server.connect())
  } catch (error) {
    if (errorCode(error) !== TOO_MANY_CONNECTIONS) throw error
  }
}
