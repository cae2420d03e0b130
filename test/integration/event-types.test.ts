/**
 * The catalog of event types decides what is sent, if it is asked to: what it does not prove is kept from everybody, is to be
 * seen, and can be released. It never stops the stream, and nothing gets past it by another way.
 */
import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { CANARY } from '../support/leak-watch.ts'
import {
  confirmedLsn,
  currentLsn,
  deliveries,
  dropSlot,
  lapseLeases,
  publish,
  subscribe,
  terminateSidecarConnections,
  untilNothingOlderRuns,
  untilRecorded,
  untilSettled,
} from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

const STRICT = { WALHOOK_EVENT_TYPES: 'strict' }
const WARN = { WALHOOK_EVENT_TYPES: 'warn' }
const ORDER = {
  type: 'object',
  required: ['amount'],
  properties: { amount: { type: 'number', minimum: 0 }, customer: { type: 'string' } },
}
const FITS = '{"amount": 12.50, "customer": "Ada"}'
/** No sidecar may print what stands there. */
const MISFIT = `{"amount": "${CANARY}"}`

interface DeadEvent {
  readonly event_id: string
  readonly type: string
  readonly reason: string
}

function deadEvents(db: TestDatabase): Promise<DeadEvent[]> {
  return db.query<DeadEvent>(
    'select event_id, type, reason from walhook.dead_events order by created_at, event_id',
  )
}

async function register(db: TestDatabase, name: string, schema?: unknown): Promise<void> {
  await db.query(
    `insert into walhook.event_types (name, schema) values ($1, $2)
     on conflict (name) do update set schema = excluded.schema`,
    [name, schema === undefined ? null : JSON.stringify(schema)],
  )
}

/** Everything that is committed now has been recorded, and every delivery of it has ended. */
async function untilNothingWaits(db: TestDatabase): Promise<void> {
  await untilRecorded(db)
  await eventually(async () => {
    expect((await deliveries(db)).filter(({ state }) => state === 'pending')).toEqual([])
  })
}

