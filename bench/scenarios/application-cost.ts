import { percentile, spreadOf } from '../figures/statistics.ts'
import { scenario } from '../scenario.ts'
import { whileLooking } from '../stage/looking.ts'
import type { Stage } from '../stage/stage.ts'

const PER_SECOND = 200
const SECONDS = 8
const TURNS = 2
const LOOK_EVERY_MS = 10

export const applicationCost = scenario({
  name: 'application-cost',
  shows: `the application's INSERT with its commit, ${PER_SECOND} a second, with Walhook running and without, in turn`,
  rounds: 3,
  figures: {
    without: { what: 'INSERT without Walhook: p50', unit: 'ms' },
    with: { what: 'INSERT with Walhook: p50', unit: 'ms' },
    ratio: { what: 'with, of without', unit: 'ratio', reach: { atMost: 1.05 } },
    lockWaits: {
      what: 'looks that found the application waiting for a lock',
      unit: 'count',
      reach: { atMost: 0 },
    },
    looks: { what: 'looks', unit: 'count' },
  },
  async round(stage) {
    await stage.subscribe()
    const seconds = stage.scaled(SECONDS)
    const without: number[] = []
    const beside: number[] = []
    const locks = { waits: 0, looks: 0 }
    for (let turn = 0; turn < TURNS; turn++) {
      const alone = await stage.measure('without Walhook', async () => {
        const paced = await stage.pace(PER_SECOND, seconds)
        return { deliveries: paced.committedAt.size, result: paced }
      })
      without.push(percentile([...alone.result.statementMs], 0.5))
      // What it missed meanwhile is delivered before anything is measured.
      await stage.drain('what it missed', alone.result.committedAt.size, () => stage.startWalhook())
      const look = async (): Promise<void> => {
        locks.looks++
        if (await waitsForLock(stage)) locks.waits++
      }
      const { paced } = await whileLooking(LOOK_EVERY_MS, look, () =>
        stage.steady('with Walhook', PER_SECOND, seconds),
      )
      beside.push(percentile([...paced.statementMs], 0.5))
      await stage.stopWalhook()
    }
    const medians = { without: spreadOf(without).median, with: spreadOf(beside).median }
    return { ...medians, ratio: medians.with / medians.without, lockWaits: locks.waits, looks: locks.looks }
  },
})

/** Whether any of the application's sessions waits for a lock. */
async function waitsForLock(stage: Stage): Promise<boolean> {
  const [row] = await stage.database.query<{ waiting: number }>(
    `select count(*)::int as waiting from pg_stat_activity
     where datname = current_database() and application_name = 'bench application' and wait_event_type = 'Lock'`,
  )
  return (row?.waiting ?? 0) > 0
}
