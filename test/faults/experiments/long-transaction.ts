/** A transaction stays open: Postgres keeps log for it, and events flow all the same. */
import { eventually } from '../../support/eventually.ts'
import type { TestDatabase } from '../../support/test-database.ts'
import { conclude, type Experiment } from '../experiment.ts'
import { Scene } from '../scene.ts'
import { SOME_LOAD } from '../while-in-trouble.ts'

const MIB = 1024 * 1024
const RETAINED = 20 * MIB

interface Health {
  readonly retained: number
  readonly unconfirmed: number
}

/** Once `holds`, right after a checkpoint: only that, and the background writer now and then, lets a slot's log go. */
async function healthWhen(db: TestDatabase, holds: (health: Health) => boolean): Promise<Health> {
  return eventually(
    async () => {
      await db.query('checkpoint')
      const [health] = await db.query<Health & { retained: number }>(
        `select retained_wal_bytes::float8 as retained, unconfirmed_wal_bytes::float8 as unconfirmed from walhook.slot_health`,
      )
      if (health === undefined || !holds(health))
        throw new Error(`slot_health shows ${JSON.stringify(health)}`)
      return health
    },
    { withinMs: 20_000, everyMs: 250 },
  )
}

export const longTransaction: Experiment = {
  name: 'long-transaction',
  does: 'Leaves a transaction open while 25 MiB, or 250 MiB, are written beside it.',
  passes: 'slot_health tells what is retained from what is unconfirmed, and the log is let go when it ends',
  forms: ['short', 'long'],
  async run(run) {
    await using scene = await Scene.open(run, this.name)
    await scene.startSidecar()
    await scene.startApplication(run.form === 'short' ? SOME_LOAD : {})
    const reporting = await scene.db.application()
    await reporting.query('begin')
    await reporting.query('create table report ()')
    await scene.db.query('create table neighbour (text text)')
    for (let n = 0; n < (run.form === 'short' ? 12 : 120); n++)
      await scene.db.query(
        'insert into neighbour select repeat(md5(i::text), 59) from generate_series(1, 1100) as i',
      )
    const during = await healthWhen(
      scene.db,
      ({ retained, unconfirmed }) => retained > RETAINED && unconfirmed < RETAINED / 4,
    )
    await reporting.query('rollback')
    const after = await healthWhen(scene.db, ({ retained }) => retained < RETAINED / 4)
    const verdict = await scene.judge()
    const mib = (bytes: number): string => (bytes / MIB).toFixed(1)
    return conclude(
      verdict,
      {
        retained_mib: mib(during.retained),
        unconfirmed_mib: mib(during.unconfirmed),
        retained_after_mib: mib(after.retained),
      },
      { 'nothing came twice': verdict.counts.duplicates === 0 },
    )
  },
}
