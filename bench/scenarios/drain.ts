import { scenario } from '../scenario.ts'

const EVENTS = 100_000

export const drain = scenario({
  name: 'drain',
  shows: `${EVENTS.toLocaleString('en')} committed events, one a transaction, one subscription, from the start of a sidecar`,
  rounds: 3,
  figures: {
    ceiling: { what: "the ceiling: signed POSTs by Walhook's client alone", unit: 'per second' },
    fetch: { what: 'the same by fetch and the standardwebhooks library', unit: 'per second' },
    deliveries: { what: 'deliveries', unit: 'per second' },
    ofCeiling: { what: 'deliveries, of the ceiling', unit: 'ratio', reach: { atLeast: 0.5 } },
    ofFetch: { what: 'deliveries, of fetch', unit: 'ratio' },
    duplicates: { what: 'requests beyond one a delivery', unit: 'count', reach: { atMost: 0 } },
  },
  async round(stage) {
    const events = stage.scaled(EVENTS, 500)
    const ceiling = await stage.ceiling()
    const fetch = await stage.ceiling({}, 20_000, 'flatOutWithFetch')
    await stage.subscribe()
    await stage.commit(events)
    const { perSecond } = await stage.drain('drain', events, () => stage.startWalhook())
    const { requests } = await stage.receiver.ask('count')
    return {
      ceiling,
      fetch,
      deliveries: perSecond,
      ofCeiling: perSecond / ceiling,
      ofFetch: perSecond / fetch,
      duplicates: requests - events,
    }
  },
})
