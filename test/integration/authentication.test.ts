/** Basic and bearer credentials: sent as they should be, sealed at rest, refused where they cannot be, and never repeated. */
import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { aSecret, certificate, client, subscribeWith, wholeDatabase } from '../support/access.ts'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { attemptsOf, deliveries, publish, untilSettled } from '../support/sql-surface.ts'

const [KEY, OTHER_KEY] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')]
const WITH_KEY = { WALHOOK_ENCRYPTION_KEY: KEY }

eachPlugin(() => {
  test('basic and bearer credentials arrive, and a change of them does within a second', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const [password, token] = [`${aSecret()}: ß`, aSecret()]
    const { id } = await subscribeWith(db, receiver.url('/basic'), {
      auth: { type: 'basic', username: 'wälhook', password },
    })
    await subscribeWith(db, receiver.url('/bearer'), { auth: { type: 'bearer', token } })
    await subscribeWith(db, receiver.url('/none'), {})
    await publish(db)
    const sent = new Map(
      (await receiver.waitFor(3)).map(({ path, headers }) => [path, headers.authorization]),
    )
    expect(Object.fromEntries(sent)).toEqual({
      '/basic': `Basic ${Buffer.from(`wälhook:${password}`).toString('base64')}`,
      '/bearer': `Bearer ${token}`,
      '/none': undefined,
    })
    await db.query('update walhook.subscriptions set auth = null where id = $1', [id])
    await eventually(async () => {
      await publish(db)
      expect(receiver.requests('/basic').at(-1)?.headers.authorization).toBeUndefined()
    })
  })
})

test('a 401 to fixed credentials is an answer like any other', async ({ db, receiver, sidecar }) => {
  await sidecar()
  receiver.on('/hook', () => ({ kind: 'respond', status: 401, body: 'who are you?' }))
  const auth = { type: 'bearer', token: aSecret() }
  await subscribeWith(db, receiver.url('/hook'), { auth, retrySchedule: ['20ms'] })
  const event = await publish(db)
  await untilSettled(db, 1)
  expect(await attemptsOf(db, event)).toMatchObject([
    { response_status: 401, response_body: 'who are you?' },
    { response_status: 401, response_body: 'who are you?' },
  ])
})

test('credentials and certificates are sealed without a preview, with a new key anew, and still serve', async ({
  db,
  receiver,
  sidecar,
}) => {
  const first = await sidecar(WITH_KEY)
  const token = aSecret()
  const tls = { ca: certificate('authority.pem'), ...client('client-a') }
  await subscribeWith(db, receiver.url('/hook'), { auth: { type: 'bearer', token } })
  await subscribeWith(db, 'https://127.0.0.1:1/', { tls })
  const sealed = async (keyCount: number): Promise<readonly string[]> =>
    eventually(async () => {
      const rows = await db.query<{ text: string | null }>(
        'select unnest(array[auth, tls]) as text from walhook.subscriptions order by created_at',
      )
      const texts = rows.flatMap(({ text }) => text ?? [])
      expect(texts).toHaveLength(2)
      for (const text of texts) expect(text).toMatch(/^enc:v1:[0-9a-f]{8}::[A-Za-z0-9+/]+=*$/)
      const ids = await db.query<{ id: string | null }>(
        `select distinct split_part(unnest(array[secret, auth, tls]), ':', 3) as id from walhook.subscriptions`,
      )
      expect(ids.filter(({ id }) => id !== null)).toHaveLength(keyCount)
      return texts
    })
  const before = await sealed(1)
  expect(await wholeDatabase(db)).not.toContain(token)
  expect(await wholeDatabase(db)).not.toContain('PRIVATE KEY')
  await publish(db)
  expect((await receiver.waitFor(1))[0]?.headers.authorization).toBe(`Bearer ${token}`)
  await first.stop()

  const both = await sidecar({ WALHOOK_ENCRYPTION_KEY: `${OTHER_KEY},${KEY}` })
  await both.logs.waitFor('secrets.old_keys_unused')
  const after = await sealed(1)
  expect(after.map((text, i) => text === before[i])).toEqual([false, false])
  await both.stop()
  await sidecar({ WALHOOK_ENCRYPTION_KEY: OTHER_KEY })
  await publish(db)
  expect((await receiver.waitFor(2))[1]?.headers.authorization).toBe(`Bearer ${token}`)
})

test('sealed credentials of another row are not used: its deliveries wait, and the others’ do not', async ({
  db,
  receiver,
  sidecar,
}) => {
  const first = await sidecar(WITH_KEY)
  const theirs = await subscribeWith(db, receiver.url('/theirs'), {
    auth: { type: 'bearer', token: aSecret() },
  })
  const mine = await subscribeWith(db, receiver.url('/mine'), { auth: { type: 'bearer', token: aSecret() } })
  await eventually(async () =>
    expect(await db.query(`select id from walhook.subscriptions where auth not like 'enc:%'`)).toEqual([]),
  )
  await first.stop()
  await db.query(
    'update walhook.subscriptions set auth = (select auth from walhook.subscriptions where id = $2) where id = $1',
    [mine.id, theirs.id],
  )
  const { logs } = await sidecar(WITH_KEY)
  await publish(db)
  await receiver.waitFor(1, { path: '/theirs' })
  expect(await logs.waitFor('secret.unreadable')).toMatchObject({
    subscription_id: mine.id,
    column: 'auth',
    reason: 'not_authentic',
  })
  await eventually(async () =>
    expect(await deliveries(db, mine)).toMatchObject([{ waits_as: 'waiting', attempts: 0 }]),
  )
  expect(receiver.requests('/mine')).toEqual([])
})

