/** `ordering = 'key'`: of each key one delivery at a time, in commit order, whatever fails, dies or is sent again. */
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { type ReceivedRequest, type Receiver, respond } from '../support/receiver.ts'
import {
  deliveries,
  lapseLeases,
  publish,
  subscribe,
  type SubscriptionWish,
  untilSettled,
} from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

const ORDERED: SubscriptionWish = { ordering: 'key', retrySchedule: ['100ms', '100ms', '100ms', '100ms'] }

interface Events {
  /** The key's events, in commit order. */
  readonly of: ReadonlyMap<string, readonly string[]>
  readonly count: number
}

/** `each` events of `keys` keys, key after key in turn: in one statement, or one a transaction. */
async function publishKeys(
  db: TestDatabase,
  keys: number,
  each: number,
  how: 'together' | 'one by one',
): Promise<Events> {
  const of = new Map<string, string[]>()
  const sent: { id: string; key: string }[] = []
  for (let n = 0; n < keys * each; n++) {
    const event = { id: crypto.randomUUID(), key: `key ${n % keys}` }
    of.set(event.key, [...(of.get(event.key) ?? []), event.id])
    sent.push(event)
  }
  if (how === 'one by one') for (const event of sent) await publish(db, event)
  else
    await db.query(
      `insert into walhook.outbox (id, type, key, payload)
       select e.id, 'order.created', e.key, '{}' from unnest($1::uuid[], $2::text[]) with ordinality as e (id, key, n) order by e.n`,
      [sent.map(({ id }) => id), sent.map(({ key }) => key)],
    )
  return { of, count: sent.length }
}

/** The ids of these requests, without what a repetition adds. */
function idsOf(requests: readonly ReceivedRequest[]): string[] {
  return requests.map(({ id }) => id).filter((id, i, all) => id !== all[i - 1])
}

function expectInOrder(receiver: Receiver, path: string, events: Events): void {
  const requests = receiver.requests(path)
  for (const ids of events.of.values())
    expect(idsOf(requests.filter(({ id }) => ids.includes(id)))).toEqual(ids)
}

/** What the endpoint has under way of each key: more than one, and it is noted. */
function watchOverlaps(
  receiver: Receiver,
  path: string,
  events: () => Events,
  statusOf: () => number,
): string[] {
  const overlaps: string[] = []
  const answeredAt = new Map<string, number>()
  receiver.on(path, (request) => {
    for (const [key, ids] of events().of)
      if (ids.includes(request.id)) {
        if ((answeredAt.get(key) ?? 0) > performance.now()) overlaps.push(`${request.id} of ${key}`)
        answeredAt.set(key, performance.now() + 15)
      }
    return respond(statusOf(), { delayMs: 20 })
  })
  return overlaps
}

