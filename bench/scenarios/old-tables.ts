import { cpuOf } from '../figures/measurement.ts'
import { scenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

const EVENTS = 100_000
const OLD = 10_000_000
const AT_A_TIME = 500_000

export const oldTables = scenario({
  name: 'old-tables',
  shows: `${EVENTS.toLocaleString('en')} events on empty tables, and beside ${OLD.toLocaleString('en')} old deliveries and attempts, with retention`,
  rounds: 1,
  figures: {
    empty: { what: 'empty: CPU a delivery', unit: 'ms' },
    old: { what: 'old, nothing to remove: CPU a delivery', unit: 'ms' },
    removing: { what: 'old, while retention removes as many: CPU a delivery and a removal', unit: 'ms' },
    oldOfEmpty: { what: 'nothing to remove, of empty', unit: 'ratio', reach: { atMost: 1.2 } },
    removingOfEmpty: {
      what: 'while retention removes as many, of empty',
      unit: 'ratio',
      reach: { atMost: 1.2 },
    },
    removed: { what: 'removed meanwhile', unit: 'count' },
    rateEmpty: { what: 'empty: deliveries', unit: 'per second' },
    rateOld: { what: 'old, nothing to remove: deliveries', unit: 'per second' },
    rateRemoving: { what: 'old, while retention removes as many: deliveries', unit: 'per second' },
  },
  async round(stage) {
    await stage.subscribe()
    const events = stage.scaled(EVENTS, 500)
    const empty = await stage.commitAndDrain('empty tables', events)
    const count = stage.scaled(OLD, 1_000)
    await makeOld(stage, count, 29)
    const old = await stage.commitAndDrain(`${count.toLocaleString('en')} old deliveries`, events)
    await makeOld(stage, events, 31)
    const removing = await stage.commitAndDrain('while retention removes', events)
    return {
      empty: cpuOf(empty),
      old: cpuOf(old),
      removing: cpuOf(removing),
      oldOfEmpty: cpuOf(old) / cpuOf(empty),
      removingOfEmpty: cpuOf(removing) / cpuOf(empty),
      removed: events - (await expired(stage)),
      rateEmpty: empty.perSecond,
      rateOld: old.perSecond,
      rateRemoving: removing.perSecond,
    }
  },
})

async function makeOld(stage: Stage, count: number, days: number): Promise<void> {
  for (let from = 0; from < count; from += AT_A_TIME) {
    stage.options.progress(`making old deliveries: ${from} of ${count}`)
    await stage.database.query(MAKE_OLD, [Math.min(count - from, AT_A_TIME), days])
  }
  stage.options.progress('vacuum analyze, as autovacuum had time for')
  await stage.database.query('vacuum analyze walhook.deliveries')
  await stage.database.query('vacuum analyze walhook.attempts')
  await stage.readUpTheLog()
}

/** Delivered at the first attempt, so many days ago; what is older than thirty is removed. */
const MAKE_OLD = `
  with old as (
    insert into walhook.deliveries (event_id, subscription_id, state, attempts, next_attempt_at, last_status, created_at, finished_at)
    select walhook.uuidv7(), s.id, 'delivered', 1, null, 204, ended.at, ended.at
    from generate_series(1, $1::int) as n
    cross join (select now() - $2::int * interval '1 day' as at) as ended
    cross join (select id from walhook.subscriptions limit 1) as s
    returning id
  )
  insert into walhook.attempts (delivery_id, number, started_at, duration_ms, response_status)
  select id, 1, now(), 3, 204 from old`

async function expired(stage: Stage): Promise<number> {
  const [row] = await stage.database.query<{ left: number }>(
    `select count(*)::int as left from walhook.deliveries where finished_at < now() - interval '30 days'`,
  )
  return row?.left ?? NaN
}
