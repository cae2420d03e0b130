/**
 * Which subscriptions an event is owed to, against a plain reference: through walhook.matching_subscriptions, which
 * anyone can ask in psql, and through the fan-out. And what cannot be an event or a subscription is refused by name.
 */
import fc from 'fast-check'
import { expect } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import { deliveries, publish, subscribe, untilRecorded } from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

interface Payload {
  readonly amount?: number | string | null
  readonly tags?: readonly string[]
  readonly text?: string
}

/** Each filter with what it means, told in plain words of JavaScript. */
const FILTERS: Readonly<Record<string, (payload: Payload) => boolean>> = {
  '$.amount > 100': ({ amount }) => typeof amount === 'number' && amount > 100,
  '$.amount == "x"': ({ amount }) => amount === 'x',
  'exists($.amount)': (payload) => 'amount' in payload,
  '$.tags[*] == "a"': ({ tags }) => tags?.includes('a') === true,
  '!($.amount > 100)': ({ amount }) =>
    amount === undefined || amount === null || (typeof amount === 'number' && amount <= 100),
  // Errors: they do not match, and harm nobody.
  'strict $.missing.deeper > 1': () => false,
  '$.amount / 0 > 1': () => false,
  '$.amount.datetime() > "2020-01-01".datetime()': () => false,
}

interface SubscriptionPlan {
  readonly patterns: readonly string[]
  readonly tenant: string | undefined
  readonly filter: string | undefined
}

interface EventPlan {
  readonly type: string
  readonly tenant: string | undefined
  readonly payload: Payload
}

/** Few names, so that they meet; among them some that only look alike. */
const name = fc.constantFrom('order', 'orders', 'created', 'a', 'A', '1', 'or-der', '_')
const type = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('.'))
const pattern = fc.oneof(
  type,
  type.map((prefix) => `${prefix}.*`),
  fc.constant('*'),
)
const tenant = fc.option(fc.constantFrom('acme', 'Acme', 'x:y', 'acme:order', ' '), { nil: undefined })

const subscriptionPlan: fc.Arbitrary<SubscriptionPlan> = fc.record({
  patterns: fc.array(pattern, { minLength: 1, maxLength: 3 }),
  tenant,
  filter: fc.option(fc.constantFrom(...Object.keys(FILTERS)), { nil: undefined }),
})

const eventPlan: fc.Arbitrary<EventPlan> = fc.record({
  type,
  tenant,
  payload: fc.record(
    {
      amount: fc.constantFrom(100, 101, 100.5, -1, 'x', '200', null),
      tags: fc.array(fc.constantFrom('a', 'b'), { maxLength: 2 }),
      // What jsonb cannot hold: no filter matches it, whatever it asks.
      text: fc.constantFrom('\u0000', 'plain', '🎉'),
    },
    { requiredKeys: [] },
  ),
})

function matches(subscription: SubscriptionPlan, event: EventPlan): boolean {
  if (subscription.tenant !== undefined && subscription.tenant !== event.tenant) return false
  const isAsked = subscription.patterns.some(
    (each) =>
      each === '*' ||
      each === event.type ||
      (each.endsWith('.*') && event.type.startsWith(each.slice(0, -1))),
  )
  if (!isAsked || subscription.filter === undefined) return isAsked
  if (event.payload.text?.includes('\u0000') === true) return false
  return FILTERS[subscription.filter]?.(event.payload) === true
}

async function subscribeAll(db: TestDatabase, plans: readonly SubscriptionPlan[]): Promise<string[]> {
  const ids: string[] = []
  for (const { patterns, tenant: whose, filter } of plans) {
    const { id } = await subscribe(db, 'http://127.0.0.1:1/never', {
      eventTypes: patterns,
      ...(whose !== undefined && { tenant: whose }),
      ...(filter !== undefined && { filter }),
    })
    // Parked: this is about who is owed what.
    await db.query('select walhook.pause($1)', [id])
    ids.push(id)
  }
  return ids
}