eachPlugin(() => {
  test('in commit order and one at a time, though every third request fails; other keys do not wait', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'), {
      ...ORDERED,
      retrySchedule: Array.from({ length: 50 }, () => '50ms'),
    })
    let events: Events = { of: new Map(), count: 0 }
    let n = 0
    const overlaps = watchOverlaps(
      receiver,
      '/hook',
      () => events,
      () => (++n % 3 === 0 ? 500 : 200),
    )
    events = await publishKeys(db, 5, 20, 'one by one')
    await untilSettled(db, events.count)
    expectInOrder(receiver, '/hook', events)
    expect(overlaps).toEqual([])
    expect(receiver.requests().length).toBeGreaterThan(events.count)
  })

  test('a head that has to be tried again holds its own key, and no other; events without a key hold nobody', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'), { ...ORDERED, retrySchedule: ['1h'] })
    const troubled = await publish(db, { key: 'a' })
    receiver.on('/hook', ({ id }) => respond(id === troubled ? 500 : 200))
    const behind = [await publish(db, { key: 'a' }), await publish(db, { key: 'a' })]
    const others = [await publish(db, { key: 'b' }), await publish(db), await publish(db)]
    await receiver.waitFor(4)
    await eventually(async () => {
      const rows = await deliveries(db)
      expect(rows.map(({ waits_as }) => waits_as)).toEqual([
        'retry scheduled',
        ...behind.map(() => 'behind its key'),
        ...others.map(() => null),
      ])
    })
    expect(new Set(receiver.requests().map(({ id }) => id))).toEqual(new Set([troubled, ...others]))

    receiver.on('/hook', [respond(200)])
    await db.query('select walhook.resend(id) from walhook.deliveries where event_id = $1', [troubled])
    await untilSettled(db, 6)
    expect(idsOf(receiver.requests().slice(4))).toEqual([troubled, ...behind])
  })

  test('many events of few keys in one transaction, more than an endpoint may have in memory', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'), ORDERED)
    const few = await publishKeys(db, 40, 50, 'together')
    await untilSettled(db, few.count, { withinMs: 40_000 })
    expectInOrder(receiver, '/hook', few)
    expect(receiver.requests()).toHaveLength(few.count)
  })

  test('a dead head blocks its key, which a view shows, until somebody lets the others pass', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const { id: subscription } = await subscribe(db, receiver.url('/hook'), { ...ORDERED, retrySchedule: [] })
    const dead = await publish(db, { key: "order 1's" })
    receiver.on('/hook', ({ id }) => respond(id === dead ? 503 : 200))
    const behind = [await publish(db, { key: "order 1's" }), await publish(db, { key: "order 1's" })]
    const other = await publish(db, { key: 'order 2' })
    await eventually(async () => {
      expect(
        await db.query('select url, key, waiting::int, last_status, last_error from walhook.blocked_keys'),
      ).toEqual([
        { url: receiver.url('/hook'), key: "order 1's", waiting: 2, last_status: 503, last_error: null },
      ])
      expect(await db.query('select behind_their_key::int as behind from walhook.backlog')).toEqual([
        { behind: 2 },
      ])
    })
    await receiver.waitFor((all) => all.some(({ id }) => id === other))
    expect(receiver.requests()).toHaveLength(2)

    await expect(db.query(`select walhook.release_key($1, 'order 2')`, [subscription])).rejects.toThrow(
      `no dead delivery blocks key 'order 2' of subscription ${subscription}`,
    )
    await db.query(`select walhook.release_key($1, 'order 1''s')`, [subscription])
    await receiver.waitFor(4)
    expect(idsOf(receiver.requests().slice(2))).toEqual(behind)
    const rows = await untilSettled(db, 4)
    expect(rows.map(({ state }) => state)).toEqual(['dead', 'delivered', 'delivered', 'delivered'])
    expect(await db.query('select from walhook.blocked_keys')).toEqual([])
  })

  test('a dead head that is sent again comes first, and blocks again if it dies again', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'), { ...ORDERED, retrySchedule: [] })
    const dead = await publish(db, { key: 'a' })
    receiver.on('/hook', ({ id, number }) => respond(id === dead && number < 3 ? 500 : 200))
    const behind = [await publish(db, { key: 'a' }), await publish(db, { key: 'a' })]
    const blocked = (): Promise<unknown[]> =>
      db.query('select delivery_id from walhook.blocked_keys where waiting = 2')
    const resend = (): Promise<unknown> =>
      db.query('select walhook.resend(id) from walhook.deliveries where event_id = $1', [dead])
    await eventually(async () => expect(await blocked()).toHaveLength(1))
    await resend()
    await receiver.waitFor(2)
    await eventually(async () => expect(await blocked()).toHaveLength(1))
    await resend()
    await untilSettled(db, 3)
    expect(receiver.requests().map(({ id }) => id)).toEqual([dead, dead, dead, ...behind])
  })

  test("with on_dead = 'skip' the next one goes on without the dead one", async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'), { ...ORDERED, retrySchedule: ['100ms'], onDead: 'skip' })
    const dead = await publish(db, { key: 'a' })
    receiver.on('/hook', ({ id }) => respond(id === dead ? 500 : 200))
    const behind = [await publish(db, { key: 'a' }), await publish(db, { key: 'a' })]
    const rows = await untilSettled(db, 3)
    expect(receiver.requests().map(({ id }) => id)).toEqual([dead, dead, ...behind])
    expect(rows.map(({ state }) => state)).toEqual(['dead', 'delivered', 'delivered'])
  })

  test('nothing follows what was accepted until that is recorded', async ({ db, receiver, sidecar }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'), ORDERED)
    const lock = await db.application()
    await lock.query('begin')
    await lock.query('lock table walhook.attempts in share mode')
    const first = await publish(db, { key: 'a' })
    const second = await publish(db, { key: 'a' })
    await receiver.waitFor(1)
    // It cannot be recorded; its lease lapses, and others are claimed all the same.
    await lapseLeases(db)
    const other = await publish(db, { key: 'b' })
    await receiver.waitFor(2)
    await eventually(async () =>
      expect((await deliveries(db)).map(({ waits_as }) => waits_as)).toEqual([
        'waiting',
        'behind its key',
        'in flight',
      ]),
    )
    expect(receiver.requests().map(({ id }) => id)).toEqual([first, other])
    await lock.query('commit')
    await untilSettled(db, 3)
    expect(receiver.requests().map(({ id }) => id)).toEqual([first, other, second])
  })

  test('after a crash the older is repeated first, and then the younger comes', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    const answered = Promise.withResolvers<void>()
    const first = crypto.randomUUID()
    receiver.on('/hook', ({ number }) =>
      number === 1 ? { kind: 'hold', until: answered.promise, reply: respond(200) } : respond(200),
    )
    await using dying = await sidecarProcess()
    await subscribe(db, receiver.url('/hook'), ORDERED)
    await publish(db, { key: 'a', id: first })
    const rest = [await publish(db, { key: 'a' }), await publish(db, { key: 'a' })]
    await receiver.waitFor(1)
    await eventually(async () => expect(await deliveries(db)).toHaveLength(3))
    await dying.kill('SIGKILL')
    answered.resolve()
    await lapseLeases(db)
    await using _next = await sidecarProcess()
    await untilSettled(db, 3)
    expect(receiver.requests().map(({ id }) => id)).toEqual([first, first, ...rest])
  })

  test('an older one that is sent again waits until the younger one under way has ended, and then goes first', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'), ORDERED)
    const first = await publish(db, { key: 'a' })
    await untilSettled(db, 1)
    const held = Promise.withResolvers<void>()
    const second = crypto.randomUUID()
    receiver.on('/hook', ({ id }) =>
      id === second ? { kind: 'hold', until: held.promise, reply: respond(200) } : respond(200),
    )
    await publish(db, { key: 'a', id: second })
    await receiver.waitFor(2)
    const third = await publish(db, { key: 'a' })
    await db.query('select walhook.resend(id) from walhook.deliveries where event_id = $1', [first])
    // It was looked at, and found to have to wait.
    await eventually(async () =>
      expect((await deliveries(db)).map(({ waits_as }) => waits_as)).toEqual([
        'behind its key',
        'in flight',
        'behind its key',
      ]),
    )
    expect(receiver.requests()).toHaveLength(2)
    held.resolve()
    await untilSettled(db, 3)
    expect(receiver.requests().map(({ id }) => id)).toEqual([first, second, first, third])
  })

  test('two replicas share the keys, and keep the order of each', async ({ db, receiver, sidecar }) => {
    await sidecar()
    await sidecar()
    await subscribe(db, receiver.url('/hook'), {
      ...ORDERED,
      retrySchedule: Array.from({ length: 50 }, () => '50ms'),
    })
    let events: Events = { of: new Map(), count: 0 }
    let n = 0
    const overlaps = watchOverlaps(
      receiver,
      '/hook',
      () => events,
      () => (++n % 5 === 0 ? 503 : 200),
    )
    events = await publishKeys(db, 10, 15, 'one by one')
    await untilSettled(db, events.count, { withinMs: 40_000 })
    expectInOrder(receiver, '/hook', events)
    expect(overlaps).toEqual([])
  })
})

