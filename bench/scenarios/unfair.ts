import { percentile } from '../figures/statistics.ts'
import { scenario } from '../scenario.ts'

const ENDPOINTS = 100
/** One that hangs, one that is slow. */
const SICK = 2
const PER_SECOND = 500
const SECONDS = 20

export const unfair = scenario({
  name: 'unfair',
  shows: `${PER_SECOND} events/s to ${ENDPOINTS} endpoints; then one of them hangs and one answers after 5 s`,
  rounds: 3,
  figures: {
    without: { what: 'the 98 healthy alone: p99', unit: 'ms' },
    with: { what: 'the 98 healthy beside the two: p99', unit: 'ms' },
    ratio: { what: 'beside, of alone', unit: 'ratio', reach: { atMost: 1.2 } },
    medianRatio: { what: 'the same of the p50', unit: 'ratio' },
  },
  async round(stage) {
    const seconds = stage.scaled(SECONDS, 2)
    const healthy = { shape: { types: ENDPOINTS }, isMeant: (n: number) => n % ENDPOINTS >= SICK }
    for (let n = SICK; n < ENDPOINTS; n++) await stage.subscribe({ path: `/ok/${n}`, types: [`bench.e${n}`] })
    await stage.startWalhook()
    await stage.steady('warming up', PER_SECOND, stage.scaled(5), healthy)
    const alone = (await stage.steady('the healthy alone', PER_SECOND, seconds, healthy)).latencies
    await stage.subscribe({ path: '/hang', types: ['bench.e0'] })
    await stage.subscribe({ path: '/slow/5000', types: ['bench.e1'] })
    const beside = (await stage.steady('beside the two', PER_SECOND, seconds, healthy)).latencies
    return {
      without: percentile(alone, 0.99),
      with: percentile(beside, 0.99),
      ratio: percentile(beside, 0.99) / percentile(alone, 0.99),
      medianRatio: percentile(beside, 0.5) / percentile(alone, 0.5),
    }
  },
})
