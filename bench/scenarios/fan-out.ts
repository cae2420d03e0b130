import { scenario } from '../scenario.ts'

const EVENTS = 10_000
export const SUBSCRIPTIONS = 20

export const fanOut = scenario({
  name: 'fan-out',
  shows: `${EVENTS.toLocaleString('en')} events × ${SUBSCRIPTIONS} subscriptions, each an endpoint`,
  rounds: 3,
  figures: {
    single: { what: 'half as many deliveries of one subscription', unit: 'per second' },
    deliveries: { what: 'deliveries', unit: 'per second' },
    ofSingle: { what: 'of those of one subscription', unit: 'ratio', reach: { atLeast: 1 } },
  },
  async round(stage) {
    const events = stage.scaled(EVENTS, 50)
    await stage.subscribe({ types: ['bench.event'] })
    const ofOne = (events * SUBSCRIPTIONS) / 2
    const single = await stage.commitAndDrain('one subscription', ofOne)
    for (let n = 0; n < SUBSCRIPTIONS; n++) await stage.subscribe({ path: `/ok/${n}`, types: ['bench.e0'] })
    await stage.commit(events, { types: 1 })
    const fanned = await stage.drain('fan-out', events * SUBSCRIPTIONS, () => stage.startWalhook())
    return {
      single: single.perSecond,
      deliveries: fanned.perSecond,
      ofSingle: fanned.perSecond / single.perSecond,
    }
  },
})
