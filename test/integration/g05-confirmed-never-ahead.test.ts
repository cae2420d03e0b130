/** G5: the confirmed LSN is never ahead of recorded deliveries, and never waits for an endpoint. */
import { expect } from 'vitest'
import { formatLsn } from '../../src/core/lsn.ts'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { hang } from '../support/receiver.ts'
import {
  confirmedLsn,
  currentLsn,
  deliveries,
  publish,
  subscribe,
  untilSettled,
} from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

/** When Postgres last heard from whoever streams the test's slot. */
async function lastStatus(db: TestDatabase): Promise<number> {
  const [row] = await db.query<{ reply_time: Date }>(
    `select r.reply_time from pg_stat_replication as r join pg_replication_slots as s on s.active_pid = r.pid
     where s.slot_name = $1`,
    [db.slot],
  )
  return row?.reply_time.getTime() ?? 0
}

eachPlugin(() => {
  test('while deliveries cannot be recorded, nothing of them is confirmed, whatever else commits', async ({
    db,
    receiver,
    sidecar,
  }) => {
    // A status update each third of it.
    await db.query(`alter database "${db.slot}" set wal_sender_timeout = '900ms'`)
    await db.query('create table neighbour (n int)')
    const { logs } = await sidecar()
    await logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    await publish(db)
    await untilSettled(db, 1)

    const lock = await db.application()
    await lock.query('begin')
    await lock.query('lock table walhook.deliveries in share mode')
    const before = await currentLsn(db)
    const unrecorded = [await publish(db), await publish(db)]
    const statuses = new Set<number>()
    await eventually(
      async () => {
        // Commits without events, and one with: each is a position that could be confirmed by mistake.
        await db.query('insert into neighbour select generate_series(1, 100)')
        unrecorded.push(await publish(db))
        statuses.add(await lastStatus(db))
        const confirmed = await confirmedLsn(db)
        if (confirmed > before) return `confirmed ${formatLsn(confirmed)}, past ${formatLsn(before)}`
        if (statuses.size < 5) throw new Error(`only ${statuses.size} status updates yet`)
        return undefined
      },
      { everyMs: 50 },
    ).then((fault) => expect(fault).toBeUndefined())
    expect(await deliveries(db)).toHaveLength(1)

    await lock.query('commit')
    await untilSettled(db, 1 + unrecorded.length)
    expect(logs.all('relay.interrupted')).toEqual([])
    await eventually(async () => expect(await confirmedLsn(db)).toBeGreaterThan(before))
  })

  test('endpoints that hang do not hold the confirmed LSN back', async ({ db, receiver, sidecar }) => {
    const { logs } = await sidecar({ WALHOOK_SHUTDOWN_GRACE: '0ms' })
    await logs.waitFor('relay.streaming')
    receiver.on('/hangs', () => hang())
    await subscribe(db, receiver.url('/hangs'), { timeout: '30s' })
    for (let n = 0; n < 50; n++) await publish(db)
    await receiver.waitFor(8)
    const end = await currentLsn(db)
    await publish(db)

    await eventually(async () => expect(await confirmedLsn(db)).toBeGreaterThan(end))
    const rows = await deliveries(db)
    expect(rows).toHaveLength(51)
    expect(new Set(rows.map(({ state }) => state))).toEqual(new Set(['pending']))
  })
})
