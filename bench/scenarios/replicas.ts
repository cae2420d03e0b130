import { cpuOf, type Measurement } from '../figures/measurement.ts'
import { scenario } from '../scenario.ts'
import { untilOwed } from '../stage/receipts.ts'
import type { Stage } from '../stage/stage.ts'

const EVENTS = 100_000
const WARM_UP = 30_000
const ENDPOINTS = 8

interface Drained {
  readonly perSecond: number
  readonly cpuMs: number
}

export const replicas = scenario({
  name: 'replicas',
  shows: `${EVENTS.toLocaleString('en')} events that waited for paused subscriptions, delivered by one, two and four processes`,
  rounds: 2,
  figures: {
    one: { what: 'one: deliveries', unit: 'per second' },
    two: { what: 'two: deliveries', unit: 'per second' },
    four: { what: 'four: deliveries', unit: 'per second' },
    cpuOfOne: { what: 'one: CPU a delivery, Postgres included', unit: 'ms' },
    twoOfOne: { what: 'two: CPU a delivery, of one', unit: 'ratio', reach: { atMost: 1.2 } },
    fourOfOne: { what: 'four: CPU a delivery, of one', unit: 'ratio', reach: { atMost: 1.2 } },
  },
  async round(stage) {
    for (let n = 0; n < ENDPOINTS; n++) await stage.subscribe({ path: `/ok/${n}`, types: [`bench.e${n}`] })
    const one = await drained(stage, 1)
    const two = await drained(stage, 2)
    const four = await drained(stage, 4)
    return {
      one: one.perSecond,
      two: two.perSecond,
      four: four.perSecond,
      cpuOfOne: one.cpuMs,
      twoOfOne: two.cpuMs / one.cpuMs,
      fourOfOne: four.cpuMs / one.cpuMs,
    }
  },
})

/** All processes stand ready and warm, and then there is something for all of them: what waits is claimed by any. */
async function drained(stage: Stage, processes: number): Promise<Drained> {
  await Promise.all(Array.from({ length: processes }, () => stage.startWalhook()))
  await drainWaiting(stage, 'warming up', stage.scaled(WARM_UP, 500))
  const measured = await drainWaiting(stage, `${processes} of Walhook`, stage.scaled(EVENTS, 500))
  await stage.stopWalhook()
  return { perSecond: measured.perSecond, cpuMs: cpuOf(measured) }
}

async function drainWaiting(
  stage: Stage,
  label: string,
  events: number,
): Promise<Measurement & { readonly perSecond: number }> {
  await stage.database.query('select walhook.pause(id) from walhook.subscriptions')
  await stage.commit(events, { types: ENDPOINTS })
  await untilOwed(stage.database, events)
  return stage.drain(label, events, () =>
    stage.database.query('select walhook.resume(id) from walhook.subscriptions'),
  )
}
