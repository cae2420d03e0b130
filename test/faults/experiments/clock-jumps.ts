/**
 * The sidecar's wall clock jumps by an hour, forth and back, while endpoints refuse now and then: leases and retries go by
 * the database's clock and by time that only moves forward.
 */
import { existsSync, globSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { respond } from '../../support/receiver.ts'
import { conclude, type Experiment, NotPossibleHere, rounds } from '../experiment.ts'
import { Scene } from '../scene.ts'

/** Debian's package faketime. */
const LIBRARY = '/usr/lib/*/faketime/libfaketimeMT.so.1'
const SETTLES_WITHIN_MS = 20_000

export const clockJumps: Experiment = {
  name: 'clock-jumps',
  does: 'Sets the sidecar’s clock an hour forth and back (libfaketime), while one endpoint refuses some of what it gets.',
  passes: 'nothing comes twice, and the last retry is made within seconds of the jump',
  forms: ['long'],
  async run(run) {
    const [library] = globSync(LIBRARY)
    if (library === undefined || !existsSync(library))
      throw new NotPossibleHere('there is no libfaketime: apt-get install faketime')
    await using clock = await FakeClock.make()
    await using scene = await Scene.open(run, 'clock-jumps', { verifiesTimestamps: false })
    scene.receivers.on('/orders', ({ number }) => respond(number % 5 === 0 ? 503 : 204))
    await scene.startSidecar({
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: clock.file,
      FAKETIME_NO_CACHE: '1',
      DONT_FAKE_MONOTONIC: '1',
    })
    await scene.startApplication({ perSecond: 200, deletes: false })
    for (const _ of rounds(run, { short: 1, long: 5 })) {
      for (const offset of ['+3600', '-3600', '+0']) {
        await clock.set(offset)
        await sleep(3_000)
      }
    }
    // The last jump is back by an hour: what waits for a retry must not wait for an hour.
    await clock.set('-3600')
    const jumpedAt = performance.now()
    const verdict = await scene.judge()
    const settledMs = Math.round(performance.now() - jumpedAt)
    return conclude(
      verdict,
      { settled_ms: settledMs },
      {
        'nothing comes twice': verdict.counts.duplicates === 0,
        'retries are made within 20 s of the last jump': settledMs < SETTLES_WITHIN_MS,
      },
    )
  },
}

class FakeClock implements AsyncDisposable {
  readonly #directory: string
  readonly file: string

  private constructor(directory: string) {
    this.#directory = directory
    this.file = path.join(directory, 'offset')
  }

  static async make(): Promise<FakeClock> {
    const clock = new FakeClock(await mkdtemp(path.join(tmpdir(), 'walhook-clock-')))
    await clock.set('+0')
    return clock
  }

  /** In seconds, with its sign. */
  async set(offset: string): Promise<void> {
    await writeFile(this.file, `${offset}\n`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true })
  }
}
