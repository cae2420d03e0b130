/** walhook.matches: who gets an event, and why others do not. */
import { expect } from 'vitest'
import { test } from '../support/fixtures.ts'
import { publish, subscribe } from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

interface Told {
  readonly matches: boolean
  readonly reason: string | null
  readonly url: string | null
  readonly delivery_state: string | null
}

function matches(db: TestDatabase, event: string, more = ''): Promise<Told[]> {
  return db.query<Told & Record<string, unknown>>(
    `select matches, reason, replace(url, 'https://example.com/', '') as url, delivery_state from walhook.matches($1${more})`,
    [event],
  )
}

test('each subscription that could be meant is told with the reason, those that match first', async ({
  db,
}) => {
  const on = (name: string, wish: Parameters<typeof subscribe>[2]) =>
    subscribe(db, `https://example.com/${name}`, wish)
  const { id: delivered } = await on('delivered', { eventTypes: ['order.*'], tenant: 't' })
  const { id: deleted } = await on('deleted', { eventTypes: ['order.*'] })
  await on('owed', { eventTypes: ['*'] })
  await on('filter', { eventTypes: ['*'], tenant: 't', filter: '$.amount > 1000' })
  await on('type', { eventTypes: ['user.*'], tenant: 't' })
  await on('tenant', { eventTypes: ['order.created'], tenant: 'u' })
  await on('nothing to do with it', { eventTypes: ['user.*'], tenant: 'u' })
  const event = await publish(db, { tenant: 't', payload: '{"amount": 1}' })
  await on('late', { eventTypes: ['*'], tenant: 't' })
  // Nothing is recorded: whoever matches will get it, but for what a transaction that runs leaves open.
  const owed = (await matches(db, event)).flatMap(({ url, matches: yes }) =>
    yes && url !== 'late' ? [url] : [],
  )
  expect(owed).toEqual(['delivered', 'deleted', 'owed'])

  await db.query(
    `insert into walhook.deliveries (event_id, subscription_id, next_attempt_at) select $1, id, now() from unnest($2::uuid[]) as id`,
    [event, [delivered, deleted]],
  )
  await db.query('delete from walhook.subscriptions where id = $1', [deleted])
  const after = expect.stringMatching(/^made( or changed)? after the event$/)
  expect(await matches(db, event)).toEqual([
    { matches: true, reason: null, url: 'delivered', delivery_state: 'pending' },
    { matches: true, reason: null, url: null, delivery_state: 'cancelled' },
    { matches: false, reason: 'made or changed after the event', url: 'owed', delivery_state: null },
    { matches: false, reason: 'filter', url: 'filter', delivery_state: null },
    { matches: false, reason: after, url: 'late', delivery_state: null },
    { matches: false, reason: 'event type', url: 'type', delivery_state: null },
    { matches: false, reason: 'tenant', url: 'tenant', delivery_state: null },
  ])
  expect((await matches(db, event, ', max_rows => 2')).map(({ url }) => url)).toEqual(['delivered', null])
  // What is others' does not exist for a tenant.
  expect((await matches(db, event, `, tenant => 't'`)).map(({ url }) => url)).toEqual([
    'delivered',
    'filter',
    'late',
    'type',
  ])

  await db.query(
    `insert into walhook.dead_events (event_id, type, reason) values ($1, 'order.created', 'no schema')`,
    [event],
  )
  expect((await matches(db, event)).filter(({ url }) => url === 'owed')).toMatchObject([
    { matches: false, reason: 'the catalog refused it' },
  ])
  await expect(matches(db, crypto.randomUUID())).rejects.toMatchObject({ code: 'P0002' })
})
