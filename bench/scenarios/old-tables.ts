import type { Measurement } from '../figures/measurement.ts'
import { scenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

const EVENTS = 50_000
const OLD = 10_000_000
const AT_A_TIME = 500_000

export const oldTables = scenario({
  name: 'old-tables',
  shows: `${EVENTS.toLocaleString('en')} events on empty tables, and beside ${OLD.toLocaleString('en')} old deliveries and attempts, of which retention removes some meanwhile`,
  rounds: 1,
  figures: {
    empty: { what: 'empty: CPU a delivery', unit: 'ms' },
    old: { what: 'old: CPU a delivery', unit: 'ms' },
    ratio: { what: 'old, of empty', unit: 'ratio', reach: { atMost: 1.2 } },
    rateEmpty: { what: 'empty: deliveries', unit: 'per second' },
    rateOld: { what: 'old: deliveries', unit: 'per second' },
    rateRatio: { what: 'deliveries a second, old, of empty', unit: 'ratio' },
  },
  async round(stage) {
    await stage.subscribe()
    const empty = await drained(stage, 'empty tables')
    const old = stage.scaled(OLD, 1_000)
    for (let from = 0; from < old; from += AT_A_TIME) {
      stage.options.progress(`making old deliveries: ${from} of ${old}`)
      await stage.database.query(MAKE_OLD, [from, Math.min(old, from + AT_A_TIME), old])
    }
    stage.options.progress('vacuum analyze, as autovacuum had time for')
    await stage.database.query('vacuum analyze walhook.deliveries')
    await stage.database.query('vacuum analyze walhook.attempts')
    const aged = await drained(stage, `${old.toLocaleString('en')} old deliveries`)
    return {
      empty: cpuOf(empty),
      old: cpuOf(aged),
      ratio: cpuOf(aged) / cpuOf(empty),
      rateEmpty: empty.perSecond,
      rateOld: aged.perSecond,
      rateRatio: aged.perSecond / empty.perSecond,
    }
  },
})

/** Delivered at the first attempt, over the last 29 days; but each hundredth so long ago that retention removes it. */
const MAKE_OLD = `
  with old as (
    insert into walhook.deliveries (event_id, subscription_id, state, attempts, next_attempt_at, last_status, created_at, finished_at)
    select walhook.uuidv7(), s.id, 'delivered', 1, null, 204, at, at
    from generate_series($1::int, $2::int - 1) as n
    cross join lateral (
      select now() - case when n % 100 = 0 then interval '31 days' else interval '29 days' * (1 - n::float8 / $3::int) end as at
    ) as moment
    cross join (select id from walhook.subscriptions limit 1) as s
    returning id
  )
  insert into walhook.attempts (delivery_id, number, started_at, duration_ms, response_status)
  select id, 1, now(), 3, 204 from old`

async function drained(stage: Stage, label: string): Promise<Measurement & { readonly perSecond: number }> {
  const events = stage.scaled(EVENTS, 500)
  await stage.commit(events)
  const measured = await stage.drain(label, events, () => stage.startWalhook())
  await stage.stopWalhook()
  return measured
}

function cpuOf({ cpuMs }: Measurement): number {
  return cpuMs.walhook + cpuMs.postgres
}
