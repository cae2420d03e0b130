/** OAuth2 client credentials: a token is bought, kept, renewed and replaced; a server that has none fails the attempt as `auth`. */
import { expect } from 'vitest'
import { aSecret, subscribeWith, wholeDatabase } from '../support/access.ts'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { RawEndpoint, response } from '../support/raw-endpoint.ts'
import { hang, type Receiver, type Reply, respond } from '../support/receiver.ts'
import { attemptsOf, deliveries, publish, untilSettled } from '../support/sql-surface.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

function answer(token: string, more: object = { token_type: 'Bearer', expires_in: 3600 }): Reply {
  return respond(200, { headers: JSON_TYPE, body: JSON.stringify({ access_token: token, ...more }) })
}

/** A client of the token server at `receiver`'s /token. */
function oauth2(receiver: Receiver, more: object = {}): object {
  return {
    type: 'oauth2',
    token_url: receiver.url('/token'),
    client_id: 'walhook & sons',
    client_secret: 'p:ss wörd, long enough',
    ...more,
  }
}

eachPlugin(() => {
  test('one token serves every delivery until it expires, and is stored nowhere', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar()
    const token = aSecret()
    receiver.on('/token', [answer(token)])
    const auth = oauth2(receiver, { scope: 'events.write all', audience: 'https://api.example.com' })
    await subscribeWith(db, receiver.url('/hook'), { auth })
    await Promise.all(Array.from({ length: 30 }, () => publish(db)))
    const arrived = await receiver.waitFor(30, { path: '/hook' })
    expect(new Set(arrived.map(({ headers }) => headers.authorization))).toEqual(new Set([`Bearer ${token}`]))

    const [asked, ...others] = receiver.requests('/token')
    expect(others).toEqual([])
    expect(asked?.method).toBe('POST')
    expect(asked?.headers['content-type']).toBe('application/x-www-form-urlencoded')
    expect(Object.fromEntries(new URLSearchParams(asked?.body.toString()))).toEqual({
      grant_type: 'client_credentials',
      scope: 'events.write all',
      audience: 'https://api.example.com',
    })
    const basic = Buffer.from(asked?.headers.authorization?.slice('Basic '.length) ?? '', 'base64').toString()
    expect(basic).toBe('walhook+%26+sons:p%3Ass+w%C3%B6rd%2C+long+enough')
    await untilSettled(db, 30)
    expect(await wholeDatabase(db)).not.toContain(token)
    expect(logs.all('token.unavailable')).toEqual([])
  })
})

test('the id and the secret go into the form where the server wants them there', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  receiver.on('/token', [answer(aSecret(), {})])
  await subscribeWith(db, receiver.url('/hook'), { auth: oauth2(receiver, { client_auth: 'post' }) })
  await publish(db)
  await receiver.waitFor(1, { path: '/hook' })
  const [asked] = receiver.requests('/token')
  expect(asked?.headers.authorization).toBeUndefined()
  expect(Object.fromEntries(new URLSearchParams(asked?.body.toString()))).toEqual({
    grant_type: 'client_credentials',
    client_id: 'walhook & sons',
    client_secret: 'p:ss wörd, long enough',
  })
})

test('a token that the endpoint refuses is replaced for the next attempt, and not again for each that follows', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  const [revoked, fresh] = [aSecret(), aSecret()]
  receiver.on('/token', [answer(revoked), answer(fresh)])
  receiver.on('/hook', ({ headers }) => respond(headers.authorization === `Bearer ${fresh}` ? 204 : 401))
  await subscribeWith(db, receiver.url('/hook'), {
    auth: oauth2(receiver),
    retrySchedule: ['20ms', '20ms', '20ms'],
  })
  const event = await publish(db)
  await untilSettled(db, 1)
  expect((await attemptsOf(db, event)).map(({ response_status }) => response_status)).toEqual([401, 204])

  receiver.on('/hook', [respond(401)])
  await publish(db)
  await untilSettled(db, 2)
  expect(receiver.requests('/token')).toHaveLength(2)
})

test('a token that was revoked makes no dead letter where only transient failures are retried', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  const [revoked, fresh] = [aSecret(), aSecret()]
  receiver.on('/token', [answer(revoked), answer(fresh)])
  receiver.on('/hook', ({ headers }) => respond(headers.authorization === `Bearer ${fresh}` ? 204 : 401))
  await subscribeWith(db, receiver.url('/hook'), {
    auth: oauth2(receiver),
    retrySchedule: ['20ms', '20ms'],
  })
  await db.query(`update walhook.subscriptions set retry_on = 'transient'`)
  const event = await publish(db)
  await untilSettled(db, 1)
  expect(await attemptsOf(db, event)).toMatchObject([{ error: 'auth' }, { response_status: 204 }])
  // A token that is fresh is refused for good.
  receiver.on('/hook', [respond(401)])
  const refused = await publish(db)
  await untilSettled(db, 2)
  expect(await attemptsOf(db, refused)).toMatchObject([{ response_status: 401 }])
})

