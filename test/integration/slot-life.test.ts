/** G1, when the slot is gone, moved or blind: it is made anew, and the outbox gives what the slot would have brought. */
import { describe, expect } from 'vitest'
import { eachPlugin, type RunningSidecar, sidecarEnvironment, test } from '../support/fixtures.ts'
import type { Receiver } from '../support/receiver.ts'
import type { TestDatabase } from '../support/test-database.ts'
import { SidecarProcess } from '../support/sidecar-process.ts'
import {
  deliveries,
  dropSlot,
  publish,
  publishTogether,
  subscribe,
  untilNothingOlderRuns,
  untilSettled,
} from '../support/sql-surface.ts'

eachPlugin((plugin) => {
  test('a slot that is dropped under load is made anew, and not one event is missing or sent twice', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await subscribe(db, receiver.url('/hook'))
    const { logs, url } = await sidecar()
    await logs.waitFor('relay.streaming')
    const committed: string[] = []
    let isWriting = true
    const writing = Promise.all(
      Array.from({ length: 4 }, async () => {
        const application = await db.application()
        while (isWriting) committed.push(await publish(application))
      }),
    )
    for (let drops = 1; drops <= 3; drops++) {
      const before = committed.length
      await receiver.waitFor((requests) => requests.length > before)
      await dropSlot(db)
      await logs.waitFor('slot.created', () => logs.all('slot.created').length > drops)
    }
    isWriting = false
    await writing
    await untilSettled(db, committed.length, { withinMs: 30_000 })
    expect(sorted(idsOf(receiver))).toEqual(sorted(committed))
    expect(logs.all('slot.gap_found').map(({ reason }) => reason)).toEqual(
      expect.arrayContaining(['slot_missing']),
    )
    // What was looked for is told, in the log and as a metric.
    const found = logs.all('outbox.rescanned').reduce((sum, { events }) => sum + Number(events), 0)
    expect(await recovered(url)).toBe(found)
  })

  test('what commits while there is no slot and no sidecar arrives, once, and for those who had subscribed by then', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const early = await subscribe(db, receiver.url('/early'))
    const before = await relayOneAndStop(db, sidecar)
    await dropSlot(db)

    const missed = await publishTogether(db, 100)
    await untilNothingOlderRuns(db)
    const late = await subscribe(db, receiver.url('/late'))
    // No text can hold what these headers say: reading them fails, and must not take the search with it.
    const afterwards = await publish(db, { headers: String.raw`{"deliver_after": "\u0000"}` })

    const second = await sidecar()
    await untilSettled(db, 103)
    expect(await owedTo(early.id)).toEqual(sorted([before, ...missed, afterwards]))
    expect(await owedTo(late.id)).toEqual([afterwards])
    expect(second.logs.all('outbox.rescanned')).toMatchObject([
      { reason: 'slot_missing', events: 101, deliveries: 102 },
    ])
    expect(receiver.requests()).toHaveLength(103)

    async function owedTo(subscriptionId: string): Promise<readonly string[]> {
      const rows = await deliveries(db)
      return sorted(rows.filter((row) => row.subscription_id === subscriptionId).map((row) => row.event_id))
    }
  })

  test('a slot that somebody made again, or moved on, is read on, and what it passed over is found', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await subscribe(db, receiver.url('/hook'))
    const ids = [await relayOneAndStop(db, sidecar)]

    await dropSlot(db)
    ids.push(await publish(db))
    await db.query('select pg_create_logical_replication_slot($1, $2)', [db.slot, plugin])
    ids.push(await publish(db))
    const second = await sidecar()
    await second.logs.waitFor('slot.gap_found', ({ reason }) => reason === 'slot_moved')
    await untilSettled(db, 3)
    await second.stop()

    ids.push(await publish(db))
    await db.query('select pg_replication_slot_advance($1, pg_current_wal_insert_lsn())', [db.slot])
    ids.push(await publish(db))
    const third = await sidecar()
    await third.logs.waitFor('slot.gap_found', ({ reason }) => reason === 'slot_moved')
    await untilSettled(db, 5)
    expect(sorted(idsOf(receiver))).toEqual(sorted(ids))
  })

  test('a database that comes back in another cluster is relayed from there, with what had not been relayed', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await subscribe(db, receiver.url('/hook'))
    const ids = [await relayOneAndStop(db, sidecar)]
    ids.push(await publish(db))
    // What a dump brings along: the tables, and no slot. Positions and transaction numbers are another cluster's.
    await dropSlot(db)
    await db.query(`update walhook.relay
      set system_identifier = '1', lsn = 'FFFFFF/0', audited_to = '18446744073709551615'`)
    await db.query(
      `update walhook.subscriptions set active_from_lsn = 'FFFFFF/0', active_from_xid = '18446744073709551615'`,
    )

    const second = await sidecar()
    await second.logs.waitFor('slot.gap_found', ({ reason }) => reason === 'another_cluster')
    await untilSettled(db, 2)
    await second.logs.waitFor('relay.streaming')
    ids.push(await publish(db))
    await untilSettled(db, 3)
    expect(idsOf(receiver)).toEqual(ids)
  })

  test('events that were written before there was a slot are relayed with the first start', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const nobodyYet = await publish(db)
    await untilNothingOlderRuns(db)
    await subscribe(db, receiver.url('/hook'))
    const ids = [await publish(db), await publish(db)]
    await sidecar()
    await untilSettled(db, 2)
    expect(idsOf(receiver)).toEqual(ids)
    expect(idsOf(receiver)).not.toContain(nobodyYet)
  })

  test('a search that was broken off is made at the next start', async ({ db, receiver, sidecar }) => {
    await subscribe(db, receiver.url('/hook'))
    const first = await sidecar()
    await first.logs.waitFor('relay.streaming')
    await first.stop()
    await dropSlot(db)
    const id = await publish(db)
    // Nothing can be found while nothing can be matched. What comes over the log goes on all the same.
    await db.query('alter function walhook.matching_subscriptions(text, text, text) rename to away')
    const second = await sidecar()
    await second.logs.waitFor('outbox.rescan_failed')
    await second.logs.waitFor('relay.streaming')
    await second.stop()
    await db.query('alter function walhook.away(text, text, text) rename to matching_subscriptions')

    await sidecar()
    await untilSettled(db, 1)
    expect(idsOf(receiver)).toEqual([id])
  })
})

