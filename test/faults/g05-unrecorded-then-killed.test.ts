/** G5 across the death of the process: what could not be recorded was not confirmed, and comes again. */
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import {
  confirmedLsn,
  currentLsn,
  deliveries,
  publish,
  subscribe,
  untilSettled,
} from '../support/sql-surface.ts'

eachPlugin(() => {
  test('killed while recording was blocked: every event that had been read arrives afterwards', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    await db.query(`alter database "${db.slot}" set wal_sender_timeout = '900ms'`)
    const first = await sidecarProcess()
    await first.waitForLog('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    const lock = await db.application()
    await lock.query('begin')
    await lock.query('lock table walhook.deliveries in share mode')
    const before = await currentLsn(db)
    const ids: string[] = []
    for (let n = 0; n < 100; n++) ids.push(await publish(db))
    // All of it has been sent to the sidecar, and it has spoken since.
    const end = await currentLsn(db)
    await eventually(async () => {
      const [sender] = await db.query<{ all_sent: boolean; spoke: boolean }>(
        `select r.sent_lsn >= $2::pg_lsn as all_sent, r.reply_time > now() - interval '500 ms' as spoke
         from pg_stat_replication as r join pg_replication_slots as s on s.active_pid = r.pid where s.slot_name = $1`,
        [db.slot, `${(end >> 32n).toString(16)}/${(end & 0xffffffffn).toString(16)}`],
      )
      expect(sender).toEqual({ all_sent: true, spoke: true })
    })
    await first.kill('SIGKILL')
    await lock.query('rollback')
    expect(await confirmedLsn(db)).toBeLessThanOrEqual(before)
    expect(await deliveries(db)).toEqual([])

    await sidecarProcess()
    const rows = await untilSettled(db, ids.length)
    expect(rows.map(({ event_id }) => event_id)).toEqual(ids)
    expect(receiver.requests()).toHaveLength(ids.length)
  })
})
