/** Many deliveries again: which, how far it has come, and that neither a stop nor a kill loses one or counts one twice. */
import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { walhook, walhookJson } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { auditEverything, replay, replayStatus, untilReplayed } from '../support/replays.ts'
import {
  deliveries,
  lapseLeases,
  publish,
  publishTogether,
  subscribe,
  untilRecorded,
  untilSettled,
} from '../support/sql-surface.ts'

const sorted = (ids: readonly (string | undefined)[]): readonly string[] =>
  ids.map(String).sort((a, b) => (a < b ? -1 : 1))

test('a dry run counts what a replay would send, by each limit, and writes nothing', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  receiver.on('/a', (request) => respond(request.body.includes('bad') ? 400 : 200))
  receiver.on('/b', () => respond(400))
  const a = await subscribe(db, receiver.url('/a'), { retrySchedule: [] })
  const b = await subscribe(db, receiver.url('/b'), { retrySchedule: [] })
  const old = await publish(db, { type: 'order.created', payload: '"bad"', key: 'k1', tenant: 't1' })
  await publish(db, { type: 'order.item.added', payload: '"bad"', key: 'k2' })
  await publish(db, { type: 'invoice.issued', payload: '"good"', key: 'k1' })
  await untilSettled(db, 6)
  await db.query(`update walhook.outbox set created_at = now() - interval '2 days' where id = $1`, [old])

  const counted = async (wish: string): Promise<unknown[]> =>
    (await replay(db, `${wish}, dry_run => true`, wish.includes('$1') ? [a.id] : [])).map((row) => {
      expect(row.id).toBeNull()
      return [row.subscription_id === a.id ? 'a' : 'b', Number(row.total)]
    })
  const [first, second] = a.id < b.id ? (['a', 'b'] as const) : (['b', 'a'] as const)
  const both = (ofA: number, ofB: number): unknown[] =>
    [first, second].map((name) => [name, name === 'a' ? ofA : ofB])

  expect(await counted('subscription_id => $1')).toEqual([['a', 2]])
  expect(await counted('subscription_id => null')).toEqual(both(2, 3))
  expect(await counted(`event_types => '{order.*}'`)).toEqual(both(2, 2))
  expect(await counted(`event_types => '{invoice.issued}'`)).toEqual([['b', 1]])
  expect(await counted(`subscription_id => $1, states => '{delivered}'`)).toEqual([['a', 1]])
  expect(await counted(`subscription_id => $1, states => '{dead,delivered}'`)).toEqual([['a', 3]])
  expect(await counted(`key => 'k1'`)).toEqual(both(1, 2))
  expect(await counted(`tenant => 't1'`)).toEqual(both(1, 1))
  expect(await counted(`created_from => now() - interval '1 day'`)).toEqual(both(1, 2))
  expect(await counted(`created_to => now() - interval '1 day'`)).toEqual(both(1, 1))
  expect(await counted(`subscription_id => $1, key => 'nobody'`)).toEqual([['a', 0]])

  expect(await db.query('select from walhook.replays')).toEqual([])
  expect(receiver.requests()).toHaveLength(6)
})

