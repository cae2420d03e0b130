/** Batches, as a receiver and an operator see them: what goes together, when, under which id, and what becomes of each delivery. */
import { Webhook as StandardWebhook } from 'standardwebhooks'
import { Webhook as SvixWebhook } from 'svix'
import { expect } from 'vitest'
import { type BatchText, idsOf, readBatch } from '../support/batch-text.ts'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { type ReceivedRequest, type Receiver, respond } from '../support/receiver.ts'
import {
  attemptsOf,
  deliveries,
  publish,
  publishTogether,
  subscribe,
  untilSettled,
} from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

const batchOf = (request: ReceivedRequest): BatchText => readBatch(request.body.toString())

/** In the order of their first event among `ids`. */
function batchesAt(receiver: Receiver, path: string, ids: readonly string[]): readonly (readonly string[])[] {
  return receiver
    .requests(path)
    .map((request) => idsOf(batchOf(request)))
    .sort((a, b) => ids.indexOf(a[0] ?? '') - ids.indexOf(b[0] ?? ''))
}

/** How many deliveries each batch had, by the id that stands on their attempts. */
async function recordedBatches(db: TestDatabase): Promise<ReadonlyMap<string, number>> {
  const rows = await db.query<{ batch_id: string; deliveries: number }>(
    `select batch_id::text, count(distinct delivery_id)::int as deliveries
     from walhook.attempts where batch_id is not null group by batch_id`,
  )
  return new Map(rows.map((row) => [row.batch_id, row.deliveries]))
}

