/** A replay of what a subscription gets in the order of keys keeps that order. */
import { expect } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { replay } from '../support/replays.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'

eachPlugin(() => {
  test('what is ordered by key is replayed one at a time, in the order of commits', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    receiver.on('/hook', () => respond(500))
    const subscription = await subscribe(db, receiver.url('/hook'), {
      eventTypes: ['order.*'],
      retrySchedule: [],
      ordering: 'key',
      onDead: 'skip',
    })
    const ids: string[] = []
    for (let n = 0; n < 10; n++) ids.push(await publish(db, { key: n % 2 === 0 ? 'even' : 'odd' }))
    await untilSettled(db, 10)
    const before = receiver.requests().length
    let underWay = 0
    let most = 0
    receiver.on('/hook', () => {
      most = Math.max(most, ++underWay)
      const until = new Promise((resolve) => setTimeout(resolve, 50)).then(() => underWay--)
      return { kind: 'hold', until, reply: respond(200) }
    })
    await replay(db, 'subscription_id => $1', [subscription.id])
    await receiver.waitFor(before + 10)
    await untilSettled(db, 10)
    const again = receiver
      .requests()
      .slice(before)
      .map(({ id }) => id)
    for (const parity of [0, 1]) {
      const ofKey = ids.filter((_, n) => n % 2 === parity)
      expect(again.filter((id) => ofKey.includes(id))).toEqual(ofKey)
    }
    expect(most).toBeLessThanOrEqual(2)
  })
})