test('walhook.matching_subscriptions says what the reference says', async ({ db }) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(subscriptionPlan, { minLength: 1, maxLength: 10 }),
      fc.array(eventPlan, { minLength: 1, maxLength: 20 }),
      async (subscriptions, events) => {
        await db.query('delete from walhook.subscriptions')
        const ids = await subscribeAll(db, subscriptions)
        const rows = await db.query<{ event: number; ids: string[] }>(
          `select e.n::int as event, array(select m.subscription_id::text from walhook.matching_subscriptions(e.type, e.tenant, e.payload::json) as m) as ids
           from unnest($1::text[], $2::text[], $3::text[]) with ordinality as e (type, tenant, payload, n) order by n`,
          [
            events.map((e) => e.type),
            events.map((e) => e.tenant ?? null),
            events.map((e) => JSON.stringify(e.payload)),
          ],
        )
        expect(rows.map((row) => row.ids.toSorted())).toEqual(
          events.map((event) =>
            ids
              .filter((_, i) => subscriptions[i] !== undefined && matches(subscriptions[i], event))
              .toSorted(),
          ),
        )
      },
    ),
    { numRuns: 60 },
  )
})

eachPlugin(() => {
  test('the fan-out owes what the reference says', async ({ db, sidecar }) => {
    await sidecar()
    await fc.assert(
      fc.asyncProperty(
        fc.array(subscriptionPlan, { minLength: 1, maxLength: 8 }),
        fc.array(eventPlan, { minLength: 1, maxLength: 15 }),
        async (subscriptions, events) => {
          await db.query('delete from walhook.subscriptions; delete from walhook.deliveries')
          const ids = await subscribeAll(db, subscriptions)
          const expected = new Set<string>()
          for (const event of events) {
            const eventId = await publish(db, {
              type: event.type,
              payload: JSON.stringify(event.payload),
              ...(event.tenant !== undefined && { tenant: event.tenant }),
            })
            for (const [i, id] of ids.entries()) {
              const subscription = subscriptions[i]
              if (subscription !== undefined && matches(subscription, event))
                expected.add(`${eventId} → ${id}`)
            }
          }
          await untilRecorded(db)
          const owed = (await deliveries(db)).filter(({ event_type }) => !event_type.startsWith('test.'))
          expect(
            new Set(owed.map(({ event_id, subscription_id }) => `${event_id} → ${subscription_id}`)),
          ).toEqual(expected)
        },
      ),
      { numRuns: 12 },
    )
  })

  test('a subscription receives what commits after it was made, and nothing from before, however late that is read', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const first = await sidecar()
    await first.stop()
    // Nobody reads now: all of it is read later, at once.
    const before = await publish(db)
    const open = await db.application()
    await open.query('begin')
    const across = await publish(open)
    const { id } = await subscribe(db, receiver.url('/hook'))
    const after = await publish(db)
    await open.query('commit')
    const rolledBack = await db.application()
    await rolledBack.query('begin')
    await publish(rolledBack)
    await rolledBack.query('rollback')

    await sidecar()
    await untilRecorded(db)
    const owed = (await deliveries(db, { id })).map(({ event_id }) => event_id)
    expect(owed.slice(0, 2)).toEqual([after, across])
    expect(owed).not.toContain(before)
  })
})

const REFUSED_SUBSCRIPTIONS: readonly [field: string, value: string, says: RegExp][] = [
  ['url', `url => 'ftp://example.com/x'`, /http or https/],
  ['url', `url => 'example.com/x'`, /http or https/],
  ['url', `url => ''`, /http or https/],
  ['url', `url => null`, /http or https/],
  ['event_types', `event_types => '{}'`, /1 to 100 patterns/],
  ['event_types', `event_types => null`, /1 to 100 patterns/],
  ['event_types', `event_types => '{order.*.created}'`, /1 to 100 patterns/],
  ['event_types', `event_types => '{"order created"}'`, /1 to 100 patterns/],
  ['event_types', `event_types => '{order.,NULL}'`, /1 to 100 patterns/],
  ['filter', `filter => '$.amount'`, /predicate/],
  ['filter', `filter => '$.items[*] ? (@.n > 1)'`, /predicate/],
  ['tenant', `tenant => ''`, /1 to 255 characters/],
  ['secret', `secret => 'whsec_dG9vIHNob3J0'`, /24 to 64 bytes/],
  ['secret', `secret => 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'`, /24 to 64 bytes/],
  ['timeout', `timeout => '15'`, /duration/],
  ['timeout', `timeout => '10m'`, /100ms to 30s/],
  ['retry_schedule', `retry_schedule => '{5s,soon}'`, /durations/],
  ['retry_schedule', `retry_schedule => '{5}'`, /durations/],
  ['retry_schedule', `retry_schedule => '{31d}'`, /durations/],
  ['retry_schedule', `retry_schedule => '{5s,NULL}'`, /durations/],
  ['retry_on', `retry_on => 'never'`, /any or transient/],
]

