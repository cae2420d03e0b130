/**
 * G10: an idle outbox in a busy database retains no write-ahead log. The position is written at most each 16 MB or
 * 30 s, since writing it is itself log: so at most that much is unconfirmed.
 */
import { expect, inject } from 'vitest'
import { parseLsn } from '../../src/core/lsn.ts'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import {
  confirmedLsn,
  currentLsn,
  publish,
  publishTogether,
  subscribe,
  untilSettled,
} from '../support/sql-surface.ts'
import { administer, type TestDatabase } from '../support/test-database.ts'

const MIB = 1024n * 1024n
/** The rule's 16 MiB, and what commits while the last step is on its way. */
const MAY_BE_UNCONFIRMED = 20n * MIB

async function streamingConnection(db: TestDatabase): Promise<unknown> {
  return db.query(
    `select r.pid, r.backend_start::text from pg_stat_replication as r
     join pg_replication_slots as s on s.active_pid = r.pid where s.slot_name = $1`,
    [db.slot],
  )
}

/** About 48 MiB of log, in transactions of 2 MiB. Rows just short of those that Postgres compresses. */
async function writeLog(query: (sql: string) => Promise<unknown>): Promise<void> {
  await query('create table if not exists neighbour (text text)')
  for (let n = 0; n < 24; n++)
    await query(`insert into neighbour select repeat(md5(i::text), 59) from generate_series(1, 1100) as i`)
}

eachPlugin(() => {
  test('the slot follows what others write in the same database', async ({ db, receiver, sidecar }) => {
    await db.query(`alter database "${db.slot}" set wal_sender_timeout = '1500ms'`)
    const { logs } = await sidecar()
    await logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    await publish(db)
    await untilSettled(db, 1)
    const connection = await streamingConnection(db)

    const start = await currentLsn(db)
    await writeLog((sql) => db.query(sql))
    const end = await currentLsn(db)
    expect(end - start).toBeGreaterThan(40n * MIB)
    await eventually(async () => expect(end - (await confirmedLsn(db))).toBeLessThan(MAY_BE_UNCONFIRMED))
    expect(await streamingConnection(db)).toEqual(connection)

    await publish(db)
    await untilSettled(db, 2)
  })

  test('small transactions of others, that have no event, cost no write of ours', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await db.query(`alter database "${db.slot}" set wal_sender_timeout = '900ms'`)
    await db.query('create table neighbour (n int)')
    const { logs } = await sidecar()
    await logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    await publish(db)
    await untilSettled(db, 1)
    const version = (): Promise<unknown> => db.query('select xmin::text, lsn::text from walhook.relay')
    const before = await version()
    for (let n = 0; n < 100; n++) await db.query('insert into neighbour values (1)')
    // The sidecar has been sent all of it, and has spoken three times since.
    const end = await currentLsn(db)
    const spoke = new Set<string>()
    await eventually(async () => {
      const [sender] = await db.query<{ lsn: string; reply_time: string }>(
        `select r.sent_lsn::text as lsn, r.reply_time::text from pg_stat_replication as r
         join pg_replication_slots as s on s.active_pid = r.pid where s.slot_name = $1`,
        [db.slot],
      )
      if (parseLsn(sender?.lsn ?? '') >= end) spoke.add(sender?.reply_time ?? '')
      expect(spoke.size).toBeGreaterThanOrEqual(4)
    })
    expect(await version()).toEqual(before)
  })

  test('the slot follows what others write in another database of the server', async ({ db, sidecar }) => {
    await db.query(`alter database "${db.slot}" set wal_sender_timeout = '900ms'`)
    const { logs } = await sidecar()
    await logs.waitFor('relay.streaming')
    const { url } = inject('postgres')
    const neighbour = `${db.slot}_n`.slice(-60)
    await administer(url, (admin) => admin.query(`create database "${neighbour}"`))
    try {
      const neighbourUrl = new URL(url)
      neighbourUrl.pathname = `/${neighbour}`
      const start = await currentLsn(db)
      await administer(neighbourUrl.href, (client) => writeLog((sql) => client.query(sql)))
      const end = await currentLsn(db)
      expect(end - start).toBeGreaterThan(40n * MIB)
      await eventually(async () => expect(end - (await confirmedLsn(db))).toBeLessThan(MAY_BE_UNCONFIRMED))
    } finally {
      await administer(url, (admin) => admin.query(`drop database "${neighbour}" with (force)`))
    }
  })

  test('the connection outlives wal_sender_timeout many times over, idle and while recording is blocked', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await db.query(`alter database "${db.slot}" set wal_sender_timeout = '600ms'`)
    const { logs } = await sidecar()
    await logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    const connection = await streamingConnection(db)
    const past = async (ms: number, work: () => Promise<unknown>): Promise<void> => {
      const [{ start } = { start: '' }] = await db.query<{ start: string }>(
        'select clock_timestamp()::text as start',
      )
      await eventually(async () => {
        await work()
        const [row] = await db.query<{ passed: boolean }>(
          `select clock_timestamp() > $1::timestamptz + $2::int * interval '1 millisecond' as passed`,
          [start, ms],
        )
        expect(row?.passed).toBe(true)
      })
    }
    await past(1_800, async () => expect(await streamingConnection(db)).toEqual(connection))

    const lock = await db.application()
    await lock.query('begin')
    await lock.query('lock table walhook.deliveries in share mode')
    // More than it keeps in memory: reading stops, and with it the server's questions go unheard.
    const published = await publishTogether(db, 500, { padding: 60_000 })
    await past(1_800, async () => expect(await streamingConnection(db)).toEqual(connection))
    await lock.query('commit')
    await untilSettled(db, published.length)
    expect(await streamingConnection(db)).toEqual(connection)
    expect(logs.all('relay.interrupted')).toEqual([])
  })
})