eachPlugin(() => {
  test('strict: what is not proven is dead with its reason, and what comes behind it is delivered', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await register(db, 'order.created', ORDER)
    await register(db, 'order.cancelled')
    await register(db, 'test.everything_before_this_is_recorded')
    const { logs } = await sidecar(STRICT)
    await subscribe(db, receiver.url('/hook'), { eventTypes: ['order.*'] })

    const application = await db.application()
    await application.query('begin')
    const dead = [
      await publish(application, { type: 'order.misspelt', payload: FITS }),
      await publish(application, { payload: MISFIT }),
      await publish(application, { payload: '{}' }),
      // Nobody subscribes to it: it is to be seen all the same.
      await publish(application, { type: 'invoice.issued', payload: FITS }),
    ]
    const passed = [
      await publish(application, { payload: FITS }),
      await publish(application, { type: 'order.cancelled', payload: '"anything"' }),
    ]
    await application.query('commit')
    passed.push(await publish(db, { payload: FITS }))

    const end = await currentLsn(db)
    await untilNothingWaits(db)
    expect(receiver.requests().map(({ id }) => id)).toEqual(passed)
    expect(new Map((await deadEvents(db)).map(({ event_id, reason }) => [event_id, reason]))).toEqual(
      new Map([
        [dead[0], 'unknown event type'],
        [dead[1], 'payload does not fit its schema: /amount must be number'],
        [dead[2], "payload does not fit its schema: must have required property 'amount'"],
        [dead[3], 'unknown event type'],
      ]),
    )
    expect(await deliveries(db)).toHaveLength(passed.length)
    await expect.poll(async () => (await confirmedLsn(db)) > end, { timeout: 10_000 }).toBe(true)
    expect(logs.all('relay.interrupted')).toEqual([])
    expect(logs.all('event.dead').map(({ event_id, level }) => [event_id, level])).toEqual(
      dead.map((id) => [id, 'error']),
    )
  })

  test('a dead event that is released is delivered once, to those who were there when it was committed', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const first = await sidecar(STRICT)
    await subscribe(db, receiver.url('/before'))
    const id = await publish(db, { payload: FITS })
    await expect.poll(() => deadEvents(db)).toHaveLength(1)
    await subscribe(db, receiver.url('/after'))
    await register(db, 'order.created', ORDER)

    // Two operators have the same thought.
    const released = await Promise.allSettled([
      db.query('select walhook.release_event($1) as deliveries', [id]),
      db.query('select walhook.release_event($1) as deliveries', [id]),
    ])
    expect(released.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    await untilSettled(db, 1)
    expect(await deadEvents(db)).toEqual([])
    await first.stop()

    await sidecar(STRICT)
    const next = await publish(db, { payload: FITS })
    await untilSettled(db, 3)
    expect(receiver.requests('/before').map((request) => request.id)).toEqual([id, next])
    expect(receiver.requests('/after').map((request) => request.id)).toEqual([next])
  })

  test('a type is known as soon as it is committed, and a schema that changes is followed within a second or so', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar(STRICT)
    await logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    const types = Array.from({ length: 20 }, (_, i) => `order.kind_${i}`)
    for (const type of types) {
      await register(db, type, ORDER)
      await publish(db, { type, payload: FITS })
    }
    await untilSettled(db, types.length)

    await register(db, 'order.kind_0', false)
    await eventually(
      async () => {
        await publish(db, { type: 'order.kind_0', payload: FITS })
        expect(await deadEvents(db)).not.toEqual([])
      },
      { withinMs: 3_000, everyMs: 200 },
    )
    await db.query(`delete from walhook.dead_events`)
    await db.query(`delete from walhook.event_types where name = 'order.kind_1'`)
    await eventually(
      async () => {
        await publish(db, { type: 'order.kind_1', payload: FITS })
        expect((await deadEvents(db)).map(({ reason }) => reason)).toContain('unknown event type')
      },
      { withinMs: 3_000, everyMs: 200 },
    )
  })

  test('a dead event is recorded with the position: reading the log again neither doubles nor revives it', async ({
    db,
    receiver,
    sidecar,
    sidecarProcess,
  }) => {
    await register(db, 'order.created', ORDER)
    const first = await sidecarProcess(STRICT)
    await first.waitForLog('relay.streaming')
    await subscribe(db, receiver.url('/hook'))
    // Nothing is confirmed while the position cannot be written: what is read again is all of this.
    const lock = await db.application()
    await lock.query('begin')
    await lock.query('lock table walhook.relay in share row exclusive mode')
    const dead: readonly string[] = [randomUUID(), randomUUID()]
    for (const id of dead) await publish(db, { id, payload: MISFIT })
    const passed = await publish(db, { payload: FITS })
    await eventually(async () => {
      const waiting = await db.query(`select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and application_name = 'walhook'`)
      expect(waiting).not.toEqual([])
    })
    expect(await deadEvents(db)).toEqual([])
    await first.kill('SIGKILL')
    await terminateSidecarConnections(db)
    await lock.query('rollback')

    const second = await sidecarProcess(STRICT)
    await receiver.waitFor(1)
    await expect.poll(() => deadEvents(db)).toHaveLength(2)
    await second.kill('SIGKILL')
    await lapseLeases(db)
    await sidecar(STRICT)
    await untilNothingWaits(db)
    expect(new Set(receiver.requests().map(({ id }) => id))).toEqual(new Set([passed]))
    expect(
      (await deadEvents(db)).map(({ event_id }) => event_id).filter((id) => dead.includes(id)),
    ).toHaveLength(2)
    expect(await deliveries(db)).toHaveLength(1)
  })

  test('the search after a gap leaves dead events dead, and judges what it finds', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await register(db, 'order.created', ORDER)
    const first = await sidecar(STRICT)
    await subscribe(db, receiver.url('/hook'))
    const early = await publish(db, { payload: MISFIT })
    await expect.poll(() => deadEvents(db)).toHaveLength(1)
    await first.stop()
    // In the gap: of these the log says nothing any more.
    const late = await publish(db, { payload: MISFIT })
    const fits = await publish(db, { payload: FITS })
    await dropSlot(db)

    const second = await sidecar(STRICT)
    const { logs } = second
    expect(await logs.waitFor('outbox.rescanned')).toMatchObject({ events: 1, deliveries: 1 })
    await untilSettled(db, 1)
    expect(receiver.requests().map(({ id }) => id)).toEqual([fits])
    expect(new Set((await deadEvents(db)).map(({ event_id }) => event_id))).toEqual(new Set([early, late]))
    expect(logs.all('event.dead').map(({ event_id }) => event_id)).toEqual([late])

    // Nor does a search that judges nothing revive them.
    await second.stop()
    await dropSlot(db)
    const open = await sidecar()
    expect(await open.logs.waitFor('outbox.rescanned')).toMatchObject({ events: 0, deliveries: 0 })
    expect(await deadEvents(db)).toHaveLength(2)

    // What came by the search is owed to those whom the search would have asked.
    await untilNothingOlderRuns(db)
    await subscribe(db, receiver.url('/after'))
    expect(await db.query('select walhook.release_event($1) as made', [late])).toEqual([{ made: 1 }])
    await untilSettled(db, 2)
    expect(receiver.requests('/after')).toEqual([])
  })

  test('in another cluster a position means nothing: a released event goes to those who came along with it', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const first = await sidecar(STRICT)
    await subscribe(db, receiver.url('/before'))
    const id = await publish(db, { payload: FITS })
    await expect.poll(() => deadEvents(db)).toHaveLength(1)
    await first.stop()
    // What a dump brings along: the tables, and no slot.
    await dropSlot(db)
    await db.query(`update walhook.relay set system_identifier = '1', lsn = 'FFFFFF/0'`)
    await db.query(`update walhook.subscriptions set active_from_lsn = 'FFFFFF/0'`)
    await db.query(`update walhook.dead_events set lsn = 'FFFFFF/0'`)

    const { logs } = await sidecar(STRICT)
    await logs.waitFor('slot.gap_found', ({ reason }) => reason === 'another_cluster')
    await logs.waitFor('relay.streaming')
    await untilNothingOlderRuns(db)
    await subscribe(db, receiver.url('/after'))
    expect(await db.query('select walhook.release_event($1) as made', [id])).toEqual([{ made: 1 }])
    await untilSettled(db, 1)
    expect(receiver.requests().map((request) => request.path)).toEqual(['/before'])
  })

  test('a schema that is none: its type is told at the start and dead while it is so, and the others go on', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await register(db, 'order.created', { type: 'objekt' })
    await register(db, 'order.paid', { $ref: '#/$defs/nowhere' })
    await register(db, 'order.cancelled', ORDER)
    const { logs } = await sidecar(STRICT)
    await logs.waitFor('relay.streaming')
    const told = logs.all('event_type.schema_broken')
    expect(new Map(told.map(({ type, level }) => [type, level]))).toEqual(
      new Map([
        ['order.created', 'error'],
        ['order.paid', 'error'],
      ]),
    )
    await subscribe(db, receiver.url('/hook'))
    const held = await publish(db, { payload: FITS })
    const passed = await publish(db, { type: 'order.cancelled', payload: FITS })
    await untilSettled(db, 1)
    expect(await deadEvents(db)).toEqual([
      {
        event_id: held,
        type: 'order.created',
        reason: expect.stringMatching(/^the schema of its type is none: \/type must be/),
      },
    ])

    await register(db, 'order.created', ORDER)
    await db.query('select walhook.release_event($1)', [held])
    await untilSettled(db, 2)
    expect(receiver.requests().map(({ id }) => id)).toEqual([passed, held])
    expect(logs.all('event_type.schema_broken')).toHaveLength(2)
  })
})