eachPlugin(() => {
  test('the dead letters of an hour go out again, with the ids of their events and their whole schedule', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar()
    receiver.on('/hook', (request) => respond(request.body.includes('fine') ? 200 : 400))
    const subscription = await subscribe(db, receiver.url('/hook'), { retrySchedule: [] })
    receiver.verify('/hook', subscription.secret)
    const lost = [
      await publish(db, { payload: '"lost 1"' }),
      await publish(db, { payload: '"lost 2"', type: 'invoice.issued' }),
    ]
    await publish(db, { payload: '"fine"' })
    await untilSettled(db, 3)

    receiver.on('/hook', () => respond(200))
    const [asked] = await replay(
      db,
      `created_from => now() - interval '1 hour', created_to => now() + interval '1 hour'`,
    )
    expect(asked).toMatchObject({ kind: 'resend', subscription_id: subscription.id, total: '2' })
    expect(await untilReplayed(db, asked?.id)).toMatchObject({ replayed: '2', total: '2', percent: '100' })
    const rows = await untilSettled(db, 3)
    expect(rows.map(({ state, attempts }) => [state, attempts])).toEqual([
      ['delivered', 2],
      ['delivered', 2],
      ['delivered', 1],
    ])
    const again = receiver.requests('/hook').slice(3)
    expect(again.map(({ id }) => id)).toEqual(lost)
    expect(again.map(({ forged }) => forged)).toEqual([undefined, undefined])
    expect(await logs.waitFor('replay.done')).toMatchObject({ replayed: 2, total: 2 })
  })

  test('a new subscription is backfilled with the retained events that match it, each once, in order', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const running = await sidecar()
    const before = await publishTogether(db, 2_500, { type: 'order.created' })
    await publishTogether(db, 100, { type: 'invoice.issued' })
    const unmatched = await publish(db, { type: 'order.created', tenant: 'other', payload: '{"n": 1}' })
    await untilRecorded(db)
    const subscription = await subscribe(db, receiver.url('/new'), {
      eventTypes: ['order.*'],
      filter: '$.n > 500',
    })
    const after = await publish(db, { type: 'order.created', payload: '{"n": 501}' })
    await untilRecorded(db)
    await untilSettled(db, 1)
    await auditEverything(db)

    const wish = `subscription_id => $1, backfill => true`
    expect(await replay(db, `${wish}, dry_run => true`, [subscription.id])).toMatchObject([{ total: '2000' }])
    const [asked] = await replay(db, wish, [subscription.id])
    expect(await untilReplayed(db, asked?.id)).toMatchObject({ replayed: '2000', total: '2000' })
    await untilSettled(db, 2_001)
    const received = receiver.requests('/new').map(({ id }) => id)
    expect(sorted(received)).toEqual(sorted([after, ...before.slice(500)]))
    expect(received).not.toContain(unmatched)
    // One transaction, one moment: there the ids decide.
    const made = await deliveries(db, subscription)
    expect(made.slice(1).map(({ event_id }) => event_id)).toEqual(sorted(before.slice(500)))

    // Asked for again there is nothing left, and nothing is made.
    expect(await replay(db, wish, [subscription.id])).toMatchObject([{ id: null, total: '0' }])
    await running.stop()
  })

  test('a replay whose process is killed in the middle goes on in the next one: nothing is missing, and nothing counted twice', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    const first = await sidecarProcess()
    receiver.on('/hook', () => respond(400))
    const subscription = await subscribe(db, receiver.url('/hook'), { retrySchedule: [] })
    const ids = await publishTogether(db, 4_000)
    await untilSettled(db, 4_000, { withinMs: 40_000 })
    receiver.on('/hook', () => respond(200))
    const [asked] = await replay(db, 'subscription_id => $1', [subscription.id])
    await eventually(
      async () => {
        const { replayed } = await replayStatus(db, asked?.id)
        expect(Number(replayed)).toBeGreaterThan(0)
      },
      { everyMs: 2 },
    )
    await first.kill('SIGKILL')
    const cut = await replayStatus(db, asked?.id)
    expect(cut.state).toBe('running')
    expect(Number(cut.replayed)).toBeLessThan(4_000)

    const recorded = await db.query<{ event_id: string }>(
      `select event_id from walhook.deliveries where state = 'delivered'`,
    )
    // Nobody holds anything now; a minute later the next process would find that out by itself.
    await lapseLeases(db)

    await sidecarProcess()
    expect(await untilReplayed(db, asked?.id)).toMatchObject({ replayed: '4000', total: '4000' })
    const rows = await untilSettled(db, 4_000, { withinMs: 40_000 })
    expect(new Set(rows.map(({ state }) => state))).toEqual(new Set(['delivered']))
    // Each was recorded once more, whoever sent it.
    expect(new Set(rows.map(({ attempts }) => attempts))).toEqual(new Set([2]))
    const again = receiver.requests('/hook').slice(4_000)
    expect(new Set(again.map(({ id }) => id))).toEqual(new Set(ids))
    // Only what was sent and not recorded may have come twice: what was recorded before the kill came once.
    const times = Map.groupBy(again, ({ id }) => id)
    expect(recorded.filter(({ event_id: id }) => times.get(id)?.length !== 1)).toEqual([])
  })
})