eachPlugin(() => {
  test('events of a batching subscription come together, in commit order; those of another come singly and at once', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar({ WALHOOK_LOG_LEVEL: 'info' })
    const { secret } = await subscribe(db, receiver.url('/batch'), {
      batch: { max_events: 10, max_wait: '3s' },
    })
    await subscribe(db, receiver.url('/single'))
    const ids = await publishTogether(db, 25)
    await receiver.waitFor(25, { path: '/single' })
    const singlesCameAt = performance.now()
    await untilSettled(db, 50)

    expect(batchesAt(receiver, '/batch', ids)).toEqual([
      ids.slice(0, 10),
      ids.slice(10, 20),
      ids.slice(20, 25),
    ])
    const requests = receiver.requests('/batch')
    // Two were full and went at once; the third had to wait for more.
    const [, , last] = requests.map(({ arrivedAtMs }) => arrivedAtMs).sort((a, b) => a - b)
    expect(last).toBeGreaterThan(singlesCameAt)
    for (const request of requests) {
      const { id, events } = batchOf(request)
      expect(request.headers).toMatchObject({
        'webhook-id': id,
        'walhook-event-type': 'batch',
        'walhook-attempt': '1',
        'content-type': 'application/json',
      })
      const headers = request.headers as Record<string, string>
      new StandardWebhook(secret).verify(request.body, headers)
      new SvixWebhook(secret).verify(request.body, headers)
      expect(JSON.parse(request.body.toString())).toEqual({
        delivery_mode: 'batch',
        batch_id: id,
        events: events.map((event): unknown => JSON.parse(event)),
      })
    }
    // Each event is the object that comes alone, byte for byte.
    const alone = new Set(receiver.requests('/single').map(({ body }) => body.toString()))
    for (const request of requests)
      for (const event of batchOf(request).events) expect(alone).toContain(event)

    const recorded = await recordedBatches(db)
    expect(recorded).toEqual(new Map(requests.map((r) => [r.id, batchOf(r).events.length])))
    const lines = logs.all('delivery.attempted')
    expect(lines.filter(({ batch_id }) => batch_id !== undefined)).toHaveLength(25)
    expect(new Set(lines.flatMap(({ batch_id }) => batch_id ?? []))).toEqual(new Set(recorded.keys()))
  })

  test('an event waits for others as long as it may, and no longer', async ({ db, receiver, sidecar }) => {
    await sidecar()
    await subscribe(db, receiver.url('/batch'), { batch: { max_wait: '1s' } })
    const publishedAt = performance.now()
    const ids = [await publish(db), await publish(db), await publish(db)]
    const [request] = await receiver.waitFor(1)
    expect(request && idsOf(batchOf(request))).toEqual(ids)
    expect(request?.arrivedAtMs).toBeGreaterThanOrEqual(publishedAt + 950)
    expect(request?.arrivedAtMs).toBeLessThan(publishedAt + 3_000)
    await untilSettled(db, 3)
    expect(receiver.requests()).toHaveLength(1)
  })

  test('a batch that failed comes again as the same: its id, its events, their order, and no others', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/batch'), {
      batch: { max_events: 5, max_wait: '30s' },
      retrySchedule: ['2s', '1s'],
      timeout: '10s',
    })
    receiver.on('/batch', ({ headers }) => respond(Number(headers['walhook-attempt']) < 3 ? 503 : 204))
    const first = await publishTogether(db, 5)
    await receiver.waitFor(1)
    await eventually(async () =>
      expect((await deliveries(db)).map(({ waits_as }) => waits_as)).toEqual(
        first.map(() => 'retry scheduled'),
      ),
    )
    expect(
      await db.query('select batch_id, batch_size, count(*)::int from walhook.deliveries group by 1, 2'),
    ).toEqual([{ batch_id: receiver.requests()[0]?.id, batch_size: 5, count: 5 }])
    // While it waits, others come, and are not enough for a batch.
    await publishTogether(db, 4)
    const requests = await receiver.waitFor(3)

    const [id] = requests.map((request) => request.id)
    for (const request of requests) {
      expect(request.id).toBe(id)
      expect(idsOf(batchOf(request))).toEqual(first)
    }
    expect(new Set(requests.map(({ body }) => body.toString())).size).toBe(1)
    expect(requests.map(({ headers }) => headers['walhook-attempt'])).toEqual(['1', '2', '3'])
    // The fifth completes the others' batch.
    await publish(db)
    await untilSettled(db, 10)
    const attempts = await attemptsOf(db, first[0] ?? '')
    expect(attempts).toMatchObject([
      { number: 1, response_status: 503, batch_id: id },
      { number: 2, response_status: 503, batch_id: id },
      { number: 3, response_status: 204, batch_id: id },
    ])
    expect(await recordedBatches(db)).toMatchObject({ size: 2 })
    expect(await db.query('select from walhook.deliveries where batch_id is not null')).toEqual([])
  })

  test('a batch of which one was resent by itself comes again as another, without it', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/batch'), {
      batch: { max_events: 4, max_wait: '100ms' },
      retrySchedule: ['2s'],
    })
    receiver.on('/batch', [respond(500), respond(204)])
    const ids = await publishTogether(db, 4)
    const rows = await eventually(async () => {
      const all = await deliveries(db)
      expect(all.map(({ waits_as }) => waits_as)).toEqual(ids.map(() => 'retry scheduled'))
      return all
    })
    await db.query('select walhook.resend($1)', [rows[1]?.id])
    await untilSettled(db, 4)

    const requests = receiver.requests()
    expect(requests.map((request) => idsOf(batchOf(request)))).toEqual([
      ids,
      [ids[1]],
      [ids[0], ids[2], ids[3]],
    ])
    expect(new Set(requests.map(({ id }) => id)).size).toBe(3)
  })

  test('bytes split a batch, and an event that is larger than a batch may be goes alone', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/batch'), { batch: { max_wait: '500ms' } })
    const largest = `"${'x'.repeat(1024 * 1024 - 2)}"`
    const third = `"${'é'.repeat(160_000)}"`
    const ids: string[] = []
    const application = await db.application()
    await application.query('begin')
    for (const payload of [third, third, third, third, largest, '1', '2'])
      ids.push(await publish(application, { payload }))
    await application.query('commit')
    await untilSettled(db, 7)
    expect(batchesAt(receiver, '/batch', ids)).toEqual([
      ids.slice(0, 3),
      ids.slice(3, 4),
      ids.slice(4, 5),
      ids.slice(5, 7),
    ])
  })

  test('as CloudEvents they come in an array, under the batch’s id', async ({ db, receiver, sidecar }) => {
    await sidecar()
    const { id } = await subscribe(db, receiver.url('/batch'), { batch: { max_events: 3 } })
    await db.query(`update walhook.subscriptions set body = 'cloudevents-batch' where id = $1`, [id])
    const ids = await publishTogether(db, 3)
    await untilSettled(db, 3)
    const [request] = receiver.requests()
    const events = JSON.parse(request?.body.toString() ?? '[]') as readonly { readonly id: string }[]
    expect(events.map((event) => event.id)).toEqual(ids)
    expect(request?.headers['content-type']).toMatch(/^application\/cloudevents-batch\+json/)
    expect(await recordedBatches(db)).toEqual(new Map([[request?.id, 3]]))
  })

  test('410 is for each of a batch: all are dead, and the subscription is disabled', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const { id } = await subscribe(db, receiver.url('/batch'), { batch: { max_events: 3 } })
    receiver.on('/batch', () => respond(410))
    await publishTogether(db, 3)
    const rows = await untilSettled(db, 3)
    expect(rows.map(({ state, attempts, last_status }) => ({ state, attempts, last_status }))).toEqual(
      rows.map(() => ({ state: 'dead', attempts: 1, last_status: 410 })),
    )
    expect(receiver.requests()).toHaveLength(1)
    expect(
      await db.query('select state, state_reason from walhook.subscriptions where id = $1', [id]),
    ).toEqual([{ state: 'disabled', state_reason: 'gone' }])
  })

  test('a backlog comes in full batches', async ({ db, receiver, sidecar }) => {
    await sidecar()
    const { id } = await subscribe(db, receiver.url('/batch'), { batch: { max_events: 100, max_wait: '1s' } })
    await db.query('select walhook.pause($1)', [id])
    const ids = await publishTogether(db, 3_000)
    await eventually(async () => expect(await deliveries(db)).toHaveLength(3_000))
    await db.query('select walhook.resume($1)', [id])
    await untilSettled(db, 3_000)
    const sizes = batchesAt(receiver, '/batch', ids).map((batch) => batch.length)
    expect(sizes.reduce((sum, size) => sum + size)).toBe(3_000)
    // Claims end where memory does, and what is left over waits for the next.
    expect(sizes.length).toBeLessThanOrEqual(33)
  })

  test('once a subscription no longer wants batches, what was being collected comes singly', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const { id } = await subscribe(db, receiver.url('/batch'), { batch: { max_events: 10, max_wait: '2s' } })
    const ids = await publishTogether(db, 4)
    await eventually(async () =>
      expect((await deliveries(db)).map(({ waits_as }) => waits_as)).toEqual(ids.map(() => 'in flight')),
    )
    await db.query('update walhook.subscriptions set batch = null where id = $1', [id])
    await untilSettled(db, 4)
    expect(
      receiver
        .requests()
        .map((request) => request.id)
        .sort(),
    ).toEqual([...ids].sort())
    expect(await recordedBatches(db)).toEqual(new Map())
  })
})

