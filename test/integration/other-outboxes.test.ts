/**
 * Outboxes of others, and no table at all: what is written there arrives as if it had been written to walhook.outbox. The
 * tables are those that their documentation shows, and where their library can be had, the library writes.
 */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import {
  DatabaseSetup,
  getDisabledLogger,
  getOutboxListenerSettings,
  initializeMessageStorage,
} from 'pg-transactional-outbox'
import { expect } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import {
  deliveries,
  dropSlot,
  publish,
  subscribe,
  untilRecorded,
  untilSettled,
} from '../support/sql-surface.ts'
import { copies, DEBEZIUM, INSERT_DEBEZIUM, malformed } from '../support/other-outboxes.ts'

/** The fenced blocks of a language, in order. */
function blocks(markdown: string, language: string): string[] {
  return [...markdown.matchAll(/^```(\w*)\n([^]*?)^```/gm)].flatMap(([, name, text = '']) =>
    name === language ? [text] : [],
  )
}

eachPlugin(() => {
  test("rows of Debezium's table arrive, though they are deleted in the transaction that inserts them", async ({
    db,
    receiver,
    sidecar,
  }) => {
    await db.query(DEBEZIUM)
    await sidecar({ WALHOOK_SOURCES: 'public.outbox=debezium' })
    const subscription = await subscribe(db, receiver.url('/hook'), { eventTypes: ['Order.OrderCreated'] })
    const application = await db.application()
    const [id, rolledBack, other] = [randomUUID(), randomUUID(), randomUUID()]
    const payload = '{"amount": 12345678901234567890.10, "name": "Ada"}'

    await application.query('begin')
    await application.query(INSERT_DEBEZIUM, [rolledBack, 'Order', '6', 'OrderCreated', payload])
    await application.query('rollback')
    await application.query('begin')
    await application.query(INSERT_DEBEZIUM, [id, 'Order', '7', 'OrderCreated', payload])
    await application.query(INSERT_DEBEZIUM, [other, 'Order', '7', 'OrderCancelled', payload])
    await application.query('delete from public.outbox')
    await application.query('commit')

    await untilSettled(db, 1)
    const [request, ...more] = receiver.requests()
    expect(more).toEqual([])
    expect(request?.id).toBe(id)
    expect(request?.body.toString()).toContain(`"type":"Order.OrderCreated"`)
    expect(request?.body.toString()).toContain('12345678901234567890.10')
    expect(await deliveries(db, subscription)).toMatchObject([
      { event_id: id, event_type: 'Order.OrderCreated' },
    ])
    // Whoever asked for nothing is no reason not to keep it: replayed later, it has to be there.
    expect((await copies(db)).map((copy) => copy['id'])).toEqual([id, other].sort())
    expect(await malformed(db)).toEqual([])
  })

  test('a copy is delivered once: not when it comes back over the log, and not to who subscribed in between', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await db.query(DEBEZIUM)
    const first = await sidecar({ WALHOOK_SOURCES: 'public.outbox=debezium' })
    await first.logs.waitFor('relay.streaming')
    await subscribe(db, receiver.url('/early'), { eventTypes: ['order.created'] })
    await first.stop()
    const [id, unwanted] = [randomUUID(), randomUUID()]
    const captured: readonly string[] = [id, unwanted]
    await db.query(INSERT_DEBEZIUM, [id, 'order', '1', 'created', '{}'])
    await db.query(INSERT_DEBEZIUM, [unwanted, 'order', '1', 'changed', '{}'])
    // After the event's commit, and before its copy's.
    await subscribe(db, receiver.url('/late'))
    const second = await sidecar({ WALHOOK_SOURCES: 'public.outbox=debezium' })
    await receiver.waitFor(1)
    // Twice: what stands behind the copy in the log has passed by then.
    await untilRecorded(db)
    await untilRecorded(db)
    // Nor by a search of the outbox, which goes by transactions: the copy's is younger than the late subscription.
    await second.stop()
    await dropSlot(db)
    const third = await sidecar({ WALHOOK_SOURCES: 'public.outbox=debezium' })
    await third.logs.waitFor('outbox.rescanned')
    const about = (await deliveries(db)).filter(({ event_id }) => captured.includes(event_id))
    expect(about.map(({ url }) => new URL(url).pathname)).toEqual(['/early'])
    expect(receiver.requests('/early').filter((request) => request.id === id)).toHaveLength(1)
    expect(receiver.requests('/late').filter((request) => captured.includes(request.id ?? ''))).toEqual([])
  })

  test("pg-transactional-outbox's own writer goes on as it is", async ({ db, receiver, sidecar }) => {
    const names = { outboxOrInbox: 'outbox', database: db.slot, schema: 'public', table: 'outbox' } as const
    await db.query(DatabaseSetup.dropAndCreateTable({ ...names, listenerRole: 'postgres' }))
    await sidecar({ WALHOOK_SOURCES: 'public.outbox=pg-transactional-outbox' })
    await subscribe(db, receiver.url('/hook'), { eventTypes: ['movie.movie_created'] })
    const store = initializeMessageStorage(
      {
        outboxOrInbox: 'outbox',
        settings: { ...getOutboxListenerSettings(), dbSchema: 'public', dbTable: 'outbox' },
      },
      getDisabledLogger(),
    )
    const id = randomUUID()
    const message = {
      id,
      aggregateType: 'movie',
      messageType: 'movie_created',
      aggregateId: '42',
      payload: { title: 'Metropolis' },
      metadata: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
      createdAt: '2026-11-22T15:30:09.125Z',
    }
    const application = await db.application()
    await application.query('begin')
    await store(message, application as never)
    await application.query('commit')
    // Its own listener marks the row; that is no event.
    await db.query(`update public.outbox set processed_at = now(), finished_attempts = 1`)

    await untilSettled(db, 1)
    expect(receiver.requests().map((request) => request.id)).toEqual([id])
    expect(JSON.parse(receiver.requests()[0]?.body.toString() ?? '')).toMatchObject({
      type: 'movie.movie_created',
      timestamp: '2026-11-22T15:30:09.125000Z',
      data: { title: 'Metropolis' },
    })
    expect(await copies(db)).toEqual([
      {
        id,
        type: 'movie.movie_created',
        key: '42',
        tenant: null,
        payload: '{"title": "Metropolis"}',
        headers: JSON.stringify(message.metadata).replace(':', ': '),
        created_at: '2026-11-22 15:30:09.125000',
        captured_from: 'public.outbox',
      },
    ])
  })

  test('a table of one’s own: bytes, a number for an id, names that have to be quoted, and rows that cannot be mapped', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await db.query(`
      create schema "My, Sch.ema *x";
      create type kind as enum ('order.created', 'order shipped');
      create table "My, Sch.ema *x"."Out\\box 'q'" (
        "No" bigint generated always as identity (start with 9007199254740993) primary key,
        kind kind, "Body" bytea, org int, about text, meta text, at timestamp default '2026-11-22 15:30:09.5'
      )`)
    const { logs } = await sidecar({
      WALHOOK_SOURCES: `"My, Sch.ema *x"."Out\\box 'q'"=id:"No",type:kind,payload:"Body",tenant:org,key:about,headers:meta,timestamp:at`,
    })
    await subscribe(db, receiver.url('/hook'), { tenant: '12' })
    const insert = (
      kind: string | null,
      body: Buffer | null,
      meta: string | null = null,
      about = '',
    ): Promise<unknown> =>
      db.query(
        `insert into "My, Sch.ema *x"."Out\\box 'q'" (kind, "Body", org, meta, about) values ($1, $2, 12, $3, $4)`,
        [kind, body, meta, about],
      )
    await insert('order.created', Buffer.from('{"größe": 1.10}'), '{"n": 1.0}')
    await insert('order.created', Buffer.from([0x22, 0xff, 0x22]))
    await insert('order.created', Buffer.from('{"a"'))
    await insert('order.created', null)
    await insert('order shipped', Buffer.from('{}'))
    await insert(null, Buffer.from('{}'))
    await insert('order.created', Buffer.from('{}'), '[]')
    await insert('order.created', Buffer.from('{}'), null, 'x'.repeat(1_001))
    await insert('order.created', Buffer.from(JSON.stringify('x'.repeat(1_048_576))))
    await insert('order.created', Buffer.from('{"n": 2}'))

    await untilSettled(db, 2)
    const bodies = receiver.requests().map(({ body }) => body.toString())
    expect(bodies[0]).toContain('"data":{"größe": 1.10}')
    expect(bodies[1]).toContain('"data":{"n": 2}')
    const name = `"My, Sch.ema *x"."Out\\box 'q'"`
    expect((await malformed(db)).map(({ reason }) => reason)).toEqual(
      [
        'payload is not UTF-8',
        'payload is not JSON',
        'payload is missing',
        'type is not a dotted name like order.created',
        'type is missing',
        'headers is not a JSON object',
        'key is longer than 1000 characters',
        'payload is larger than 1 MiB',
      ].map((reason) => `${name}: ${reason}`),
    )
    expect(logs.all('relay.malformed_row').map(({ source }) => source)).toContain(name)
    expect(logs.all('relay.interrupted')).toEqual([])
    const rows = await copies(db)
    expect(rows).toHaveLength(2)
    expect(rows).toContainEqual({
      id: receiver.requests()[0]?.id,
      type: 'order.created',
      key: null,
      tenant: '12',
      payload: '{"größe": 1.10}',
      headers: '{"source_id": "9007199254740993", "n": 1.0}',
      created_at: '2026-11-22 15:30:09.500000',
      captured_from: name,
    })
  })

  test('walhook.emit needs no table, keeps to its transaction and its bytes, and refuses what is no event', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'))
    const application = await db.application()
    const emit = async (payload: string): Promise<string> => {
      const { rows } = await application.query<{ id: string }>(
        `select walhook.emit('order.created', $1::json, key => 'k', tenant => 't', headers => '{"a": 1.0}') as id`,
        [payload],
      )
      return rows[0]?.id ?? ''
    }
    await application.query('begin')
    await emit('{"n": 0}')
    await application.query('rollback')
    const id = await emit('{"n": 1.10, "id": "inner\\u0041", "big": 12345678901234567890}')

    await untilSettled(db, 1)
    expect(receiver.requests().map((request) => request.id)).toEqual([id])
    expect(receiver.requests()[0]?.body.toString()).toContain(
      '"data":{"n": 1.10, "id": "inner\\u0041", "big": 12345678901234567890}',
    )
    expect(await copies(db)).toMatchObject([
      { id, key: 'k', tenant: 't', headers: '{"a": 1.0}', captured_from: 'message' },
    ])
    for (const [call, why] of [
      [`walhook.emit('not a type', '{}')`, 'type has to be a dotted name'],
      [`walhook.emit('a', '{}', key => '')`, 'key has to be 1 to 1000'],
      [`walhook.emit('a', '{}', tenant => repeat('x', 256))`, 'tenant has to be'],
      [`walhook.emit('a', null)`, 'payload is missing'],
      [`walhook.emit('a', to_json(repeat('x', 1048576)))`, 'payload has to be at most 1 MiB'],
      [`walhook.emit('a', '{}', headers => '[]')`, 'headers has to be an object'],
    ] as const)
      await expect(db.query(`select ${call}`)).rejects.toMatchObject({
        code: '23514',
        message: expect.stringContaining(why),
      })
  })

  test('a message that is not transactional, or no event, is recorded as malformed, and stops nothing', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const first = await sidecar()
    await subscribe(db, receiver.url('/hook'))
    const open = await db.application()
    await open.query('begin')
    const ids = [await publish(open)]
    const message = `{"id": "${randomUUID()}", "type": "order.created", "payload": {}}`
    await db.query(`select pg_logical_emit_message(false, 'walhook', $1::text)`, [message])
    await open.query('commit')
    await db.query(`select pg_logical_emit_message(true, 'walhook', 'ping')`)
    await db.query(`select pg_logical_emit_message(true, 'walhook', '{"typ": "order.created"}')`)
    await db.query(`select pg_logical_emit_message(true, 'walhook', '{"type": 1}')`)
    await db.query(`select pg_logical_emit_message(true, 'walhook', '{"type": "a", "payload": 1}')`)
    await db.query(`select pg_logical_emit_message(true, 'walhook', '\\xff'::bytea)`)
    await db.query(`select pg_logical_emit_message(true, 'of others', 'ping')`)
    await db.query(`select pg_logical_emit_message(false, 'of others', 'ping')`)
    ids.push(await publish(db))
    await untilSettled(db, 2)

    expect(receiver.requests().map((request) => request.id)).toEqual(ids)
    const expected = [
      [-1, 'message: it is not transactional, and would be sent though its transaction rolled back'],
      [0, 'message: it is not JSON'],
      [0, 'message: it has an unknown member "typ"'],
      [0, 'message: type is not a text'],
      [0, 'message: id is not a uuid'],
      [0, 'message: it is not UTF-8'],
    ]
    const seen = async (): Promise<unknown[]> => (await malformed(db)).map(({ row, reason }) => [row, reason])
    expect(await seen()).toEqual(expected)
    expect(JSON.parse((await malformed(db))[0]?.raw ?? '')).toEqual({
      content: message,
      transactional: 'false',
    })
    expect(await (await fetch(`${first.url}/metrics`)).text()).toContain('walhook_malformed_rows_total 6')

    // Read again, they are the same.
    await first.stop()
    const second = await sidecar()
    await untilRecorded(db)
    expect(await seen()).toEqual(expected)
    expect(second.logs.all('relay.interrupted')).toEqual([])
  })

  test('what docs/other-outboxes.md shows is so', async ({ db, receiver, sidecar }) => {
    const page = await readFile(
      path.join(import.meta.dirname, '..', '..', 'docs', 'other-outboxes.md'),
      'utf8',
    )
    const [table = '', transaction = '', byHand = '', emit = '', message = ''] = blocks(page, 'sql')
    const [setting = ''] = blocks(page, 'sh')
    await db.query(table)
    await sidecar({ WALHOOK_SOURCES: /'(.*)'/.exec(setting)?.[1] ?? '' })
    await subscribe(db, receiver.url('/hook'))
    await db.query(transaction)
    await untilSettled(db, 1)
    expect(await copies(db)).toMatchObject([{ type: 'Order.OrderCreated', key: '42' }])

    await db.query(`insert into public.outbox values (gen_random_uuid(), 'Order', '42', 'OrderPaid', '{}')`)
    await untilSettled(db, 2)
    await db.query(byHand)
    await db.query(emit)
    await db.query(message.replace('0d3f8e9c', '1d3f8e9c'))
    await untilSettled(db, 4)
    expect(
      receiver.requests().map(({ body }) => (JSON.parse(body.toString()) as { type: string }).type),
    ).toEqual(['Order.OrderCreated', 'Order.OrderPaid', 'order.created', 'order.created'])
    expect(await malformed(db)).toEqual([])
  })
})