test('a late 2xx of one that another process has in hand lets nobody pass until that lease has ended', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  await subscribe(db, receiver.url('/hook'), ORDERED)
  const held = Promise.withResolvers<void>()
  receiver.on('/hook', [{ kind: 'hold', until: held.promise, reply: respond(200) }, respond(200)])
  const first = await publish(db, { key: 'a' })
  const second = await publish(db, { key: 'a' })
  await receiver.waitFor(1)
  // Another process has taken it over, for two seconds.
  const [{ until } = { until: '' }] = await db.query<{ until: string }>(
    `update walhook.deliveries set next_attempt_at = now() + interval '2 seconds' where event_id = $1
     returning next_attempt_at::text as until`,
    [first],
  )
  held.resolve()
  const [, followed] = await receiver.waitFor(2)
  expect(followed?.id).toBe(second)
  expect(followed?.arrivedAt).toBeGreaterThanOrEqual(new Date(until).getTime())
  const rows = await untilSettled(db, 2)
  expect(rows.map(({ state }) => state)).toEqual(['delivered', 'delivered'])
})

test("a change of on_dead to 'skip' releases what is blocked", async ({ db, receiver, sidecar }) => {
  await sidecar()
  await subscribe(db, receiver.url('/hook'), { ...ORDERED, retrySchedule: [] })
  const dead = await publish(db, { key: 'a' })
  receiver.on('/hook', ({ id }) => respond(id === dead ? 500 : 200))
  const second = await publish(db, { key: 'a' })
  await eventually(async () => expect(await db.query('select from walhook.blocked_keys')).toHaveLength(1))
  await db.query(`update walhook.subscriptions set on_dead = 'skip'`)
  await untilSettled(db, 2)
  expect(receiver.requests().map(({ id }) => id)).toEqual([dead, second])
})

