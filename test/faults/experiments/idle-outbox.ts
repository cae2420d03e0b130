/** No event for a while: beside a busy database of the same server, and on a server where nothing happens at all. */
import { setTimeout as sleep } from 'node:timers/promises'
import { OwnServer } from '../../support/own-server.ts'
import type { TestDatabase } from '../../support/test-database.ts'
import { conclude, type Experiment } from '../experiment.ts'
import { Scene } from '../scene.ts'
import { SOME_LOAD } from '../while-in-trouble.ts'

const MIB = 1024 * 1024
const WRITTEN_MIB = 200
const BOUND_MIB = 32
const LOOK_EVERY_MS = 250

interface Kept {
  readonly retained: number
  readonly unconfirmed: number
}

export const idleOutbox: Experiment = {
  name: 'idle-outbox',
  does: `Lets a neighbour write ${WRITTEN_MIB} MiB while no event comes, and then nobody anything.`,
  passes: `less than ${BOUND_MIB} MiB is unconfirmed at any time and retained in the end, and an idle Walhook writes once in 30 s`,
  forms: ['short', 'long'],
  plugins: ['pgoutput'],
  async run(run) {
    // Vacuums are transactions too, and none of ours.
    await using server = await OwnServer.start({ autovacuum: 'off' })
    await using scene = await Scene.open({ ...run, postgres: server.ground }, this.name)
    await scene.startSidecar()
    const application = await scene.startApplication(SOME_LOAD)
    await scene.untilReceived(150)
    await application.stop()

    const most = { retained: 0, unconfirmed: 0 }
    await server.query('create database neighbour')
    const neighbour = await server.connect('neighbour')
    await neighbour.query('create table busy (text text)')
    // 12 or 3 MiB a second.
    const paceMs = run.form === 'short' ? 165 : 660
    for (let written = 0; written < WRITTEN_MIB; written += 2) {
      const begun = performance.now()
      await neighbour.query(
        'insert into busy select repeat(md5(i::text), 59) from generate_series(1, 1100) as i',
      )
      raise(most, await keptBy(scene.db))
      await sleep(Math.max(0, paceMs - (performance.now() - begun)))
    }
    // How far back a reader would have to begin is written down by checkpoints, and else now and then: most of what is
    // retained meanwhile waits for that, and not for us.
    await neighbour.query('checkpoint')
    await neighbour.end()
    let left = await keptBy(scene.db)
    const settledBy = performance.now() + 60_000
    while (left.retained > BOUND_MIB && performance.now() < settledBy) {
      await sleep(LOOK_EVERY_MS)
      left = await keptBy(scene.db)
    }

    const idleMs = run.form === 'short' ? 35_000 : 600_000
    const before = await nextTransaction(scene.db)
    await sleep(idleMs)
    const transactions = (await nextTransaction(scene.db)) - before
    const verdict = await scene.judge()
    return conclude(
      verdict,
      {
        most_unconfirmed_mib: most.unconfirmed.toFixed(1),
        most_retained_mib: most.retained.toFixed(1),
        retained_in_the_end_mib: left.retained.toFixed(1),
        idle_ms: idleMs,
        idle_transactions: transactions,
      },
      {
        'what is unconfirmed is bounded': most.unconfirmed < BOUND_MIB,
        'the log is let go': left.retained < BOUND_MIB,
        'an idle Walhook hardly writes': transactions <= Math.ceil(idleMs / 30_000),
      },
    )
  },
}

function raise(most: { retained: number; unconfirmed: number }, now: Kept): void {
  most.retained = Math.max(most.retained, now.retained)
  most.unconfirmed = Math.max(most.unconfirmed, now.unconfirmed)
}

async function keptBy(db: TestDatabase): Promise<Kept> {
  const [health] = await db.query<Kept>(
    `select retained_wal_bytes::float8 / $1 as retained, unconfirmed_wal_bytes::float8 / $1 as unconfirmed
     from walhook.slot_health`,
    [MIB],
  )
  if (health === undefined) throw new Error('slot_health is empty')
  return health
}

/** Transactions that only read have no number. */
async function nextTransaction(db: TestDatabase): Promise<number> {
  const [row] = await db.query<{ next: string }>(
    'select pg_snapshot_xmax(pg_current_snapshot())::text as next',
  )
  return Number(row?.next)
}
