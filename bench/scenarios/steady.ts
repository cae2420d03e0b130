import { latenciesOf } from '../figures/latency.ts'
import { percentile } from '../figures/statistics.ts'
import { scenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

const SECONDS = 15
/** So long before, that code is warm: a sidecar runs for weeks. */
const WARM_UP_SECONDS = 5

export const steady = scenario({
  name: 'steady',
  shows: 'from the return of COMMIT to the receipt, at a steady rate, beside a bare POST at the same rate',
  rounds: 3,
  figures: {
    p50At500: { what: '500 events/s: p50', unit: 'ms', reach: { atMost: 5 } },
    p99At500: { what: '500 events/s: p99', unit: 'ms', reach: { atMost: 25 } },
    bareP99At500: { what: '500 bare POSTs/s: p99', unit: 'ms' },
    ofBareAt500: { what: '500/s: p99, of the bare p99', unit: 'ratio', reach: { atMost: 4 } },
    p50At2000: { what: '2,000 events/s: p50', unit: 'ms' },
    p99At2000: { what: '2,000 events/s: p99', unit: 'ms' },
    bareP99At2000: { what: '2,000 bare POSTs/s: p99', unit: 'ms' },
    ofBareAt2000: { what: '2,000/s: p99, of the bare p99', unit: 'ratio', reach: { atMost: 4 } },
  },
  async round(stage) {
    await stage.subscribe()
    const bare500 = await barePosts(stage, 500)
    const bare2000 = await barePosts(stage, 2_000)
    await stage.startWalhook()
    await stage.steady('warming up', 1_000, stage.scaled(WARM_UP_SECONDS))
    const at500 = (await stage.steady('500 events/s', 500, stage.scaled(SECONDS))).latencies
    const at2000 = (await stage.steady('2,000 events/s', 2_000, stage.scaled(SECONDS))).latencies
    const p99At500 = percentile(at500, 0.99)
    const p99At2000 = percentile(at2000, 0.99)
    return {
      p50At500: percentile(at500, 0.5),
      p99At500,
      bareP99At500: percentile(bare500, 0.99),
      ofBareAt500: p99At500 / percentile(bare500, 0.99),
      p50At2000: percentile(at2000, 0.5),
      p99At2000,
      bareP99At2000: percentile(bare2000, 0.99),
      ofBareAt2000: p99At2000 / percentile(bare2000, 0.99),
    }
  },
})

async function barePosts(stage: Stage, perSecond: number): Promise<readonly number[]> {
  stage.options.progress(`${perSecond} bare POSTs/s`)
  const poster = stage.poster()
  await poster.ask('pace', stage.urlOf('/ok/0'), perSecond, stage.scaled(WARM_UP_SECONDS))
  await stage.receiver.ask('begin')
  const sentAt = await poster.ask('pace', stage.urlOf('/ok/0'), perSecond, stage.scaled(SECONDS))
  const receivedAt = await stage.receiver.ask('receivedAt')
  await poster[Symbol.asyncDispose]()
  return latenciesOf(sentAt, receivedAt)
}
