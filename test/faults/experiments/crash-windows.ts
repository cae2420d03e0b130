/**
 * The process dies in one exact window, which is held open from outside: by a lock that somebody else holds, or by a
 * network that swallows. One window alone, without load, is test/faults/g03-… and g05-…; here with load around it.
 *
 * What the dead one held is made free at once where nobody lives that could lose it: the lease itself is waited for in
 * kill-at-random.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../../support/eventually.ts'
import { respond } from '../../support/receiver.ts'
import type { SidecarProcess } from '../../support/sidecar-process.ts'
import { confirmedLsn, currentLsn, recordedLsn } from '../../support/sql-surface.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { conclude, type Experiment, rounds } from '../experiment.ts'
import { Scene } from '../scene.ts'

const ROUNDS = { short: 1, long: 10 }

/** Read from the log, and not recorded: the relay waits for the lock. */
export const receivedNotRecorded: Experiment = {
  name: 'received-not-recorded',
  does: 'Locks walhook.deliveries under load, so that what is read cannot be recorded, and kills the sidecar.',
  passes: 'nothing is confirmed while it is locked',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, 'received-not-recorded')
    let sidecar = await scene.startSidecar()
    await scene.startApplication({ perSecond: 200, deletes: run.form === 'long' })
    let confirmedAhead = 0
    for (const _ of rounds(run, ROUNDS)) {
      await scene.untilReceived(50)
      await whileLocked(scene, 'walhook.deliveries', async () => {
        // What was under way when the lock was taken is recorded by now, or it waits.
        const recorded = await recordedLsn(scene.db)
        await sleep(1_000)
        await scene.kill(sidecar)
        if ((await recordedLsn(scene.db)) !== recorded || (await confirmedLsn(scene.db)) > recorded)
          confirmedAhead++
      })
      sidecar = await restart(scene)
    }
    return await concludeKills(scene, { [this.passes]: confirmedAhead === 0 })
  },
}

/** Recorded, and not confirmed: its status updates do not come through. */
export const recordedNotConfirmed: Experiment = {
  name: 'recorded-not-confirmed',
  does: 'Swallows what the sidecar says on its replication connection, under load, and kills it.',
  passes: 'Postgres sends it all again, and it is skipped: the confirmed position stayed behind',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, 'recorded-not-confirmed')
    await using proxy = await TcpProxy.before(scene.db.url)
    const environment = { WALHOOK_REPLICATION_URL: proxy.through(scene.db.url) }
    let sidecar = await scene.startSidecar(environment)
    await scene.startApplication({ perSecond: 200, deletes: run.form === 'long' })
    let wereAhead = 0
    for (const _ of rounds(run, ROUNDS)) {
      await scene.untilReceived(50)
      proxy.pause('to-server')
      const swallowedFrom = await currentLsn(scene.db)
      await scene.untilReceived(200)
      await scene.kill(sidecar)
      const [recorded, confirmed] = [await recordedLsn(scene.db), await confirmedLsn(scene.db)]
      if (recorded > swallowedFrom && confirmed <= swallowedFrom) wereAhead++
      proxy.cut()
      proxy.heal()
      sidecar = await restart(scene, environment)
    }
    const kills = scene.faults.count('killed')
    return await concludeKills(scene, { 'what was recorded was not confirmed': wereAhead === kills })
  },
}

/** Answered with 2xx, and not recorded: the one window in which a receiver sees an event twice. */
export const acceptedNotRecorded: Experiment = {
  name: 'accepted-not-recorded',
  does: 'Locks walhook.attempts, lets endpoints accept what there is, and kills the sidecar.',
  passes: 'exactly what was accepted and could not be recorded comes twice, once each',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, 'accepted-not-recorded')
    const sidecar = await scene.startSidecar()
    const application = await scene.startApplication({ perSecond: 200, deletes: run.form === 'long' })
    await scene.untilReceived(100)
    let unrecorded = 0
    await whileLocked(scene, 'walhook.attempts', async () => {
      await scene.untilReceived(100)
      await application.stop()
      await untilAllAnswered(scene)
      const [row] = await scene.db.query<{ count: number }>(
        `select count(*)::int as count from walhook.deliveries where state = 'pending'`,
      )
      unrecorded = row?.count ?? 0
      await scene.kill(sidecar)
    })
    await restart(scene)
    const verdict = await scene.judge()
    return conclude(
      verdict,
      { unrecorded },
      { [this.passes]: unrecorded > 0 && verdict.counts.duplicates === unrecorded },
    )
  },
}

/** Failed, and its retry not scheduled: both are one transaction. */
export const failedNotScheduled: Experiment = {
  name: 'failed-not-scheduled',
  does: 'Locks the job table while an endpoint answers 500, and kills the sidecar.',
  passes: 'no retry is scheduled without its job',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, 'failed-not-scheduled')
    let sidecar = await scene.startSidecar()
    await scene.startApplication({ perSecond: 200, deletes: run.form === 'long' })
    let withoutJob = 0
    for (const _ of rounds(run, ROUNDS)) {
      await scene.untilReceived(50)
      await whileLocked(scene, 'walhook_jobs.job', async () => {
        scene.receivers.on('/orders', () => respond(500))
        await scene.untilReceived(50)
        await scene.kill(sidecar)
        const [row] = await scene.db.query<{ scheduled: number; jobs: number }>(SCHEDULED_AND_JOBS)
        if (row?.scheduled !== row?.jobs) withoutJob++
      })
      scene.receivers.on('/orders', () => respond(204))
      sidecar = await restart(scene)
    }
    return await concludeKills(scene, { [this.passes]: withoutJob === 0 })
  },
}

const SCHEDULED_AND_JOBS = `
  select (select count(*)::int from walhook.deliveries where scheduled) as scheduled,
         (select count(*)::int from walhook_jobs.job where state = 'created' and name = 'retry') as jobs`

/** A lock that lets others read, and waits for nobody but those who are writing. */
async function whileLocked(scene: Scene, table: string, work: () => Promise<void>): Promise<void> {
  await scene.faults.during('database', `${table} is locked`, async () => {
    const lock = await scene.db.application()
    await lock.query('begin')
    await lock.query(`lock table ${table} in share mode`)
    await work()
    await lock.query('rollback')
    await lock.end()
  })
}

/** Nothing arrives any more, and everything that arrived was answered. */
async function untilAllAnswered(scene: Scene): Promise<void> {
  await eventually(
    async () => {
      const before = scene.receivers.count
      await sleep(300)
      if (scene.receivers.count > before) throw new Error('requests still come')
      if (scene.receivers.requests.some(({ answeredAt }) => answeredAt === undefined))
        throw new Error('a request is not answered')
    },
    { withinMs: 20_000 },
  )
}

async function restart(scene: Scene, environment = {}): Promise<SidecarProcess> {
  await scene.lapseLeases()
  return scene.startSidecar(environment)
}

async function concludeKills(
  scene: Scene,
  criteria: Readonly<Record<string, boolean>>,
): ReturnType<Experiment['run']> {
  const verdict = await scene.judge()
  const kills = scene.faults.count('killed')
  return conclude(
    verdict,
    { kills, duplicates_at_one_kill: verdict.counts.mostDuplicatesOfOneFault },
    criteria,
  )
}
