/** Batches across the end of the process that collects and sends them: regrouped, and nothing lost. */
import { expect } from 'vitest'
import { idsOf, readBatch } from '../support/batch-text.ts'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { hang, type ReceivedRequest, respond } from '../support/receiver.ts'
import { deliveries, lapseLeases, publishTogether, subscribe, untilSettled } from '../support/sql-surface.ts'

const eventsOf = (request: ReceivedRequest): readonly string[] => idsOf(readBatch(request.body.toString()))
const COLLECTING = { batch: { max_events: 5, max_wait: '30s' }, timeout: '20s' }

eachPlugin(() => {
  test('killed with a batch on its way and another half collected: all of it comes, in full batches of others', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    receiver.on('/hook', () => hang())
    const first = await sidecarProcess()
    await subscribe(db, receiver.url('/hook'), COLLECTING)
    const ids = await publishTogether(db, 7)
    const [unanswered] = await receiver.waitFor(1)
    expect(unanswered && eventsOf(unanswered)).toEqual(ids.slice(0, 5))
    await first.kill('SIGKILL')

    receiver.on('/hook', () => respond(204))
    await lapseLeases(db)
    await sidecarProcess()
    await eventually(async () =>
      expect((await deliveries(db)).filter(({ state }) => state === 'delivered')).toHaveLength(5),
    )
    await publishTogether(db, 3)
    await untilSettled(db, 10)
    const [, ...others] = receiver.requests()
    expect(others.map((request) => eventsOf(request).length)).toEqual([5, 5])
    expect(new Set(others.flatMap(eventsOf)).size).toBe(10)
    expect(new Set(receiver.requests().map(({ id }) => id)).size).toBe(3)
  })

  test('killed while it tries a batch again: the same batch comes once more, under its id', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    receiver.on('/hook', [respond(503), hang(), respond(204)])
    const first = await sidecarProcess()
    await subscribe(db, receiver.url('/hook'), { ...COLLECTING, retrySchedule: ['100ms', '100ms'] })
    const ids = await publishTogether(db, 5)
    await receiver.waitFor(2)
    await first.kill('SIGKILL')
    await lapseLeases(db)
    await sidecarProcess()
    await untilSettled(db, 5)
    const requests = receiver.requests()
    expect(requests.map(eventsOf)).toEqual([ids, ids, ids])
    expect(new Set(requests.map(({ id }) => id)).size).toBe(1)
    // The one that nobody answered was not recorded, and its number is used again.
    expect(requests.map(({ headers }) => headers['walhook-attempt'])).toEqual(['1', '2', '2'])
  })

  test('asked to end while it collects, it waits for nothing, and a successor collects on', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    const first = await sidecarProcess()
    await subscribe(db, receiver.url('/hook'), COLLECTING)
    await publishTogether(db, 3)
    await eventually(async () =>
      expect((await deliveries(db)).map(({ waits_as }) => waits_as)).toEqual(Array(3).fill('in flight')),
    )
    const asked = performance.now()
    await first.kill('SIGTERM')
    expect(await first.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - asked).toBeLessThan(10_000)
    expect((await deliveries(db)).map(({ waits_as }) => waits_as)).toEqual(Array(3).fill('waiting'))
    expect(receiver.requests()).toEqual([])

    await sidecarProcess()
    await publishTogether(db, 2)
    await untilSettled(db, 5)
    expect(receiver.requests().map((request) => eventsOf(request).length)).toEqual([5])
  })
})
