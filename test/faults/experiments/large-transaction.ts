/** One transaction of very many events, while others go on: recorded whole, in pieces, in bounded memory. */
import { readFile } from 'node:fs/promises'
import { eventually } from '../../support/eventually.ts'
import type { SidecarProcess } from '../../support/sidecar-process.ts'
import { subscribe } from '../../support/sql-surface.ts'
import { conclude, type Experiment } from '../experiment.ts'
import { EVERYTHING, Scene } from '../scene.ts'
import { SOME_LOAD } from '../while-in-trouble.ts'

const ORDERS_AND_INVOICES = { ...EVERYTHING, eventTypes: ['order.*', 'invoice.*', 'user-signed_up'] }
const GROWTH_MIB = 300

const COUNT = `
  select count(*)::int as rows, count(distinct d.event_id)::int as events, count(o.id)::int as known
  from walhook.deliveries as d left join walhook.outbox as o on o.id = d.event_id and o.type = 'bulk.made'
  where d.subscription_id = $1`

export const largeTransaction: Experiment = {
  name: 'large-transaction',
  does: 'Commits 50,000 events, or a million, in one transaction beside the others.',
  passes: `each has one delivery, and the process grows by less than ${GROWTH_MIB} MiB`,
  forms: ['short', 'long'],
  async run(run) {
    const count = run.form === 'short' ? 50_000 : 1_000_000
    await using scene = await Scene.open(run, this.name, { endpoints: [ORDERS_AND_INVOICES] })
    const sidecar = await scene.startSidecar()
    // Parked: this is about what is recorded.
    const parked = await subscribe(scene.db, scene.receivers.url('/parked'), { eventTypes: ['bulk.*'] })
    await scene.db.query('select walhook.pause($1)', [parked.id])
    await scene.startApplication(SOME_LOAD)
    await scene.untilReceived(20)
    const before = await peakMib(sidecar)
    await scene.db.query(
      `insert into walhook.outbox (type, payload)
       select 'bulk.made', json_build_object('n', n, 'padding', repeat('x', 200)) from generate_series(1, $1::int) as n`,
      [count],
    )
    const committedAt = performance.now()
    const recorded = await eventually(
      async () => {
        const [row] = await scene.db.query<{ rows: number; events: number; known: number }>(COUNT, [
          parked.id,
        ])
        if (row === undefined || row.rows < count) throw new Error(`${row?.rows} deliveries of ${count}`)
        return row
      },
      { withinMs: 900_000, everyMs: run.form === 'short' ? 100 : 5_000 },
    )
    const recordedMs = Math.round(performance.now() - committedAt)
    const peak = await peakMib(sidecar)
    // Not the application's: the check knows nothing of them.
    await scene.db.query('delete from walhook.deliveries where subscription_id = $1', [parked.id])
    const verdict = await scene.judge()
    return conclude(
      verdict,
      { events: count, recorded_after_ms: recordedMs, rss_before_mib: before, rss_peak_mib: peak },
      {
        'each has one delivery': [recorded.rows, recorded.events, recorded.known].every((n) => n === count),
        'its memory is bounded': peak - before < GROWTH_MIB,
        'nothing came twice': verdict.counts.duplicates === 0,
      },
    )
  },
}

/** The largest resident set so far, as Linux tells it; 0 elsewhere. */
async function peakMib(sidecar: SidecarProcess): Promise<number> {
  const status = await readFile(`/proc/${sidecar.pid}/status`, 'utf8').catch(() => '')
  return Math.round(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024)
}
