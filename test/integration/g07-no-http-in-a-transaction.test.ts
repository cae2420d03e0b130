/** G7: no HTTP inside a database transaction. While endpoints hang, no connection of ours has a transaction open. */
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { hang, respond } from '../support/receiver.ts'
import { publish, subscribe } from '../support/sql-surface.ts'

interface Activity {
  readonly pid: number
  readonly state: string
  readonly xact_start: string | null
  readonly query: string
}

eachPlugin(() => {
  test('while endpoints hang, no transaction of the sidecar stays open', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar({ WALHOOK_SHUTDOWN_GRACE: '0ms' })
    receiver.on('/hangs', () => hang())
    receiver.on('/fails', () => respond(500))
    await subscribe(db, receiver.url('/hangs'), { timeout: '30s' })
    // Retries as well: an attempt that a job has rung for.
    await subscribe(db, receiver.url('/fails'), { retrySchedule: ['20ms', '20ms', '20ms', '20ms', '20ms'] })
    const hanging = 8
    for (let n = 0; n < hanging; n++) await publish(db)
    await receiver.waitFor(hanging, { path: '/hangs' })

    // A transaction that was open when it was first seen, and is still the same one later, was open all along.
    const seen = new Map<string, number>()
    const looks = 40
    for (let look = 0; look < looks; look++) {
      const open = await db.query<Activity>(
        `select pid, state, xact_start::text, query from pg_stat_activity
         where datname = current_database() and application_name = 'walhook' and backend_type = 'client backend'
           and xact_start is not null`,
      )
      for (const { pid, xact_start } of open) {
        const transaction = `${pid} since ${xact_start}`
        seen.set(transaction, (seen.get(transaction) ?? 0) + 1)
      }
      const arrived = receiver.requests().length
      if (look % 8 === 0)
        await publish(db).then(() =>
          eventually(() => expect(receiver.requests().length).toBeGreaterThan(arrived)),
        )
    }
    expect(receiver.requests('/hangs').length).toBeGreaterThanOrEqual(hanging)
    const longest = Math.max(0, ...seen.values())
    expect(longest, [...seen].join('\n')).toBeLessThan(looks / 2)
  })
})
