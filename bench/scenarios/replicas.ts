import { scenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

const EVENTS = 50_000

interface Drained {
  readonly perSecond: number
  readonly cpuMs: number
}

export const replicas = scenario({
  name: 'replicas',
  shows: `${EVENTS.toLocaleString('en')} events drained by one, two and four processes`,
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
    for (let n = 0; n < 8; n++) await stage.subscribe({ path: `/ok/${n}`, types: [`bench.e${n}`] })
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

async function drained(stage: Stage, processes: number): Promise<Drained> {
  const events = stage.scaled(EVENTS, 500)
  await stage.commit(events, { types: 8 })
  const { perSecond, cpuMs } = await stage.drain(`${processes} of Walhook`, events, () =>
    Promise.all(Array.from({ length: processes }, () => stage.startWalhook())),
  )
  await stage.stopWalhook()
  return { perSecond, cpuMs: cpuMs.walhook + cpuMs.postgres }
}
