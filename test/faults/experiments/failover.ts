/** The primary dies under load, its standby takes over, and the former primary comes back. */
import { migrateSchema } from '../../../src/store/migrate.ts'
import { hasImage, PostgresPair } from '../../support/postgres-pair.ts'
import { SidecarProcess } from '../../support/sidecar-process.ts'
import { sidecarEnvironment } from '../../support/sidecar-environment.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { withDatabase } from '../../support/test-database.ts'
import { conclude, type Experiment, type Finding, NotPossibleHere, type Run } from '../experiment.ts'
import { Scene } from '../scene.ts'
import { lapseLeftLeases, msUntilItGoesOn, msUntilLogged, SOME_LOAD } from '../while-in-trouble.ts'

const TEMPLATE = 'walhook_template'
const STREAMING_AGAIN_WITHIN_MS = 15_000

const DOES =
  'Kills the primary under load and promotes its standby at the same address; then the former primary comes back'
const PASSES =
  'it is streamed again within 15 s of the promotion, nothing comes twice, and the former primary is refused'

// The short forms are failover.test.ts: they are run where the tests' own Postgres is a container too.
export const FAILOVERS: readonly Experiment[] = [
  {
    name: 'failover',
    does: `${DOES}.`,
    passes: PASSES,
    forms: ['long'],
    run: (run) => failOver(run, 'failover', true),
  },
  {
    name: 'failover-without-slot',
    does: `${DOES}. The standby has no slots, as before Postgres 17.`,
    passes: `${PASSES}; the slot is made anew`,
    forms: ['long'],
    run: (run) => failOver(run, 'failover-without-slot', false),
  },
]

async function failOver(run: Run, name: string, keepsSlots: boolean): Promise<Finding> {
  if (!(await hasImage()))
    throw new NotPossibleHere('there is no Docker, or not the image of docker/postgres')
  await using pair = await PostgresPair.start({ keepsSlots })
  const primaryUrl = await pair.primary.url()
  await using proxy = await TcpProxy.before(primaryUrl)
  // Not cloned from `postgres`: that is where the standby asks for the slots.
  await pair.primary.query(`create database ${TEMPLATE}`)
  await migrateSchema(withDatabase(primaryUrl, TEMPLATE))
  const postgres = {
    url: proxy.through(primaryUrl),
    template: TEMPLATE,
    plugins: ['wal2json', 'pgoutput'],
    outlivesTheRun: false,
  }
  await using scene = await Scene.open({ ...run, postgres }, name)
  const sidecar = await scene.startSidecar()
  // What is deleted in the transaction that wrote it, no outbox can give back.
  const application = await scene.startApplication({ ...SOME_LOAD, deletes: keepsSlots })
  if (keepsSlots) await pair.untilInStep(scene.db.slot)
  await scene.untilReceived(50)

  const killed = Date.now()
  const streamingMs = await scene.faults.during('database', 'failover', async () => {
    await pair.primary.kill()
    proxy.cut()
    await pair.promote()
    const promoted = Date.now()
    proxy.aimAt(await pair.standby.url())
    const streamingMs = await msUntilLogged(sidecar, 'relay.streaming', promoted)
    await msUntilItGoesOn(scene)
    return streamingMs
  })
  const outageMs = Date.now() - killed

  await pair.primary.startAgain()
  await using misled = SidecarProcess.spawn({
    ...sidecarEnvironment(scene.db, run.plugin),
    WALHOOK_REPLICATION_URL: withDatabase(await pair.primary.url(), scene.db.slot),
  })
  const { code } = await misled.exit()
  await scene.untilReceived(20)
  await lapseLeftLeases(run, scene, application)
  const verdict = await scene.judge()
  const gaps = sidecar.logs.all('slot.gap_found')
  return conclude(
    verdict,
    { streaming_again_ms: streamingMs, outage_ms: outageMs },
    {
      'it was streamed again in time': streamingMs < STREAMING_AGAIN_WITHIN_MS,
      'the former primary is refused': code === 1 && misled.stderr.includes('former primary'),
      'nothing came twice': verdict.counts.duplicates === 0,
      'the slot was made anew where there was none': keepsSlots === (gaps.length === 0),
    },
  )
}
