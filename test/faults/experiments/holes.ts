/** Networks that swallow what is sent and tell nobody, in one direction or both: on the replication connection, or all pooled ones. */
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { conclude, type Experiment, type Run } from '../experiment.ts'
import { Scene } from '../scene.ts'
import { lapseLeftLeases, msUntilItGoesOn, msUntilLogged, SOME_LOAD, worst } from '../while-in-trouble.ts'

const DIRECTIONS = ['to-client', 'to-server', 'both'] as const
type Direction = (typeof DIRECTIONS)[number]

interface Seen {
  readonly noticedMs: number
  readonly backMs: number
}

/** Opens the hole under load and leaves it there until it is noticed. */
async function throughAHole(
  proxy: TcpProxy,
  scene: Scene,
  direction: Direction,
  noticed: (since: number) => Promise<number>,
): Promise<Seen> {
  await scene.untilReceived(20)
  return scene.faults.during('database', `a hole, ${direction}`, async () => {
    if (direction === 'both') proxy.blackhole()
    else proxy.pause(direction)
    const noticedMs = await noticed(Date.now())
    proxy.heal()
    return { noticedMs, backMs: await msUntilItGoesOn(scene) }
  })
}

const walSenderTimeoutMs = (run: Run): number => (run.form === 'short' ? 900 : 10_000)

export const replicationHole: Experiment = {
  name: 'replication-hole',
  does: 'Swallows what goes over the replication connection: one way, the other, and both.',
  passes: 'it is noticed within 2 × wal_sender_timeout + 5 s, and nothing comes twice',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, this.name)
    await scene.db.query(
      `alter database "${scene.db.slot}" set wal_sender_timeout = '${walSenderTimeoutMs(run)}ms'`,
    )
    await using proxy = await TcpProxy.before(scene.db.url)
    const sidecar = await scene.startSidecar({ WALHOOK_REPLICATION_URL: proxy.through(scene.db.url) })
    const application = await scene.startApplication(run.form === 'short' ? SOME_LOAD : {})
    const seen: Seen[] = []
    for (const direction of DIRECTIONS)
      seen.push(
        await throughAHole(proxy, scene, direction, (since) =>
          msUntilLogged(sidecar, 'relay.interrupted', since),
        ),
      )
    await lapseLeftLeases(run, scene, application)
    const verdict = await scene.judge()
    const noticedMs = worst(seen.map((each) => each.noticedMs))
    return conclude(
      verdict,
      { noticed_within_ms: noticedMs, back_within_ms: worst(seen.map((each) => each.backMs)) },
      {
        'it was noticed in time': noticedMs < 2 * walSenderTimeoutMs(run) + 5_000,
        'nothing came twice': verdict.counts.duplicates === 0,
      },
    )
  },
}

/** A statement is given 65 s to be answered; what follows it on the same connection must not be given as much again. */
const NO_ANSWER_WITHIN_MS = 75_000

function poolHole(direction: Direction): Experiment {
  return {
    name: `pool-hole-${direction}`,
    does: `Swallows what goes over every pooled connection (${direction}), for as long as nobody notices.`,
    passes: 'it is noticed once a statement has had its time, and nothing comes twice',
    // One takes more than a minute, and this one stands for all in `npm test`: it was noticed last.
    forms: direction === 'to-server' ? ['short', 'long'] : ['long'],
    // It is about the tables, which are written alike whichever plugin reads.
    plugins: ['pgoutput'],
    async run(run) {
      await using scene = await Scene.open(run, this.name)
      await using proxy = await TcpProxy.before(scene.db.url)
      const sidecar = await scene.startSidecar({
        DATABASE_URL: proxy.through(scene.db.url),
        WALHOOK_REPLICATION_URL: scene.db.url,
      })
      const application = await scene.startApplication({ ...SOME_LOAD, perSecond: 20 })
      const { noticedMs, backMs } = await throughAHole(proxy, scene, direction, (since) =>
        msUntilLogged(sidecar, 'relay.interrupted', since, NO_ANSWER_WITHIN_MS),
      )
      await lapseLeftLeases(run, scene, application)
      const verdict = await scene.judge()
      return conclude(
        verdict,
        { noticed_after_ms: noticedMs, back_after_ms: backMs },
        { [this.passes]: verdict.counts.duplicates === 0 },
      )
    },
  }
}

export const POOL_HOLES: readonly Experiment[] = DIRECTIONS.map(poolHole)
