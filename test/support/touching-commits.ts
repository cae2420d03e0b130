/**
 * Two commits whose records touch in the log: the end of the first is the beginning of the second. Whoever confirms one
 * byte too much of the first, and dies, loses the second.
 */
import { expect } from 'vitest'
import type { TransactionPiece } from '../../src/core/committed-transaction.ts'
import type { Lsn } from '../../src/core/lsn.ts'
import { livenessTimings } from '../../src/replication/liveness.ts'
import { streamPlugin } from '../../src/replication/slot.ts'
import { ReplicationStream } from '../../src/replication/stream.ts'
import { eventually } from './eventually.ts'
import type { Plugin } from './sidecar-environment.ts'
import { confirmedLsn, publish } from './sql-surface.ts'
import type { TestDatabase } from './test-database.ts'

/**
 * Makes `wanted` such pairs, confirms the first of each and breaks off. `lost` of the second ones did not come again.
 * Makes the slot; fewer than `wanted` where others write too much in between.
 */
export async function confirmFirstOfTouchingCommits(
  db: TestDatabase,
  plugin: Plugin,
  wanted: number,
): Promise<{ readonly adjacent: number; readonly lost: number }> {
  await db.query('create publication walhook for table walhook.outbox')
  await db.query('select pg_create_logical_replication_slot($1, $2)', [db.slot, plugin])
  const open = (): Promise<ReplicationStream> =>
    ReplicationStream.open({
      connectionString: db.url,
      slotName: db.slot,
      plugin: streamPlugin(plugin, 'walhook'),
      liveness: livenessTimings(60_000),
      onWake: () => undefined,
    })
  const one = await db.application()
  const two = await db.application()
  let adjacent = 0
  let lost = 0

  for (let tries = 0; adjacent < wanted && tries < wanted * 5; tries++) {
    const ids: string[] = []
    for (const application of [one, two]) {
      await application.query('begin')
      ids.push(await publish(application))
    }
    await one.query('commit')
    await two.query('commit')

    const [first, second] = await readTransactions(open, 2)
    expect([first, second].map((piece) => piece?.rows[0]?.raw.get('id'))).toEqual(ids)
    if (first?.endLsn === undefined || second?.endLsn === undefined)
      throw new Error('a small transaction is one piece')
    const touches = first.endLsn === second.commitLsn
    if (touches) {
      adjacent++
      await readTransactions(open, 1, first.endLsn)
      await eventually(async () => expect(await confirmedLsn(db)).toBe(first.endLsn))
      const [again] = await readTransactions(open, 1)
      if (again?.rows[0]?.raw.get('id') !== ids[1]) lost++
    }
    await readTransactions(open, 1, second.endLsn)
    await eventually(async () => expect(await confirmedLsn(db)).toBeGreaterThanOrEqual(second.endLsn ?? 0n))
  }
  return { adjacent, lost }
}

/** What a fresh connection reads; it confirms `confirm` and no more before it leaves. */
async function readTransactions(
  open: () => Promise<ReplicationStream>,
  count: number,
  confirm?: Lsn,
): Promise<readonly TransactionPiece[]> {
  await using stream = await eventually(open)
  const pieces: TransactionPiece[] = []
  for await (const items of stream) {
    pieces.push(...items.filter((item) => item.kind === 'piece'))
    if (pieces.length >= count) break
  }
  if (confirm !== undefined) stream.confirm(confirm)
  return pieces
}
