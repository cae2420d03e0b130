/** G8: one slow, dead or huge endpoint does not delay another. */
import { expect } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import { hang, type Receiver, respond } from '../support/receiver.ts'
import { publish, publishTogether, subscribe } from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

const HANGING = 8
const HEALTHY = ['/healthy/1', '/healthy/2']
const ROUNDS = 100
/** Far above what a busy machine needs, far below the 30 s that the hanging endpoints take. */
const LATEST_MS = 3_000

/** Publishes one event after the other; milliseconds from the commit to the arrival at every healthy endpoint, sorted. */
async function latenciesMs(db: TestDatabase, receiver: Receiver): Promise<readonly number[]> {
  const committedAt = new Map<string, number>()
  const before = HEALTHY.map((path) => receiver.requests(path).length)
  for (let n = 0; n < ROUNDS; n++) committedAt.set(await publish(db, { type: 'healthy' }), performance.now())
  await Promise.all(HEALTHY.map((path, i) => receiver.waitFor((before[i] ?? 0) + ROUNDS, { path })))
  return HEALTHY.flatMap((path) =>
    receiver.requests(path).flatMap(({ id, arrivedAtMs }) => {
      const at = committedAt.get(id)
      return at === undefined ? [] : [arrivedAtMs - at]
    }),
  ).sort((a, b) => a - b)
}

eachPlugin(() => {
  test('healthy endpoints are served at once while eight others hang with a backlog of hundreds each', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar({ WALHOOK_SHUTDOWN_GRACE: '0ms' })
    for (const path of HEALTHY) await subscribe(db, receiver.url(path), { eventTypes: ['healthy'] })
    for (let n = 0; n < HANGING; n++) {
      receiver.on(`/hangs/${n}`, () => hang())
      await subscribe(db, receiver.url(`/hangs/${n}`), { eventTypes: ['backlog'], timeout: '30s' })
    }
    await publishTogether(db, 400, { type: 'backlog' })
    await receiver.waitFor((requests) => new Set(requests.map(({ path }) => path)).size === HANGING)

    const latencies = await latenciesMs(db, receiver)
    expect(latencies).toHaveLength(ROUNDS * HEALTHY.length)
    const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? Infinity
    expect(p99).toBeLessThan(LATEST_MS)
  })

  test('an endpoint that floods its answers and one that answers late do not delay another', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar({ WALHOOK_SHUTDOWN_GRACE: '0ms' })
    for (const path of HEALTHY) await subscribe(db, receiver.url(path), { eventTypes: ['healthy'] })
    receiver.on('/huge', () => ({ kind: 'flood', bytes: 20 * 1024 * 1024 }))
    receiver.on('/late', () => respond(200, { delayMs: 5_000 }))
    await subscribe(db, receiver.url('/huge'), { eventTypes: ['backlog'] })
    await subscribe(db, receiver.url('/late'), { eventTypes: ['backlog'] })
    await publishTogether(db, 200, { type: 'backlog' })
    await receiver.waitFor(10, { path: '/late' })

    const latencies = await latenciesMs(db, receiver)
    const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? Infinity
    expect(p99).toBeLessThan(LATEST_MS)
  })
})