test('a change of ordering holds for what waits already', async ({ db, receiver, sidecar }) => {
  await sidecar()
  await subscribe(db, receiver.url('/hook'), { ...ORDERED, retrySchedule: ['1h'] })
  const failing = await publish(db, { key: 'a' })
  receiver.on('/hook', ({ id }) => respond(id === failing ? 500 : 200))
  const second = await publish(db, { key: 'a' })
  const waitsAs = async (): Promise<unknown[]> => (await deliveries(db)).map(({ waits_as }) => waits_as)
  await eventually(async () => expect(await waitsAs()).toEqual(['retry scheduled', 'behind its key']))
  await db.query(`update walhook.subscriptions set ordering = 'none'`)
  await eventually(async () => expect(await waitsAs()).toEqual(['retry scheduled', null]))
  expect(receiver.requests().map(({ id }) => id)).toEqual([failing, second])

  // And back: the retry is first of its key again.
  await db.query(`update walhook.subscriptions set ordering = 'key'`)
  const third = await publish(db, { key: 'a' })
  await eventually(async () => expect(await waitsAs()).toEqual(['retry scheduled', null, 'behind its key']))
  expect(receiver.requests().map(({ id }) => id)).not.toContain(third)
})

test('what a deleted subscription was owed is cancelled, and its blocked keys are gone', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  receiver.on('/hook', [respond(500)])
  const { id: subscription } = await subscribe(db, receiver.url('/hook'), { ...ORDERED, retrySchedule: [] })
  for (let n = 0; n < 3; n++) await publish(db, { key: 'a' })
  await eventually(async () =>
    expect(await db.query('select from walhook.blocked_keys where waiting = 2')).toHaveLength(1),
  )
  await db.query('delete from walhook.subscriptions where id = $1', [subscription])
  const rows = await untilSettled(db, 3)
  expect(rows.map(({ state }) => state)).toEqual(['dead', 'cancelled', 'cancelled'])
  expect(await db.query('select from walhook.deliveries where holds_key_until is not null')).toEqual([])
})

test('a delivery that somebody deletes by hand lets its key go on', async ({ db, receiver, sidecar }) => {
  await sidecar()
  receiver.on('/hook', [respond(500), respond(200)])
  await subscribe(db, receiver.url('/hook'), { ...ORDERED, retrySchedule: ['1h'] })
  const first = await publish(db, { key: 'a' })
  const second = await publish(db, { key: 'a' })
  await eventually(async () =>
    expect((await deliveries(db)).map(({ waits_as }) => waits_as)).toEqual([
      'retry scheduled',
      'behind its key',
    ]),
  )
  await db.query('delete from walhook.deliveries where event_id = $1', [first])
  await untilSettled(db, 1)
  expect(receiver.requests().map(({ id }) => id)).toEqual([first, second])
})

test('what a claim sees that became due after its transaction began does not look held to it', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  await subscribe(db, receiver.url('/hook'), ORDERED)
  await db.query('select walhook.pause(id) from walhook.subscriptions')
  const claim = await db.application()
  await claim.query('begin')
  await publish(db, { key: 'a' })
  await eventually(async () => expect(await deliveries(db)).toMatchObject([{ waits_as: 'parked' }]))
  const { rows } = await claim.query('select is_held from walhook.key_fronts')
  expect(rows).toEqual([{ is_held: false }])
  await claim.query('rollback')
})