test('what cannot be a subscription is refused where it is written, naming the field', async ({ db }) => {
  for (const [field, argument, says] of REFUSED_SUBSCRIPTIONS) {
    const url = field === 'url' ? '' : `url => 'https://example.com/', `
    const refused: unknown = await db
      .query(`select * from walhook.subscribe(${url}${argument})`)
      .catch((error: unknown) => error)
    expect(refused, argument).toMatchObject({ code: '22023', column: field })
    expect(String(refused), argument).toMatch(new RegExp(`${field} has to be `))
    expect(String(refused), argument).toMatch(says)
  }
  expect(await db.query('select * from walhook.subscriptions')).toEqual([])
})

test('a filter that is no JSON path is refused by Postgres itself, saying where', async ({ db }) => {
  await expect(subscribe(db, 'https://example.com', { filter: '$.amount >' })).rejects.toMatchObject({
    code: '42601',
  })
  await expect(subscribe(db, 'https://example.com', { filter: '$.amount >' })).rejects.toThrow(/jsonpath/)
})

test('the same is refused of a plain UPDATE, naming the field and quoting no row', async ({ db }) => {
  const { id } = await subscribe(db, 'https://example.com')
  const update = (change: string): Promise<unknown> =>
    db.query(`update walhook.subscriptions set ${change} where id = '${id}'`)
  const refused: Readonly<Record<string, readonly string[]>> = {
    url: [`'gopher://x'`, 'null'],
    event_types: [`'{}'`, 'null'],
    filter: [`'$.amount'`],
    tenant: [`''`],
    timeout: [`'1h'`, `'soon'`],
    retry_schedule: [`'{soon}'`],
    retry_on: [`'sometimes'`],
    secret: [`'whsec_'`, 'null'],
    method: [`'GET'`],
    body: [`'xml'`],
    signature: [`'{}'`, `'{md5}'`],
    batch: [`'[]'`],
    ordering: [`'random'`],
    on_dead: [`'panic'`],
    rate_limit: [`'0/s'`, `'10'`, `'10/h'`, `'10/s burst 0'`],
    max_in_flight: ['0', '10001'],
    ttl: [`'1ms'`, `'soon'`],
    disable_after: [`'1s'`, 'null'],
  }
  for (const [column, values] of Object.entries(refused))
    for (const value of values)
      await expect(update(`${column} = ${value}`), `${column} = ${value}`).rejects.toMatchObject({
        code: '22023',
        column,
        message: expect.stringMatching(new RegExp(`^${column} has to be `)),
        detail: undefined,
      })
  await expect(update(`state = 'asleep'`)).rejects.toMatchObject({
    constraint: 'subscriptions_state_is_known',
  })
})

test('what cannot be an event fails the INSERT that writes it, by a constraint whose name says why', async ({
  db,
}) => {
  const type_ = 'outbox_type_must_be_a_dotted_name_like_order_created'
  for (const wrong of [
    '',
    'order created',
    'order.',
    '.order',
    'order..created',
    'order.*',
    'órder',
    `a${'.b'.repeat(200)}`,
  ]) {
    await expect(publish(db, { type: wrong }), wrong).rejects.toMatchObject({
      code: '23514',
      constraint: type_,
    })
    await expect(db.query(`select walhook.publish($1, '{}')`, [wrong]), wrong).rejects.toMatchObject({
      constraint: type_,
    })
  }
  await expect(publish(db, { tenant: '' })).rejects.toMatchObject({
    constraint: 'outbox_tenant_must_be_1_to_255_characters',
  })
  await expect(publish(db, { key: 'k'.repeat(1_001) })).rejects.toMatchObject({
    constraint: 'outbox_key_must_be_1_to_1000_characters',
  })
  await expect(publish(db, { headers: '[]' })).rejects.toMatchObject({
    constraint: 'outbox_headers_must_be_an_object_of_at_most_16_kib',
  })
  await expect(publish(db, { payload: '{"a": ' })).rejects.toMatchObject({ code: '22P02' })
  expect(await db.query('select * from walhook.outbox')).toEqual([])
})