test('a stopped replay makes nothing more due until it is continued, and two processes share one without doing it twice', async ({
  db,
  receiver,
  sidecar,
}) => {
  const first = await sidecar()
  receiver.on('/hook', () => respond(400))
  const subscription = await subscribe(db, receiver.url('/hook'), { retrySchedule: [] })
  await publishTogether(db, 3_000)
  await untilSettled(db, 3_000, { withinMs: 40_000 })
  await first.stop()
  receiver.on('/hook', () => respond(200))
  const [asked] = await replay(db, 'subscription_id => $1', [subscription.id])
  // As a sidecar does, a piece.
  await db.query('select walhook.advance_replay($1)', [asked?.id])
  await db.query('select walhook.stop_replay($1)', [asked?.id])
  expect(await replayStatus(db, asked?.id)).toMatchObject({ state: 'stopped', replayed: '1000' })

  await Promise.all([sidecar(), sidecar()])
  await eventually(async () => expect(receiver.requests('/hook')).toHaveLength(4_000))
  expect(await replayStatus(db, asked?.id)).toMatchObject({ state: 'stopped', replayed: '1000' })

  await db.query('select walhook.continue_replay($1)', [asked?.id])
  expect(await untilReplayed(db, asked?.id)).toMatchObject({ replayed: '3000', total: '3000' })
  const rows = await untilSettled(db, 3_000, { withinMs: 40_000 })
  expect(new Set(rows.map(({ state, attempts }) => `${state} ${attempts}`))).toEqual(new Set(['delivered 2']))
  expect(receiver.requests('/hook')).toHaveLength(6_000)
  await expect(db.query('select walhook.continue_replay($1)', [asked?.id])).rejects.toThrow(
    /is over \(done\)/,
  )
})

test('a replay waits while its subscription is paused, and while a thousand of its deliveries wait', async ({
  db,
  receiver,
  sidecar,
}) => {
  const first = await sidecar()
  receiver.on('/hook', () => respond(400))
  const subscription = await subscribe(db, receiver.url('/hook'), { retrySchedule: [] })
  await publishTogether(db, 2_500)
  await untilSettled(db, 2_500, { withinMs: 40_000 })
  await first.stop()
  const [asked] = await replay(db, 'subscription_id => $1', [subscription.id])
  // Nobody takes what is made due.
  for (let piece = 0; piece < 3; piece++) await db.query('select walhook.advance_replay($1)', [asked?.id])
  expect(await replayStatus(db, asked?.id)).toMatchObject({
    replayed: '1000',
    waits_for: 'deliveries that wait already',
  })
  await db.query('select walhook.pause($1)', [subscription.id])
  await sidecar()
  expect(await replayStatus(db, asked?.id)).toMatchObject({ waits_for: 'the subscription is paused' })
  receiver.on('/hook', () => respond(200))
  await db.query('select walhook.resume($1)', [subscription.id])
  await untilReplayed(db, asked?.id)
  await untilSettled(db, 2_500, { withinMs: 40_000 })
})