describe('a stop', () => {
  test('is obeyed while the slot waits for somebody’s transaction, and the next start makes the slot', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    const application = await db.application()
    await application.query('begin')
    const early = await publish(application)
    await using waiting = SidecarProcess.spawn(sidecarEnvironment(db, 'auto'))
    await waiting.waitForLog('slot.creation_waits')
    const askedAt = performance.now()
    await waiting.kill('SIGTERM')
    expect(await waiting.exit()).toEqual({ code: 0, signal: null })
    expect(performance.now() - askedAt).toBeLessThan(5_000)

    await subscribe(db, receiver.url('/hook'))
    await application.query('commit')
    await sidecarProcess()
    await untilSettled(db, 1)
    expect(idsOf(receiver)).toEqual([early])
  })
})

/** A sidecar has made the slot, relayed an event, and gone. */
async function relayOneAndStop(db: TestDatabase, sidecar: () => Promise<RunningSidecar>): Promise<string> {
  const running = await sidecar()
  await running.logs.waitFor('relay.streaming')
  const id = await publish(db)
  await untilSettled(db, 1)
  await running.stop()
  return id
}

const sorted = (ids: readonly string[]): readonly string[] => ids.toSorted()
const idsOf = (receiver: Receiver): readonly string[] => receiver.requests().map(({ id }) => id)

async function recovered(url: RunningSidecar['url']): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return [...text.matchAll(/^walhook_events_recovered_total\{.*\} (\d+)$/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  )
}