test('a token is renewed before it expires, beside the requests', async ({ db, receiver, sidecar }) => {
  await sidecar()
  const tokens = Array.from({ length: 50 }, aSecret)
  receiver.on('/token', ({ number }) => answer(tokens[number - 1] ?? '', { expires_in: '2' }))
  await subscribeWith(db, receiver.url('/hook'), { auth: oauth2(receiver) })
  let published = 0
  await eventually(async () => {
    await publish(db)
    published += 1
    expect(receiver.requests('/token').length).toBeGreaterThanOrEqual(4)
  })
  const known = new Map(tokens.map((token, i) => [`Bearer ${token}`, i + 1]))
  const used = receiver.requests('/hook').map(({ headers }) => known.get(headers.authorization ?? '') ?? 0)
  // One after the other, none skipped, and none before it was bought.
  expect([...new Set(used)]).toEqual(Array.from({ length: Math.max(...used) }, (_, i) => i + 1))
  expect(Math.max(...used)).toBeGreaterThanOrEqual(3)
  const all = await untilSettled(db, published)
  expect(new Set(all.map(({ attempts }) => attempts))).toEqual(new Set([1]))
})

const EVIL: readonly (readonly [string, Reply, string])[] = [
  ['hangs', hang(), 'timeout'],
  ['is down', respond(500, { body: 'a stack trace' }), 'status_500'],
  [
    'refuses the client',
    respond(401, { body: '{"error":"invalid_client","error_description":"of the server"}' }),
    'invalid_client',
  ],
  [
    'pours without end',
    { kind: 'flood', bytes: 50_000_000, headers: { ...JSON_TYPE } },
    'response_too_large',
  ],
  ['drips', { kind: 'drip', bytes: 1000, everyMs: 50 }, 'response_incomplete'],
  ['redirects', respond(307, { headers: { location: 'http://169.254.169.254/token' } }), 'status_307'],
  ['answers with a page', respond(200, { body: '<html>Log in</html>' }), 'no_token'],
  ['answers with a token of two lines', answer('ab\r\nx-evil: 1'), 'no_token'],
  ['has another kind of token', answer('a-mac-token', { token_type: 'mac' }), 'no_bearer_token'],
  ['hangs up', { kind: 'reset', after: 'request' }, 'reset'],
]

test.for(EVIL)(
  'a token server that %s fails the attempt as auth, and no more',
  async ([, evil, reason], { db, receiver, sidecar }) => {
    const { logs } = await sidecar()
    const token = aSecret()
    receiver.on('/token', [evil, answer(token)])
    const { id } = await subscribeWith(db, receiver.url('/hook'), {
      auth: oauth2(receiver),
      timeout: '300ms',
      retrySchedule: ['1500ms', '1500ms'],
    })
    const event = await publish(db)
    expect(await logs.waitFor('token.unavailable')).toMatchObject({
      level: 'warn',
      subscription_id: id,
      reason,
    })
    expect(await logs.waitFor('delivery.attempted')).toMatchObject({ outcome: 'pending', error: 'auth' })
    expect(receiver.requests('/hook')).toEqual([])
    await untilSettled(db, 1)
    expect(await attemptsOf(db, event)).toMatchObject([
      { error: 'auth', response_status: null, response_body: null },
      { error: null, response_status: 204 },
    ])
    const [first] = await attemptsOf(db, event)
    expect(first?.duration_ms).toBeLessThan(1_000)
    expect(receiver.requests('/hook').map(({ headers }) => headers.authorization)).toEqual([
      `Bearer ${token}`,
    ])
    expect(await wholeDatabase(db)).not.toContain('of the server')
  },
)

test('a token server at an address that must not be called is not called', async ({
  db,
  receiver,
  sidecar,
}) => {
  const { logs } = await sidecar({ WALHOOK_ALLOW_NETWORKS: '127.0.0.1/32' })
  await using inner = await RawEndpoint.open((socket) => socket.end(response(200, '{}')), { host: 'any' })
  const urls = [`http://127.0.0.2:${inner.port}/`, `http://[::1]:${inner.port}/`, 'http://169.254.169.254/']
  for (const url of urls)
    await subscribeWith(db, receiver.url('/hook'), { auth: oauth2(receiver, { token_url: url }) })
  await publish(db)
  await eventually(() => expect(logs.all('token.unavailable')).toHaveLength(urls.length))
  for (const line of logs.all('token.unavailable')) expect(line).toMatchObject({ reason: 'address_denied' })
  await eventually(async () =>
    expect((await deliveries(db)).map(({ state, last_error }) => [state, last_error])).toEqual(
      urls.map(() => ['pending', 'auth']),
    ),
  )
  expect(inner.sockets).toHaveLength(0)
  expect(receiver.requests()).toEqual([])
})