test('to another URL the same events come with their ids and the signature, and the record of the deliveries stays as it was', async ({
  db,
  receiver,
  sidecar,
}) => {
  const key = randomBytes(32).toString('base64')
  const { logs } = await sidecar({ WALHOOK_ENCRYPTION_KEY: key })
  const subscription = await subscribe(db, receiver.url('/hook'), { eventTypes: ['order.*'] })
  await eventually(async () => {
    const [row] = await db.query('select secret from walhook.subscriptions')
    expect(row).toMatchObject({ secret: expect.stringMatching(/^enc:/) })
  })
  await db.query(`update walhook.subscriptions set headers = '{"x-api-key": "of the endpoint"}', ttl = '1h'`)
  const ids = [await publish(db, { payload: '{"a":  1.0}' }), await publish(db)]
  const before = await untilSettled(db, 2)

  receiver.verify('/bin', subscription.secret)
  const [asked] = await replay(db, `subscription_id => $1, states => '{delivered}', to_url => $2`, [
    subscription.id,
    receiver.url('/bin'),
  ])
  expect(asked).toMatchObject({ kind: 'copy', subscription_id: subscription.id, total: '2' })
  await untilReplayed(db, asked?.id)
  const requests = await eventually(() => {
    expect(receiver.requests('/bin')).toHaveLength(2)
    return receiver.requests('/bin')
  })
  expect(requests.map(({ id }) => id)).toEqual(ids)
  expect(requests.map(({ forged }) => forged)).toEqual([undefined, undefined])
  const bodies = receiver.requests('/hook').map(({ body }) => body.toString())
  expect(requests.map(({ body }) => body.toString())).toEqual(bodies)
  expect(requests.map(({ headers }) => headers['x-api-key'])).toEqual([undefined, undefined])

  const copies = await untilSettled(db, 2, { subscription: { id: asked?.to_subscription_id ?? '' } })
  expect(copies.map(({ state, url }) => [state, url])).toEqual([
    ['delivered', receiver.url('/bin')],
    ['delivered', receiver.url('/bin')],
  ])
  expect(await deliveries(db, subscription)).toEqual(before)

  // What is published from now on is the first one's alone; a rotated secret signs for both.
  await publish(db)
  await untilRecorded(db)
  await untilSettled(db, 5)
  expect(receiver.requests('/bin')).toHaveLength(2)
  const [rotated] = await db.query<{ secret: string }>(
    `select walhook.rotate_secret($1, overlap => '0') as secret`,
    [subscription.id],
  )
  receiver.verify('/bin', rotated?.secret ?? '')
  await eventually(
    async () => {
      await db.query(`select walhook.resend($1)`, [copies[0]?.id])
      const last = receiver.requests('/bin').at(-1)
      expect(receiver.requests('/bin').length).toBeGreaterThan(2)
      expect(last?.forged).toBeUndefined()
    },
    { everyMs: 300 },
  )
  expect(logs.all().filter(({ msg }) => msg === 'secret.unreadable')).toEqual([])

  // Without the one that it stands for it has no secret, and goes with it.
  await untilSettled(db, 5)
  await db.query('delete from walhook.subscriptions where id = $1', [subscription.id])
  expect(await db.query('select from walhook.subscriptions')).toEqual([])
})

test('a backfill passes no event of which it is not settled yet who gets it', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  const early = await publish(db)
  await untilRecorded(db)
  await auditEverything(db)
  const late = await publish(db)
  await untilRecorded(db)
  const subscription = await subscribe(db, receiver.url('/new'), { eventTypes: ['order.*'] })
  const [asked] = await replay(db, 'subscription_id => $1, backfill => true', [subscription.id])
  expect(asked?.total).toBe('2')
  await eventually(() => expect(receiver.requests('/new').map(({ id }) => id)).toEqual([early]))
  await eventually(async () =>
    expect(await replayStatus(db, asked?.id)).toMatchObject({
      state: 'running',
      replayed: '1',
      waits_for: 'the audit of the newest events',
    }),
  )
  await auditEverything(db)
  await untilReplayed(db, asked?.id)
  await untilSettled(db, 2)
  expect(receiver.requests('/new').map(({ id }) => id)).toEqual([early, late])
})

