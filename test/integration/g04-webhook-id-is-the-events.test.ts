/** G4: webhook-id is the event's id on every attempt: after a failure, a restart, a resend. */
import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { deliveries, publish, subscribe, untilSettled } from '../support/sql-surface.ts'

interface Envelope {
  readonly id: string
  readonly timestamp: string
}

eachPlugin(() => {
  test('every attempt carries the id that the application gave, over retries, a restart and a resend', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const first = await sidecar()
    const { secret } = await subscribe(db, receiver.url('/hook'), { retrySchedule: ['20ms', '1s', '20ms'] })
    receiver.verify('/hook', secret)
    receiver.on('/hook', [respond(500), respond(429), respond(500), respond(500), respond(200)])
    const id = randomUUID()
    await publish(db, { id })

    // Stopped while the third attempt is due: another process makes it.
    await receiver.waitFor(2)
    await first.stop()
    await sidecar()
    const [dead] = await untilSettled(db, 1)
    expect(dead).toMatchObject({ state: 'dead', attempts: 4 })

    await db.query('select walhook.resend($1)', [dead?.id])
    await eventually(async () =>
      expect(await deliveries(db)).toMatchObject([{ state: 'delivered', attempts: 5 }]),
    )

    const requests = receiver.requests()
    expect(requests.map((request) => request.id)).toEqual(Array.from({ length: 5 }, () => id))
    const envelopes = requests.map(({ body }) => JSON.parse(body.toString()) as Envelope)
    expect(new Set(envelopes.map((envelope) => envelope.id))).toEqual(new Set([id]))
    // The body is the event's as well: a receiver that compares sees the same bytes.
    expect(new Set(requests.map(({ body }) => body.toString())).size).toBe(1)
    expect(requests.map(({ forged }) => forged)).toEqual(Array.from({ length: 5 }, () => undefined))
  })

  test('the id that walhook.publish returns, and the one that a plain INSERT is given, are the ones that arrive', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    await subscribe(db, receiver.url('/hook'))
    const [published] = await db.query<{ id: string }>(`select walhook.publish('order.created', '{}') as id`)
    const [inserted] = await db.query<{ id: string }>(
      `insert into walhook.outbox (type, payload) values ('order.created', '{}') returning id`,
    )
    await receiver.waitFor(2)
    expect(receiver.requests().map(({ id }) => id)).toEqual([published?.id, inserted?.id])
    await untilSettled(db, 2)
  })
})
