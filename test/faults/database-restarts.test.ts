/**
 * Postgres itself stops, and starts again: while outcomes wait, or without a slot. Under load: experiments/postgres-stops. On a server of the test's
 * own, npm's, which has pgoutput only.
 */
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { test as base } from '../support/fixtures.ts'
import { OwnServer } from '../support/own-server.ts'
import { respond } from '../support/receiver.ts'
import { SidecarProcess } from '../support/sidecar-process.ts'

// eslint-disable-next-line no-empty-pattern
const test = base.extend('server', async ({}, { onCleanup }) => {
  const server = await OwnServer.start()
  onCleanup(() => server[Symbol.asyncDispose]())
  return server
})

function startSidecar(server: OwnServer): Promise<SidecarProcess> {
  return SidecarProcess.start({
    DATABASE_URL: server.url,
    WALHOOK_LISTEN: '127.0.0.1:0',
    WALHOOK_ALLOW_HTTP: 'true',
    WALHOOK_ALLOW_NETWORKS: '127.0.0.0/8',
  })
}

test('an answer that arrives while the server is down is recorded when it is back, and not asked for again', async ({
  server,
  receiver,
}) => {
  await using sidecar = await startSidecar(server)
  const answer = Promise.withResolvers<void>()
  receiver.on('/hook', [{ kind: 'hold', until: answer.promise, reply: respond(200) }, respond(200)])
  await server.query('select walhook.subscribe($1, timeout => $2)', [receiver.url('/hook'), '30s'])
  await server.query(`select walhook.publish('order.created', '{}')`)
  await receiver.waitFor(1)
  await server.stop('immediate')
  answer.resolve()
  await sidecar.logs.waitFor('settlement.failed', () => sidecar.logs.all('settlement.failed').length >= 2)
  await server.startAgain()
  await eventually(async () =>
    expect(await server.query('select state, attempts from walhook.deliveries')).toEqual([
      { state: 'delivered', attempts: 1 },
    ]),
  )
  expect(receiver.requests()).toHaveLength(1)
})

test('G1: a slot that Postgres gave up while nobody read is made anew, and nothing that was committed is missing', async ({
  server,
  receiver,
}) => {
  await server.query(`alter system set max_slot_wal_keep_size = '16MB'`)
  await server.query('select pg_reload_conf()')
  {
    await using first = await startSidecar(server)
    await server.query('select walhook.subscribe($1)', [receiver.url('/hook')])
    await first.kill('SIGTERM')
  }
  const ids: unknown[] = []
  await server.query('create table neighbour (text text)')
  for (let n = 0; n < 6; n++) {
    ids.push(...(await server.query(`select walhook.publish('order.created', '{}') as id`)))
    await server.query(
      'insert into neighbour select repeat(md5(i::text), 59) from generate_series(1, 5000) as i',
    )
    await server.query('select pg_switch_wal()')
  }
  await server.query('checkpoint')
  await eventually(async () => {
    const [slot] = await server.query('select state from walhook.slot_health')
    expect(slot).toEqual({ state: 'lost' })
  })

  await using second = await startSidecar(server)
  await second.logs.waitFor('slot.gap_found', ({ reason }) => reason === 'slot_lost')
  await second.logs.waitFor('outbox.rescanned', ({ events }) => events === ids.length)
  const requests = await receiver.waitFor(ids.length)
  expect(requests.map(({ id }) => ({ id })).toSorted(byId)).toEqual(ids.toSorted(byId))
  expect(await server.query('select state from walhook.slot_health')).toEqual([{ state: 'reserved' }])
  expect(await server.query('select count(*)::int as n from walhook.deliveries')).toEqual([{ n: ids.length }])
})

test('G10: log that piles up behind a stopped relay raises an alarm that names the cause and the time left', async ({
  server,
  receiver,
}) => {
  await server.query(`select walhook.subscribe($1, tenant => 'walhook')`, [receiver.url('/operator')])
  await server.query(`alter system set max_slot_wal_keep_size = '64MB'`)
  await server.query('select pg_reload_conf()')
  await using sidecar = await startSidecar(server)
  // A neighbour's transaction that stays open keeps the log, though the relay confirms what comes.
  const neighbour = await server.connect()
  await neighbour.query('create table neighbour (text text)')
  await neighbour.query('begin')
  await neighbour.query('insert into neighbour values (1)')
  // Each brings some 16 MB: four fifths of the limit are dangerous, and operators hear of it.
  for (let n = 0; n < 4; n++) {
    await server.query(
      'create table if not exists bulk (text text); insert into bulk select repeat(md5(i::text), 59) from generate_series(1, 5000) as i',
    )
    await server.query('select pg_switch_wal()')
  }
  const line = await sidecar.logs.waitFor('slot.at_risk', undefined, 40_000)
  expect(line).toMatchObject({
    risk: expect.stringMatching(/rising|high/),
    cause: expect.stringContaining('xact_start'),
  })
  const [told] = await receiver.waitFor(1, { path: '/operator', withinMs: 30_000 })
  expect(JSON.parse(String(told?.body))).toMatchObject({
    type: 'walhook.slot.at_risk',
    data: { slot: 'walhook', risk: 'high', cause: expect.stringContaining('xact_start') },
  })
  expect(line).toMatchObject({ retained_wal_bytes: expect.any(Number), safe_wal_bytes: expect.any(Number) })
  await neighbour.query('commit')
  await neighbour.end()
  await sidecar.logs.waitFor('slot.safe_again', undefined, 60_000)
  // Once, however often it was looked at meanwhile.
  expect(await server.query(`select key from walhook.outbox where type = 'walhook.slot.at_risk'`)).toEqual([
    { key: 'walhook' },
  ])
  await eventually(async () =>
    expect(await server.query('select at_risk_since from walhook.relay')).toEqual([{ at_risk_since: null }]),
  )
})

const byId = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