test('what cannot be replayed is refused, naming the field', async ({ db }) => {
  const { id } = await subscribe(db, 'https://example.com/')
  const refused = [
    ['', /subscription_id or another limit/],
    [`states => '{pending}'`, /states has to be/],
    [`states => '{}'`, /states has to be/],
    [`states => '{delivered}', key => 'k'`, /subscription_id has to be one/],
    [`event_types => '{order.}'`, /event_types has to be/],
    [`created_from => now(), created_to => now()`, /created_from has to be before/],
    [`to_url => 'https://example.com/'`, /subscription_id has to say whose/],
    [`subscription_id => '${id}', to_url => 'ftp://x'`, /to_url has to be/],
    [`backfill => true`, /subscription_id has to say who/],
    [`subscription_id => '${id}', backfill => true, to_url => 'https://x'`, /to_url cannot be filled/],
    [`subscription_id => '${id}', backfill => true, states => '{dead}'`, /states are of deliveries/],
    [`subscription_id => gen_random_uuid()`, /there is no subscription/],
  ] as const
  for (const [wish, reason] of refused) await expect(replay(db, wish), wish).rejects.toThrow(reason)
  await expect(db.query('select walhook.stop_replay(1)')).rejects.toThrow('there is no replay 1')
  await expect(db.query('select walhook.continue_replay(1)')).rejects.toThrow('there is no replay 1')
})

test('a deleted subscription ends its replay', async ({ db, receiver }) => {
  const { id } = await subscribe(db, receiver.url('/hook'))
  const event = await publish(db)
  await db.query(
    `insert into walhook.deliveries (event_id, subscription_id, state, finished_at) values ($1, $2, 'dead', now())`,
    [event, id],
  )
  const [asked] = await replay(db, 'subscription_id => $1', [id])
  await db.query('delete from walhook.subscriptions')
  expect(await replayStatus(db, asked?.id)).toMatchObject({ state: 'failed', reason: 'subscription_deleted' })
})

test('on the command line: count, send, watch, look, stop and continue', async ({
  db,
  receiver,
  sidecar,
}) => {
  const env = { DATABASE_URL: db.url }
  const running = await sidecar()
  receiver.on('/hook', () => respond(400))
  const { id } = await subscribe(db, receiver.url('/hook'), { retrySchedule: [] })
  await publishTogether(db, 3)
  await untilSettled(db, 3)
  receiver.on('/hook', () => respond(200))

  const dry = await walhook(['replay', '--subscription', id, '--dry-run'], env)
  expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining('3 deliveries of subscription') })
  const waited = await walhook(['replay', '--from', '2020-01-01', '--event-types', 'order.*', '--wait'], env)
  expect(waited.stderr).toBe('')
  expect(waited).toMatchObject({ code: 0, stdout: expect.stringContaining('replay 1: done, 3 of 3 (100 %)') })
  await untilSettled(db, 3)
  expect(receiver.requests('/hook')).toHaveLength(6)
  await running.stop()

  const { replays } = (await walhookJson(['replay', '--subscription', id, '--states', 'delivered'], env)) as {
    replays: unknown[]
  }
  expect(replays).toEqual([
    { id: '2', kind: 'resend', subscription_id: id, to_subscription_id: id, total: 3 },
  ])
  expect(await walhookJson(['replay', 'stop', '2'], env)).toMatchObject({
    replay: { id: '2', state: 'stopped' },
  })
  expect(await walhookJson(['replay', 'continue', '2'], env)).toMatchObject({ replay: { state: 'running' } })
  expect((await walhook(['replay', 'show', '2'], env)).stdout).toMatch(/^state +\| running$/m)
  expect(await walhookJson(['replay', 'list'], env)).toMatchObject({ replays: [{ id: '2' }, { id: '1' }] })
  expect((await walhook(['replay', 'list', '--limit', '1'], env)).stdout).toContain('(1 row)')

  const none = await walhook(['replay', 'show', '17'], env)
  expect(none).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('there is no replay 17 (not_found)'),
  })
  const empty = await walhook(['replay'], env)
  expect(empty).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/subscription_id .*\(invalid_input\)/),
  })
  const when = await walhook(['replay', '--from', 'the day before'], env)
  expect(when).toMatchObject({ code: 2, stderr: expect.stringContaining('(invalid_input)') })
})
