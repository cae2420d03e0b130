/**
 * G9: memory is bounded by backlog, by transaction size, by response size. In a process with a heap that is too small for
 * any of them: what is not bounded ends it.
 */
import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import { hang } from '../support/receiver.ts'
import type { SidecarProcess } from '../support/sidecar-process.ts'
import {
  deliveries,
  publishTogether,
  subscribe,
  untilRecorded,
  untilSettled,
} from '../support/sql-surface.ts'

const MIB = 1024 * 1024
const SMALL_HEAP = { NODE_OPTIONS: '--max-old-space-size=192' }

/** What may be resident at any time: 140 MiB are before the first event. */
const MOST_BYTES = 320 * MIB

/** The largest resident set so far, in bytes; 0 where the system does not tell. */
async function peakBytes(sidecar: SidecarProcess): Promise<number> {
  const status = await readFile(`/proc/${sidecar.pid}/status`, 'utf8').catch(() => '')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
}

eachPlugin(() => {
  test('a transaction of 240 MB streams through a process that could not hold it, to endpoints that take nothing', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    const sidecar = await sidecarProcess({
      ...SMALL_HEAP,
      WALHOOK_SHUTDOWN_GRACE: '0ms',
      WALHOOK_LOG_LEVEL: 'info',
    })
    receiver.on('/hangs', () => hang())
    await subscribe(db, receiver.url('/hangs'), { timeout: '30s' })
    const rows = 4_000
    await publishTogether(db, rows, { padding: 60_000 })
    await untilRecorded(db, { withinMs: 50_000 })

    const [counted] = await db.query<{ n: number }>('select count(*)::int as n from walhook.deliveries')
    expect(counted).toEqual({ n: rows + 1 })
    expect(await peakBytes(sidecar)).toBeLessThan(MOST_BYTES)
    await sidecar.kill('SIGTERM')
    expect(await sidecar.exited).toEqual({ code: 0, signal: null })
  })

  test('hundreds of answers of 20 MB each are cut, and the attempts keep 4 KiB of them', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    const sidecar = await sidecarProcess({ ...SMALL_HEAP, WALHOOK_LOG_LEVEL: 'info' })
    receiver.on('/floods', () => ({ kind: 'flood', bytes: 20 * MIB }))
    await subscribe(db, receiver.url('/floods'))
    await publishTogether(db, 300)
    await untilSettled(db, 300, { withinMs: 50_000 })

    expect(new Set((await deliveries(db)).map(({ state, last_error }) => `${state} ${last_error}`))).toEqual(
      new Set(['delivered response_too_large']),
    )
    const [kept] = await db.query<{ longest: number }>(
      'select max(octet_length(response_body)) as longest from walhook.attempts',
    )
    expect(kept).toEqual({ longest: 4_096 })
    expect(await peakBytes(sidecar)).toBeLessThan(MOST_BYTES)
  })

  test('a backlog larger than the dispatcher may hold waits in the database, and is delivered from there', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    const sidecar = await sidecarProcess({ ...SMALL_HEAP, WALHOOK_LOG_LEVEL: 'info' })
    const subscription = await subscribe(db, receiver.url('/hook'))
    await db.query('select walhook.pause($1)', [subscription.id])
    await publishTogether(db, 1_500, { padding: 60_000 })
    await expect
      .poll(async () => (await db.query('select from walhook.deliveries')).length, { timeout: 30_000 })
      .toBe(1_500)
    await db.query('select walhook.resume($1)', [subscription.id])
    await untilSettled(db, 1_500, { withinMs: 50_000 })
    expect(new Set(receiver.requests().map(({ id }) => id)).size).toBe(1_500)
    expect(receiver.requests()).toHaveLength(1_500)
    expect(await peakBytes(sidecar)).toBeLessThan(MOST_BYTES)
  })
})
