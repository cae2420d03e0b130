import { clock } from '../load/answering.ts'
import { scenario } from '../scenario.ts'

const ROWS = 1_000_000

export const bigTransaction = scenario({
  name: 'big-transaction',
  shows: `one transaction of ${ROWS.toLocaleString('en')} events`,
  rounds: 1,
  figures: {
    insert: { what: 'the INSERT itself', unit: 's' },
    first: { what: 'from its commit to the first receipt', unit: 's' },
    allRecorded: { what: 'from its commit until the last delivery is recorded as owed', unit: 's' },
    deliveries: { what: 'deliveries, from the commit to the last receipt', unit: 'per second' },
    walhook: { what: "Walhook's memory at most", unit: 'MiB', reach: { atMost: 300 } },
  },
  async round(stage) {
    const rows = stage.scaled(ROWS, 1_000)
    await stage.subscribe()
    await stage.startWalhook()
    const begunAt = clock()
    let committedAt = NaN
    const drained = await stage.drain('big transaction', rows, async () => {
      await stage.commitBulk(rows, rows)
      committedAt = clock()
    })
    const { firstAt } = await stage.receiver.ask('count')
    const [row] = await stage.database.query<{ at: number }>(
      `select extract(epoch from max(created_at))::float8 * 1000 as at from walhook.deliveries`,
    )
    return {
      insert: (committedAt - begunAt) / 1000,
      first: (firstAt - committedAt) / 1000,
      allRecorded: ((row?.at ?? NaN) - committedAt) / 1000,
      deliveries: drained.perSecond,
      walhook: drained.walhookPeakMiB,
    }
  },
})