const SECRET = 'hunter2-hunter2'
const PEM = certificate('client-a.pem')
const oauth2 = {
  type: 'oauth2',
  token_url: 'https://login.example.com/token',
  client_id: 'a',
  client_secret: SECRET,
}

const REFUSED: readonly (readonly [string, 'auth' | 'tls', unknown, string])[] = [
  ['no JSON', 'auth', SECRET, 'has to be a JSON object'],
  ['no JSON at its end', 'auth', `{"type":"bearer","token":"${SECRET}"`, 'has to be a JSON object'],
  ['an array', 'auth', [SECRET], 'has to be a JSON object'],
  ['a number', 'auth', { type: 'bearer', token: 1 }, 'has to be a JSON object of texts'],
  ['no type', 'auth', { token: SECRET }, 'has to have a type'],
  ['an unknown type', 'auth', { type: SECRET }, 'has to have a type, which is basic, bearer or oauth2'],
  [
    'a missing field',
    'auth',
    { type: 'basic', username: SECRET },
    'of type basic has to have type, username, password, and',
  ],
  [
    'a field too many',
    'auth',
    { type: 'bearer', token: SECRET, [SECRET]: '' },
    'of type bearer has to have type, token, and nothing else',
  ],
  [
    'a control character in a password',
    'auth',
    { type: 'basic', username: 'a', password: `${SECRET}\n` },
    'without control characters',
  ],
  [
    'a control character in a token',
    'auth',
    { type: 'bearer', token: `${SECRET}\r\nx: y` },
    'without control characters',
  ],
  [
    'a C1 control character',
    'auth',
    { type: 'basic', username: 'a', password: `${SECRET}\u009b` },
    'without control characters',
  ],
  ['a zero', 'auth', `{"type":"bearer","token":"${SECRET}\\u0000"}`, 'has to be a JSON object'],
  [
    'a colon in a username',
    'auth',
    { type: 'basic', username: 'a:b', password: SECRET },
    'a username without a colon',
  ],
  ['a token with a space', 'auth', { type: 'bearer', token: `${SECRET} x` }, 'visible ASCII characters'],
  ['an empty token', 'auth', { type: 'bearer', token: '' }, 'visible ASCII characters'],
  [
    'a token_url that is none',
    'auth',
    { ...oauth2, token_url: 'file:///etc/passwd' },
    'a token_url that is an http or https URL',
  ],
  ['an empty client_id', 'auth', { ...oauth2, client_id: '' }, 'that are not empty'],
  [
    'an unknown client_auth',
    'auth',
    { ...oauth2, client_auth: SECRET },
    'a client_auth that is basic or post',
  ],
  ['too much', 'auth', { type: 'bearer', token: SECRET.repeat(5_000) }, 'has to be at most 64 KiB'],
  ['a sealed text', 'auth', `enc:v1:0123abcd::${'A'.repeat(64)}`, 'has to be plain'],
  ['nothing', 'tls', {}, 'has to be a JSON object with ca, or cert and key'],
  ['a field too many', 'tls', { ca: PEM, password: SECRET }, 'has to be a JSON object with ca'],
  ['a certificate without a key', 'tls', { cert: PEM }, 'has to have cert and key together'],
  ['a key alone', 'tls', { key: certificate('client-a.key') }, 'has to have cert and key together'],
  ['a ca that is no PEM', 'tls', { ca: SECRET }, 'a ca that is PEM'],
  ['a cert that is no PEM', 'tls', { ...client('client-a'), cert: SECRET }, 'a cert that is PEM'],
  ['a key that is no PEM', 'tls', { cert: PEM, key: PEM }, 'a key that is PEM and has no passphrase'],
  [
    'a key with a passphrase',
    'tls',
    {
      cert: PEM,
      key: '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n',
    },
    'has no passphrase',
  ],
  ['too much', 'tls', { ca: PEM.repeat(200) }, 'has to be at most 64 KiB'],
]

test.for(REFUSED)('%s is refused in %s, and not repeated', async ([, column, value, rule], { db }) => {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const error: unknown = await db
    .query(`select walhook.subscribe('https://example.com/', ${column} => $1)`, [text])
    .catch((refusal: unknown) => refusal)
  if (!(error instanceof Error)) throw new Error('it was not refused')
  expect(error).toMatchObject({ code: '22023', column })
  expect(error.message).toContain(rule)
  const told = [error.message, ...Object.values(error)].join('\n')
  expect(told).not.toContain(SECRET)
  expect(told).not.toContain('MII')
})

test('certificates do not go with a URL that knows none', async ({ db }) => {
  const { id } = await subscribeWith(db, 'https://example.com/', { tls: client('client-a') })
  await expect(
    db.query('update walhook.subscriptions set url = $1 where id = $2', ['http://example.com/', id]),
  ).rejects.toMatchObject({ column: 'tls', message: 'tls has to go with an https URL' })
})