test('warn: everything is delivered; each type and reason is told once, and every event counted', async ({
  db,
  receiver,
  sidecar,
}) => {
  await register(db, 'order.created', ORDER)
  await register(db, 'order.old')
  await register(db, 'order.broken', { type: 'objekt' })
  await db.query(`update walhook.event_types set deprecated = true where name = 'order.old'`)
  const { logs, url } = await sidecar(WARN)
  await subscribe(db, receiver.url('/hook'))
  const types = ['order.unknown', 'order.created', 'order.old', 'order.broken']
  for (let i = 0; i < 5; i++) for (const type of types) await publish(db, { type, payload: MISFIT })
  await untilSettled(db, 20)
  expect(receiver.requests()).toHaveLength(20)
  expect(await deadEvents(db)).toEqual([])
  expect(logs.all('event_type.unknown').map(({ type }) => type)).toEqual(['order.unknown'])
  expect(logs.all('event_type.payload_invalid')).toMatchObject([
    {
      type: 'order.created',
      reason: 'payload does not fit its schema: /amount must be number',
      schema_path: '#/properties/amount/type',
    },
  ])
  expect(logs.all('event_type.deprecated').map(({ type }) => type)).toEqual(['order.old'])
  expect(logs.all('event_type.schema_broken').map(({ type }) => type)).toEqual(['order.broken'])
  const metrics = await (await fetch(`${url}/metrics`)).text()
  for (const reason of ['unknown_type', 'payload_invalid', 'schema_broken'])
    expect(metrics).toContain(`walhook_event_type_misfits_total{reason="${reason}"} 5`)
})