test('what cannot be a batch, or be sent as one, is refused, naming the field', async ({ db }) => {
  const refused: Readonly<Record<string, RegExp>> = {
    "'[]'": /an object like/,
    "'null'": /an object like/,
    '\'{"max_event": 5}\'': /and nothing else/,
    '\'{"max_events": 0}\'': /max_events is a number from 1 to 1000/,
    '\'{"max_events": 1001}\'': /max_events/,
    '\'{"max_events": 1.5}\'': /max_events/,
    '\'{"max_events": "5"}\'': /max_events/,
    '\'{"max_events": null}\'': /max_events/,
    '\'{"max_wait": "31s"}\'': /max_wait is a duration from 0ms to 30s/,
    '\'{"max_wait": 5}\'': /max_wait is/,
    '\'{"max_wait": null}\'': /max_wait is/,
    '\'{"max_wait": "30s"}\', timeout => \'21s\'': /at most 50s together/,
    "'{}', ordering => 'key'": /null where ordering is key/,
    "'{}', body => 'payload'": /null where body is payload/,
    "'{}', forward_headers => '{x-trace}'": /null where forward_headers are asked for/,
    "'{}', ttl => '5s'": /max_wait is shorter than the ttl/,
  }
  for (const [argument, says] of Object.entries(refused)) {
    const error: unknown = await db
      .query(`select walhook.subscribe('https://example.com', batch => ${argument})`)
      .catch((reason: unknown) => reason)
    expect(error, argument).toMatchObject({ code: '22023', column: 'batch' })
    expect(String(error), argument).toMatch(/batch has to be /)
    expect(String(error), argument).toMatch(says)
  }
  for (const accepted of ['{}', '{"max_events":1000,"max_wait":"0ms"}', '{"max_wait":"30s"}'])
    await db.query(`select walhook.subscribe('https://example.com', batch => $1, timeout => '20s')`, [
      accepted,
    ])
})
