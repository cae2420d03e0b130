import { cpuOf } from '../figures/measurement.ts'
import { scenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

const EVENTS = 30_000
const FEW = 10
const SOME = 1_000
const MANY = 100_000
const TENANTS = 10_000

export const manySubscriptions = scenario({
  name: 'many-subscriptions',
  shows: `${EVENTS.toLocaleString('en')} events of ten tenants, each for one subscription of 10, of 1,000, and of 100,000 of 10,000 tenants`,
  rounds: 2,
  figures: {
    few: { what: '10 subscriptions: CPU an event', unit: 'ms' },
    some: { what: '1,000 subscriptions: CPU an event', unit: 'ms' },
    many: { what: '100,000 subscriptions: CPU an event', unit: 'ms' },
    someOfFew: { what: '1,000, of 10', unit: 'ratio', reach: { atMost: 1.2 } },
    manyOfFew: { what: '100,000, of 10', unit: 'ratio', reach: { atMost: 1.2 } },
    spread: { what: '100,000 subscriptions, events of all 10,000 tenants: CPU an event', unit: 'ms' },
    walhook: { what: "Walhook's memory at most", unit: 'MiB', reach: { atMost: 300 } },
  },
  async round(stage) {
    const events = stage.scaled(EVENTS, 200)
    await makeSubscriptions(stage, 0, FEW)
    const few = await stage.commitAndDrain('10 subscriptions', events, { tenants: FEW })
    await makeSubscriptions(stage, FEW, SOME)
    const some = await stage.commitAndDrain('1,000 subscriptions', events, { tenants: FEW })
    const many = stage.scaled(MANY, SOME + 1)
    await makeSubscriptions(stage, SOME, many)
    const name = `${many.toLocaleString('en')} subscriptions`
    const most = await stage.commitAndDrain(name, events, { tenants: FEW })
    const spread = await stage.commitAndDrain(`${name}, all tenants`, events, {
      tenants: Math.min(many, TENANTS),
    })
    return {
      few: cpuOf(few),
      some: cpuOf(some),
      many: cpuOf(most),
      someOfFew: cpuOf(some) / cpuOf(few),
      manyOfFew: cpuOf(most) / cpuOf(few),
      spread: cpuOf(spread),
      walhook: Math.max(most.walhookPeakMiB, spread.walhookPeakMiB),
    }
  },
})

/** The first of each tenant wants every type; its further ones want types that do not come. */
async function makeSubscriptions(stage: Stage, from: number, to: number): Promise<void> {
  stage.options.progress(`making subscriptions ${from} to ${to}`)
  await stage.database.query(
    `select count(walhook.subscribe(
       $1 || n, tenant => 'tenant ' || n % $4::int,
       event_types => case when n < $4::int then array['*'] else array['other.t' || n / $4::int] end
     ))
     from generate_series($2::int, $3::int - 1) as n`,
    [stage.urlOf('/ok/'), from, to, TENANTS],
  )
  await stage.database.query('analyze walhook.subscriptions')
  await stage.readUpTheLog({ tenants: 1 })
}