test('open, which is the default: the catalog decides nothing and nothing is said', async ({
  db,
  receiver,
  sidecar,
}) => {
  await register(db, 'order.created', ORDER)
  await register(db, 'order.broken', { type: 'objekt' })
  const { logs } = await sidecar()
  await subscribe(db, receiver.url('/hook'))
  for (const type of ['order.created', 'order.broken', 'order.unknown'])
    await publish(db, { type, payload: MISFIT })
  await untilSettled(db, 3)
  expect(await deadEvents(db)).toEqual([])
  expect(logs.all().filter(({ msg }) => String(msg).startsWith('event'))).toEqual([])
})

test('retention keeps a dead event for as long as a delivery would be kept, and takes both together', async ({
  db,
  receiver,
  sidecar,
}) => {
  const first = await sidecar(STRICT)
  await subscribe(db, receiver.url('/hook'))
  const [old, older] = [await publish(db), await publish(db)]
  await expect.poll(() => deadEvents(db)).toHaveLength(2)
  await first.stop()
  await db.query(`update walhook.outbox set created_at = now() - interval '3 days' where id = $1`, [old])
  await db.query(
    `update walhook.dead_events set created_at = now() - interval '3 days' where event_id = $1`,
    [old],
  )
  await db.query(`update walhook.outbox set created_at = now() - interval '5 days' where id = $1`, [older])
  await db.query(
    `update walhook.dead_events set created_at = now() - interval '5 days' where event_id = $1`,
    [older],
  )
  await db.query('update walhook.relay set audited_to = pg_snapshot_xmax(pg_current_snapshot())')

  const second = await sidecar({ ...STRICT, WALHOOK_RETENTION: 'outbox=2d,deliveries=4d,attempts=2d' })
  expect(await second.logs.waitFor('retention.applied')).toMatchObject({ events: 1, deadEvents: 1 })
  expect(await db.query('select id from walhook.outbox')).toEqual([{ id: old }])
  expect(await deadEvents(db)).toMatchObject([{ event_id: old }])
  await db.query('delete from walhook.outbox')
  await expect(db.query('select walhook.release_event($1)', [old])).rejects.toThrow('does not have event')
})

test.for([
  ['name', `('not a type!', null)`, 'name has to be a dotted name'],
  ['schema', `('a.b', '"object"')`, 'schema has to be a JSON Schema: an object, or true or false'],
  [
    'schema',
    `('a.b', '{"$schema": "http://json-schema.org/draft-07/schema#"}')`,
    'has to be of draft 2020-12',
  ],
  ['schema', `('a.b', json_build_object('title', repeat('x', 65537)))`, 'schema has to be at most 64 KiB'],
] as const)(
  'what cannot be an event type is refused where it is written: %s %s',
  async ([column, values, message], { db }) => {
    await expect(
      db.query(`insert into walhook.event_types (name, schema) values ${values}`),
    ).rejects.toMatchObject({
      code: '22023',
      column,
      message: expect.stringContaining(message),
    })
  },
)
