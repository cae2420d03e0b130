/**
 * The traps of streaming from Postgres, each sprung: commit records that touch, a batch that fails, a slot that is
 * dropped, moved or streamed by another, a network that goes silent. Further ones are in the files of their promises.
 */
import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import type { Lsn } from '../../src/core/lsn.ts'
import { livenessTimings } from '../../src/replication/liveness.ts'
import { streamPlugin } from '../../src/replication/slot.ts'
import { ReplicationStream } from '../../src/replication/stream.ts'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import {
  confirmedLsn,
  currentLsn,
  deliveries,
  publish,
  publishTogether,
  subscribe,
  terminateSidecarConnections,
  untilSettled,
  replaceOutbox,
} from '../support/sql-surface.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { confirmFirstOfTouchingCommits } from '../support/touching-commits.ts'

const ADJACENT_PAIRS = 20

eachPlugin((plugin) => {
  test('of two commits whose records touch, the second comes again when only the first was confirmed', async ({
    db,
  }) => {
    expect(await confirmFirstOfTouchingCommits(db, plugin, ADJACENT_PAIRS)).toEqual({
      adjacent: ADJACENT_PAIRS,
      lost: 0,
    })
  })

  test('what was confirmed last is known to Postgres, however much it was sending when the stream was closed', async ({
    db,
  }) => {
    await db.query('create publication walhook for table walhook.outbox')
    await db.query('select pg_create_logical_replication_slot($1, $2)', [db.slot, plugin])
    await publish(db)
    await publishTogether(db, 2_000, { padding: 10_000 })
    const stream = await ReplicationStream.open({
      connectionString: db.url,
      slotName: db.slot,
      plugin: streamPlugin(plugin, 'walhook'),
      liveness: livenessTimings(60_000),
      onWake: () => undefined,
    })
    let first: Lsn | undefined
    for await (const items of stream) {
      first ??= items.find((item) => item.kind === 'piece')?.endLsn
      if (first !== undefined) break
    }
    // As a busy event loop would: the socket fills up, and is full when it is closed.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
    if (first !== undefined) stream.confirm(first)
    await stream[Symbol.asyncDispose]()
    await eventually(async () => expect(await confirmedLsn(db)).toBe(first))
  })

  test('a batch that fails is recorded before any later one is, and nothing behind it is confirmed until then', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar()
    await subscribe(db, receiver.url('/hook'))
    await publish(db)
    await untilSettled(db, 1)
    // Fails as a deadlock or a full disk does: nothing is wrong with the event.
    const troubled = randomUUID()
    await db.query(`
      create table public.trouble as select '${troubled}'::uuid as id;
      create function trouble() returns trigger language plpgsql as $$ begin
        -- Not by the outbox: an event can come over the log a moment before it can be read there.
        if exists (select from public.trouble where id = new.event_id)
        then raise exception 'trouble' using errcode = 'deadlock_detected'; end if;
        return new;
      end $$;
      create trigger trouble before insert on walhook.deliveries for each row execute function trouble()`)
    const before = await currentLsn(db)
    const ids = [await publish(db, { id: troubled })]
    for (let n = 0; n < 10; n++) ids.push(await publish(db))

    let confirmed = await confirmedLsn(db)
    await eventually(async () => {
      ids.push(await publish(db))
      confirmed = await confirmedLsn(db)
      expect(logs.all('relay.interrupted').length).toBeGreaterThanOrEqual(3)
    })
    expect(confirmed).toBeLessThanOrEqual(before)
    expect(await deliveries(db)).toHaveLength(1)

    await db.query('delete from public.trouble')
    const rows = await untilSettled(db, ids.length + 1)
    expect(rows.slice(1).map(({ event_id }) => event_id)).toEqual(ids)
    expect(receiver.requests()).toHaveLength(ids.length + 1)
  })

  test('one of two streams; when it stops, the other takes over, and each event is sent once', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const first = await sidecar()
    await first.logs.waitFor('relay.streaming')
    const second = await sidecar()
    await second.logs.waitFor('relay.standby')
    expect(await (await fetch(`${second.url}/readyz`)).json()).toMatchObject({
      status: 'ready',
      role: 'standby',
    })
    await subscribe(db, receiver.url('/hook'))
    for (let n = 0; n < 20; n++) await publish(db)
    await receiver.waitFor(20)
    expect(second.logs.all('relay.streaming')).toEqual([])

    await first.stop()
    for (let n = 0; n < 20; n++) await publish(db)
    await untilSettled(db, 40)
    expect(await (await fetch(`${second.url}/readyz`)).json()).toMatchObject({
      status: 'ready',
      role: 'streaming',
    })
    expect(receiver.requests()).toHaveLength(40)
    // Waiting is worth one line, not one a second.
    expect(second.logs.all('relay.standby')).toHaveLength(1)
    expect(second.logs.all('relay.interrupted')).toEqual([])
  })

  test('a network that goes silent is noticed, and what was committed meanwhile arrives when it heals', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await db.query(`alter database "${db.slot}" set wal_sender_timeout = '900ms'`)
    await using proxy = await TcpProxy.before(db.url)
    const { logs, url } = await sidecar({ WALHOOK_REPLICATION_URL: proxy.through(db.url) })
    await logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    proxy.blackhole()
    const id = await publish(db)
    const line = await logs.waitFor('relay.interrupted')
    expect(JSON.stringify(line)).toContain('has sent nothing')
    expect(await (await fetch(`${url}/readyz`)).json()).toMatchObject({
      status: 'not_ready',
      role: 'interrupted',
    })
    expect(receiver.requests()).toEqual([])

    proxy.heal()
    await receiver.waitFor(1, { withinMs: 20_000 })
    expect(receiver.requests().map((request) => request.id)).toEqual([id])
    await untilSettled(db, 1)
  })

  test('an outbox that was renamed away and replaced is streamed after the next connection, published as before', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar()
    await logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    await publish(db)
    await untilSettled(db, 1)
    await replaceOutbox(db)
    await terminateSidecarConnections(db)
    await logs.waitFor('relay.streaming', () => logs.all('relay.streaming').length > 1)
    const id = await publish(db)
    await receiver.waitFor(2)
    expect(receiver.requests().at(-1)?.id).toBe(id)
  })
})

test('a server that never answers the wish to stream is given up, and another connection tried', async ({
  db,
  receiver,
  sidecar,
}) => {
  await db.query(`alter database "${db.slot}" set wal_sender_timeout = '900ms'`)
  await using proxy = await TcpProxy.before(db.url)
  proxy.pauseAfter('START_REPLICATION')
  const { logs } = await sidecar({ WALHOOK_REPLICATION_URL: proxy.through(db.url) })
  await subscribe(db, receiver.url('/hook'))
  const line = await logs.waitFor('relay.interrupted')
  expect(JSON.stringify(line)).toContain('has sent nothing')
  proxy.heal()
  await logs.waitFor('relay.streaming')
  await publish(db)
  await untilSettled(db, 1)
})
