/**
 * SIGTERM where the grace does not suffice: what is under way is given up and not counted, and the next process goes on at
 * once. Where it does, see the experiment sigterm-under-load.
 */
import { expect } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import { hang, respond } from '../support/receiver.ts'
import { publish, publishTogether, subscribe, untilSettled } from '../support/sql-surface.ts'

eachPlugin(() => {
  test('attempts that outlast the grace are given up, not counted, and made by the successor', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    receiver.on('/hook', () => hang())
    await subscribe(db, receiver.url('/hook'), { timeout: '30s' })
    const sidecar = await sidecarProcess({ WALHOOK_SHUTDOWN_GRACE: '200ms' })
    const ids = await publishTogether(db, 200)
    await receiver.waitFor(8)
    const asked = performance.now()
    await sidecar.kill('SIGTERM')
    expect(await sidecar.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - asked).toBeLessThan(5_000)
    expect(await db.query('select from walhook.attempts')).toEqual([])

    receiver.on('/hook', () => respond(204))
    await sidecarProcess()
    const rows = await untilSettled(db, ids.length)
    expect(new Set(rows.map(({ state, attempts }) => `${state} ${attempts}`))).toEqual(
      new Set(['delivered 1']),
    )
  })

  test('a second signal does not wait', async ({ db, receiver, sidecarProcess }) => {
    receiver.on('/hook', () => hang())
    await subscribe(db, receiver.url('/hook'), { timeout: '30s' })
    const sidecar = await sidecarProcess({ WALHOOK_SHUTDOWN_GRACE: '1m' })
    await publish(db)
    await receiver.waitFor(1)
    process.kill(sidecar.pid, 'SIGTERM')
    await sidecar.waitForLog('sidecar.stopping')
    await sidecar.kill('SIGTERM')
    expect(await sidecar.exited).toEqual({ code: 1, signal: null })
  })
})
