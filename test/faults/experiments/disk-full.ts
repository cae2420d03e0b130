/** The disk of Postgres fills up under load, and there is room again later. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { eventually, orTimeout } from '../../support/eventually.ts'
import { OwnServer } from '../../support/own-server.ts'
import { conclude, type Experiment, NotPossibleHere } from '../experiment.ts'
import { Scene } from '../scene.ts'
import { lapseLeftLeases, msUntilItGoesOn, msUntilLogged, SOME_LOAD } from '../while-in-trouble.ts'

const run = promisify(execFile)
const DISK = '192m'
/** Little log is kept ready, so that the log runs out of room as well as the tables. */
const SETTINGS = { min_wal_size: '32MB', max_wal_size: '48MB', wal_recycle: 'off', wal_init_zero: 'on' }

interface Disk extends AsyncDisposable {
  readonly directory: string
  fill(): Promise<void>
  makeRoom(): Promise<void>
}

export const diskFull: Experiment = {
  name: 'disk-full',
  does: 'Fills the disk that Postgres has to itself, for 4 s or a minute, and makes room again; restarts Postgres where that gave up.',
  passes:
    'the sidecar lives and says what is wrong, it goes on by itself within 10 s, and nothing comes twice',
  forms: ['short', 'long'],
  plugins: ['pgoutput'],
  async run(experiment) {
    await using disk = await smallDisk()
    await using server = await OwnServer.start(SETTINGS, disk.directory)
    await using scene = await Scene.open({ ...experiment, postgres: server.ground }, this.name)
    const sidecar = await scene.startSidecar()
    const application = await scene.startApplication(SOME_LOAD)
    await scene.untilReceived(20)
    const seen = await scene.faults.during('database', 'the disk is full', async () => {
      await disk.fill()
      const since = Date.now()
      const toldMs = await msUntilLogged(sidecar, 'relay.interrupted', since)
      const gaveUp = await orTimeout(
        server.ended.then(() => 'gave up' as const),
        experiment.form === 'short' ? 4_000 : 60_000,
      )
      await disk.makeRoom()
      if (gaveUp === 'gave up') await server.startAgain()
      return { toldMs, gaveUp, recoveredMs: await msUntilItGoesOn(scene) }
    })
    await lapseLeftLeases(experiment, scene, application)
    const verdict = await scene.judge()
    return conclude(
      verdict,
      {
        told_after_ms: seen.toldMs,
        recovered_ms: seen.recoveredMs,
        postgres: seen.gaveUp === 'gave up' ? 'gave up' : 'lived',
        refused: application.refusals.count,
      },
      {
        'the sidecar lives': (await orTimeout(sidecar.exited, 1)) === 'timeout',
        'it goes on in time': seen.recoveredMs < 10_000,
        'nothing came twice': verdict.counts.duplicates === 0,
      },
    )
  },
}

/** A file system in memory, with an end. Mounting wants root. */
async function smallDisk(): Promise<Disk> {
  const directory = await mkdtemp(path.join(tmpdir(), 'walhook-small-disk-'))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK},mode=755`, 'tmpfs', directory])
  } catch (error) {
    await rm(directory, { recursive: true })
    throw new NotPossibleHere('a disk of its own cannot be mounted here: that wants root', { cause: error })
  }
  const ballast = path.join(directory, 'ballast')
  return {
    directory,
    async fill() {
      const { bsize, bavail } = await statfs(directory)
      await writeFile(ballast, Buffer.alloc(bsize * bavail)).catch(onlyFull)
    },
    makeRoom: () => rm(ballast),
    async [Symbol.asyncDispose]() {
      // Postgres's last processes may still be leaving it.
      await eventually(() => run('umount', [directory]))
      await rm(directory, { recursive: true })
    },
  }
}

function onlyFull(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOSPC') throw error
}
