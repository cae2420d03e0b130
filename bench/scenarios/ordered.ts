import { scenario } from '../scenario.ts'
import { Stage } from '../stage/stage.ts'

const EVENTS = 50_000
const KEYS = 1_000
const OF_ONE_KEY = 1_000

export const ordered = scenario({
  name: 'ordered',
  shows: `${EVENTS.toLocaleString('en')} events of ${KEYS.toLocaleString('en')} keys to a subscription ordered by key, and ${OF_ONE_KEY.toLocaleString('en')} of a single key`,
  rounds: 2,
  figures: {
    unordered: { what: 'unordered: deliveries', unit: 'per second' },
    keys: { what: `${KEYS.toLocaleString('en')} keys: deliveries`, unit: 'per second' },
    ofUnordered: { what: 'those, of unordered', unit: 'ratio' },
    oneKey: { what: 'one key: deliveries', unit: 'per second' },
  },
  async round(stage) {
    await stage.subscribe()
    const events = stage.scaled(EVENTS, 500)
    const { perSecond: unordered } = await stage.commitAndDrain('unordered', events, { keys: KEYS })
    const keys = await inOrder(stage, `${KEYS} keys`, events, KEYS)
    const oneKey = await inOrder(stage, 'one key', stage.scaled(OF_ONE_KEY, 50), 1)
    return { unordered, keys, ofUnordered: keys / unordered, oneKey }
  },
})

/** On a stage of its own, where the ordered subscription is the only one. */
async function inOrder(stage: Stage, label: string, events: number, keys: number): Promise<number> {
  await using own = await Stage.open(stage.server, stage.options)
  await own.subscribe({ ordering: 'key' })
  const { perSecond } = await own.commitAndDrain(label, events, { keys })
  stage.measurements.push(...own.measurements)
  return perSecond
}
