/** A long backlog, and a heap of 256 MB: the sidecar drains it, and says how much memory that took. */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { conclude, type Experiment } from '../experiment.ts'
import { Scene } from '../scene.ts'

const HEAP_MB = 256
/** The young, code, buffers and sockets with it. */
const MOST_RSS_MIB = 320
const EVENTS = 1_000_000
const DRAINS_WITHIN_MS = 3_600_000

export const memoryCapped: Experiment = {
  name: 'memory-capped',
  does: `Drains a backlog of 1,000,000 events with --max-old-space-size=${HEAP_MB}.`,
  passes: `it drains, below ${MOST_RSS_MIB} MiB resident, and nothing comes twice`,
  forms: ['long'],
  async run(run) {
    await using scene = await Scene.open(run, 'memory-capped')
    await scene.stop(await scene.startSidecar())
    const wanted = run.events ?? EVENTS
    const application = await scene.startApplication({ perSecond: 1_000_000, connections: 8, deletes: false })
    for (let seconds = 1; application.written.size < wanted; seconds++) {
      await sleep(1_000)
      if (seconds % 30 === 0) run.say(`${application.written.size} events written so far`)
    }
    await application.stop()
    run.say(`${application.written.size} events written`)

    const startedAt = performance.now()
    const sidecar = await scene.startSidecar({ NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}` })
    const verdict = await scene.judge(DRAINS_WITHIN_MS)
    const seconds = (performance.now() - startedAt) / 1000
    const rssMib = await peakRssMib(sidecar.pid)
    return conclude(
      verdict,
      {
        drained_s: Math.round(seconds),
        deliveries_per_s: Math.round(verdict.counts.owed / seconds),
        peak_rss_mib: Math.round(rssMib),
      },
      {
        'nothing comes twice': verdict.counts.duplicates === 0,
        [`at most ${MOST_RSS_MIB} MiB are resident`]: rssMib <= MOST_RSS_MIB,
      },
    )
  },
}

/** From /proc: the most that was ever resident. Rejects where the process has died. */
async function peakRssMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? NaN) / 1024
}
