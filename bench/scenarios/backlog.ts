import { rateBetween } from '../figures/measurement.ts'
import { scenario } from '../scenario.ts'

const EVENTS = 1_000_000

export const backlog = scenario({
  name: 'backlog',
  shows: `a start with ${EVENTS.toLocaleString('en')} undelivered events`,
  rounds: 1,
  figures: {
    deliveries: { what: 'deliveries', unit: 'per second' },
    firstTenth: { what: 'of the first tenth', unit: 'per second' },
    lastTenth: { what: 'of the last tenth', unit: 'per second' },
    constancy: { what: 'last tenth, of the first', unit: 'ratio', reach: { atLeast: 0.9 } },
    walhook: { what: "Walhook's memory at most", unit: 'MiB', reach: { atMost: 300 } },
  },
  async round(stage) {
    const events = stage.scaled(EVENTS, 1_000)
    await stage.subscribe()
    await stage.commitBulk(events, 100)
    const drained = await stage.drain('backlog', events, () => stage.startWalhook())
    // The first hundredth is the sidecar's start.
    const firstTenth = rateBetween(drained.samples, 0.01, 0.1)
    const lastTenth = rateBetween(drained.samples, 0.9, 1)
    return {
      deliveries: drained.perSecond,
      firstTenth,
      lastTenth,
      constancy: lastTenth / firstTenth,
      walhook: drained.walhookPeakMiB,
    }
  },
})
