/** The operator's commands as a shell runs them: what they print, what a program can read, and how they fail. */
import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { walhook, walhookHere, walhookJson } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const OTHER_SECRET = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'
const UUID = /^[0-9a-f-]{36}$/

interface Subscribed {
  readonly id: string
  readonly secret: string | null
  readonly created: boolean
}

interface Listed {
  readonly deliveries: readonly { readonly id: string; readonly state: string; readonly event_type: string }[]
}

test('subscribe, publish, look, resend: each command finds what the others made', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  const env = { DATABASE_URL: db.url }
  receiver.on('/hook', [respond(204, { body: '' }), respond(200, { body: 'again?\u001b[31m\nfine' })])

  const made = (await walhookJson(
    ['subscribe', receiver.url('/hook'), '--event-types', 'order.*'],
    env,
  )) as Subscribed
  expect(made).toEqual({
    id: expect.stringMatching(UUID),
    secret: expect.stringMatching(/^whsec_/),
    created: true,
  })
  receiver.verify('/hook', made.secret ?? '')

  const payload = '{"n": 12345678901234567890,  "b": 1.50}'
  const published = await walhookJson(
    ['publish', 'order.created', '-', '--key', 'k 1', '--tenant', 't'],
    env,
    payload,
  )
  expect(published).toEqual({ id: expect.stringMatching(UUID) })
  const [request] = await receiver.waitFor(1)
  expect(request?.forged).toBeUndefined()
  expect(request?.body.toString()).toContain(`"data":${payload}}`)

  const delivery = await eventually(async () => {
    const { deliveries } = (await walhookJson(['deliveries', 'list'], env)) as Listed
    expect(deliveries).toMatchObject([
      {
        state: 'delivered',
        event_type: 'order.created',
        key: 'k 1',
        tenant: 't',
        attempts: 1,
        last_status: 204,
      },
    ])
    return deliveries[0]
  })
  const id = delivery?.id ?? ''

  expect(await walhookJson(['resend', id], env)).toEqual({
    resent: [{ id, event_id: request?.id, subscription_id: made.id, attempts: 1 }],
  })
  const [, again] = await receiver.waitFor(2)
  expect(again?.id).toBe(request?.id)

  const shown = await eventually(async () => {
    const found = (await walhookJson(['deliveries', 'show', id], env)) as { attempts: readonly unknown[] }
    expect(found.attempts).toHaveLength(2)
    return found
  })
  expect(shown).toMatchObject({
    delivery: {
      id,
      state: 'delivered',
      subscription_id: made.id,
      created_at: expect.stringMatching(/T.*Z$/),
    },
    attempts: [
      { number: 1, response_status: 204, error: null },
      { number: 2, response_status: 200, response_body: 'again?\u001b[31m\nfine' },
    ],
  })
})

test('what is printed for a person is psql’s table, uncoloured in a pipe, and harmless to a terminal', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  const env = { DATABASE_URL: db.url }
  receiver.on('/hook', [respond(500, { body: 'sorry \u001b[2J\nline two' }), respond(204)])
  await walhook(['subscribe', receiver.url('/hook'), '--retry-schedule', '100ms'], env)
  await walhook(['publish', 'a.b', '{}', '--key', 'k\u001b[31m'], env)
  await receiver.waitFor(2)

  const list = await eventually(async () => {
    const { stdout } = await walhook(['deliveries', 'list'], env)
    expect(stdout).toContain('delivered')
    return stdout
  })
  const [head, rule, row, count] = list.split('\n')
  expect(head?.split('|').map((name) => name.trim())).toEqual([
    'id',
    'state',
    'event_type',
    'key',
    'url',
    'attempts',
    'last_status',
    'last_error',
    'waits_as',
    'created_at',
  ])
  expect(rule).toMatch(/^[-+]+$/)
  expect(row).toContain(String.raw`| delivered | a.b        | k\u001b[31m |`)
  expect(count).toBe('(1 row)')

  const { stdout: shown } = await walhook(['deliveries', 'show', '1'], env)
  expect(shown).toContain('state           | delivered\n')
  expect(shown).toMatch(/\n +1 \| .* \| +500 \|[ |]*\n +2 \| .* \| +204 \|[ |]*\n\(2 rows\)\n/)
  expect(shown).toContain(String.raw`  sorry \u001b[2J` + '\n  line two\n')
})

test('deliveries are listed by state, type, prefix and subscription, the newest first', async ({
  db,
  sidecar,
  receiver,
}) => {
  await sidecar()
  const env = { DATABASE_URL: db.url }
  const all = (await walhookJson(['subscribe', receiver.url('/all')], env)) as Subscribed
  const some = (await walhookJson(
    ['subscribe', receiver.url('/some'), '--event-types', 'order.paid'],
    env,
  )) as Subscribed
  for (const type of ['order.created', 'order.paid', 'orders'])
    await db.query('select walhook.publish($1, $2)', [type, '1'])
  await receiver.waitFor(4)

  const list = async (...args: readonly string[]): Promise<readonly string[]> => {
    const { deliveries } = (await walhookJson(['deliveries', 'list', ...args], env)) as Listed
    return deliveries.map(({ event_type: type }) => type)
  }
  await eventually(async () => expect(await list('--state', 'delivered')).toHaveLength(4))
  expect(await list()).toEqual(['orders', 'order.paid', 'order.paid', 'order.created'])
  expect(await list('--limit', '1')).toEqual(['orders'])
  expect(await list('--type', 'order.created')).toEqual(['order.created'])
  expect(await list('--type', 'order.*')).toEqual(['order.paid', 'order.paid', 'order.created'])
  expect(await list('--subscription', some.id)).toEqual(['order.paid'])
  expect(await list('--subscription', all.id, '--type', 'order.*')).toEqual(['order.paid', 'order.created'])
  expect(await list('--state', 'dead')).toEqual([])
})

test('a subscription’s options arrive in the database, and its secret is shown this once', async ({ db }) => {
  const env = { DATABASE_URL: db.url }
  const options = {
    '--event-types': 'a.*, b',
    '--tenant': 't',
    '--filter': '$.n > 1',
    '--description': 'for tests',
    '--secret': SECRET,
    '--timeout': '3s',
    '--retry-schedule': '1s,2m',
    '--retry-on': 'transient',
  }
  const args = ['subscribe', 'https://example.com/hook', ...Object.entries(options).flat()]
  const { code, stdout, stderr } = await walhook(args, env)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(
    /^id {6}[0-9a-f-]{36}\nsecret {2}whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n.*this once/,
  )
  expect(
    await db.query(
      'select url, event_types, tenant, filter::text, description, secret, timeout, retry_schedule, retry_on from walhook.subscriptions',
    ),
  ).toEqual([
    {
      url: 'https://example.com/hook',
      event_types: ['a.*', 'b'],
      tenant: 't',
      filter: '($."n" > 1)',
      description: 'for tests',
      secret: SECRET,
      timeout: '3s',
      retry_schedule: ['1s', '2m'],
      retry_on: 'transient',
    },
  ])
})

test('with --if-missing one subscription is made, however often and at once it is asked for', async ({
  db,
}) => {
  const env = { DATABASE_URL: db.url }
  const args = [
    'subscribe',
    'https://example.com/',
    '--event-types',
    'a,b',
    '--secret',
    SECRET,
    '--if-missing',
  ]
  const together = (await Promise.all([1, 2, 3].map(() => walhookJson(args, env)))) as Subscribed[]
  expect(together.filter(({ created }) => created)).toHaveLength(1)
  expect(new Set(together.map(({ id }) => id)).size).toBe(1)

  const reordered = ['subscribe', 'https://example.com/', '--event-types', 'b,a', '--if-missing']
  expect(await walhookJson(reordered, env)).toEqual({ id: together[0]?.id, secret: null, created: false })
  const otherTenant = (await walhookJson([...reordered, '--tenant', 't'], env)) as Subscribed
  expect(otherTenant.created).toBe(true)

  const otherSecret = await walhook([...reordered, '--secret', OTHER_SECRET], env)
  expect(otherSecret.code).toBe(0)
  expect(otherSecret.stderr).toContain('signs with another secret')
  expect(otherSecret.stdout + otherSecret.stderr).not.toMatch(/whsec_/)
})

test('an endpoint that the sidecar may refuse is worth a word, but not more', async ({ db }) => {
  const env = { DATABASE_URL: db.url }
  const subscribe = (url: string, more: Readonly<Record<string, string>> = {}) =>
    walhook(['subscribe', url], { ...env, ...more })
  const http = await subscribe('http://127.0.0.1:9000/')
  expect(http.code).toBe(0)
  expect(http.stderr).toMatch(/WALHOOK_ALLOW_HTTP=true\n.*WALHOOK_ALLOW_NETWORKS/)
  const allowed = { WALHOOK_ALLOW_HTTP: 'true', WALHOOK_ALLOW_NETWORKS: '127.0.0.0/8' }
  expect((await subscribe('http://127.0.0.1:9000/', allowed)).stderr).toBe('')
  expect((await subscribe('https://localhost/')).stderr).toContain('WALHOOK_ALLOW_NETWORKS')
  expect((await subscribe('https://example.com/')).stderr).toBe('')
})

const REFUSALS: readonly (readonly [args: readonly string[], says: RegExp])[] = [
  [['subscribe', 'ftp://example.com'], /url has to be an http or https URL/],
  [['subscribe', 'example.com'], /url has to be an http or https URL/],
  [['subscribe', 'https://user:pass@example.com'], /url .*it carries credentials/],
  [['subscribe', 'https://e.com', '--event-types', ''], /event_types has to be 1 to 100 patterns/],
  [['subscribe', 'https://e.com', '--event-types', 'or der'], /event_types has to be/],
  [['subscribe', 'https://e.com', '--filter', '$.a >'], /filter cannot be read: syntax error/],
  [['subscribe', 'https://e.com', '--filter', '$.a'], /filter has to be a predicate/],
  [['subscribe', 'https://e.com', '--tenant', ''], /tenant has to be 1 to 255/],
  [['subscribe', 'https://e.com', '--secret', 'whsec_c2hvcnQ='], /secret has to be whsec_/],
  [['subscribe', 'https://e.com', '--timeout', '1h'], /timeout has to be a duration/],
  [['subscribe', 'https://e.com', '--retry-schedule', '10'], /retry_schedule has to be .* durations/],
  [['subscribe', 'https://e.com', '--retry-on', 'never'], /retry_on has to be any or transient/],
  [['publish', 'not a type', '{}'], /type must be a dotted name/],
  [['publish', 'a.b', '{"secret": sesame}'], /payload has to be JSON/],
  [['publish', 'a.b', '{}', '--key', ''], /key must be 1 to 1000/],
  [['publish', 'a.b', '{}', '--headers', '["sesame"]'], /headers must be an object/],
  [['publish', 'a.b', '{}', '--headers', '{'], /headers has to be JSON/],
]

test('bad input is one line that names the field, quotes nothing that is stored, and exits with 2', async ({
  db,
}) => {
  for (const [args, says] of REFUSALS) {
    const { code, stdout, stderr } = await walhookHere(args, { DATABASE_URL: db.url })
    const [line, ...rest] = stderr.trimEnd().split('\n')
    expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
    expect(line).toMatch(says)
    expect(line).toMatch(/^walhook: .*\(invalid_input\)$/)
    expect(rest.length).toBeLessThanOrEqual(1)
    expect(stderr).not.toMatch(/sesame|c2hvcnQ|DETAIL|Failing row/)
  }
  expect(await db.query('select from walhook.subscriptions union all select from walhook.outbox')).toEqual([])
})

test('a payload that is too big, or not UTF-8, is refused with its field', async ({ db }) => {
  const env = { DATABASE_URL: db.url }
  const big = await walhook(['publish', 'a.b', '-'], env, JSON.stringify('x'.repeat(1024 * 1024)))
  expect(big).toMatchObject({ code: 2, stderr: expect.stringMatching(/payload must be at most 1 mib/) })
  const garbled = await walhook(['publish', 'a.b', '-'], env, Buffer.from([0x22, 0xff, 0x22]))
  expect(garbled).toMatchObject({ code: 2, stderr: expect.stringMatching(/payload has to be UTF-8/) })
})

test('what is not there exits with 1, and a resend of several is all or none', async ({ db }) => {
  const env = { DATABASE_URL: db.url }
  await db.query(
    `insert into walhook.deliveries (event_id, subscription_id, state, finished_at)
     values (gen_random_uuid(), gen_random_uuid(), 'dead', now())`,
  )
  const missing = { code: 1, stdout: '', stderr: 'walhook: there is no delivery 999 (not_found)\n' }
  expect(await walhook(['deliveries', 'show', '999'], env)).toEqual(missing)
  expect(await walhook(['resend', '1', '999'], env)).toEqual(missing)
  expect(await db.query('select state from walhook.deliveries')).toEqual([{ state: 'dead' }])
  expect(await walhook(['resend', '1', '1'], env)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^delivery 1 is due now.*\n$/),
  })
})

test('keys: what is blocked is listed, and released', async ({ db, receiver, sidecar }) => {
  const env = { DATABASE_URL: db.url }
  await sidecar()
  const key = 'order 1\u001b[31m'
  const { id: subscription } = await subscribe(db, receiver.url('/hook'), {
    ordering: 'key',
    retrySchedule: [],
  })
  receiver.on('/hook', [respond(500), respond(200)])
  await publish(db, { key })
  await publish(db, { key })
  const blocked = {
    subscription_id: subscription,
    key,
    delivery_id: '1',
    waiting: 1,
    last_status: 500,
    last_error: null,
  }
  await eventually(async () =>
    expect(await walhookJson(['keys', 'list', '--subscription', subscription], env)).toMatchObject({
      blocked_keys: [blocked],
    }),
  )
  expect((await walhookHere(['keys', 'list'], env)).stdout).toContain('order 1\\u001b[31m')
  expect(await walhookHere(['keys', 'release', subscription, 'order 2'], env)).toMatchObject({
    code: 1,
    stderr: `walhook: no dead delivery blocks key 'order 2' of subscription ${subscription} (not_found)\n`,
  })
  expect((await walhookHere(['keys', 'release', subscription, key], env)).stdout).toBe(
    'key order 1\\u001b[31m goes on; delivery 1 stays dead\n',
  )
  await untilSettled(db, 2)
  expect(await walhookJson(['keys', 'list'], env)).toEqual({ blocked_keys: [] })
})

const BAD_USAGE: readonly (readonly string[])[] = [
  ['frobnicate'],
  ['subscribe'],
  ['subscribe', 'https://example.com', '--colour', 'blue'],
  ['deliveries', 'list', '--state', 'lost'],
  ['deliveries', 'list', '--limit', '0'],
  ['deliveries', 'list', '--subscription', '7'],
  ['deliveries', 'show', 'seven'],
  ['resend'],
  ['resend', '99999999999999999999'],
  ['listen', '--listen', '9000'],
  ['listen', '--secret', 'whsec_short'],
]

test('bad usage exits with 2 and says what to look at', async () => {
  for (const args of BAD_USAGE) {
    const { code, stdout, stderr } = await walhookHere(args)
    expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
    expect(stderr).toMatch(/^walhook: .+\n/)
    expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(2)
  }
})

test('the help of run lists every setting with its default', async () => {
  const { code, stdout } = await walhook(['run', '--help'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/^ {2}DATABASE_URL .*\(required\)$/m)
  expect(stdout).toMatch(/^ {2}WALHOOK_LISTEN .*\(default: 127\.0\.0\.1:8788\)$/m)
  expect(await walhook(['--version'])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
  })
})

test('migrate says what it did, and the second time that nothing was left to do', async ({ db, plugin }) => {
  const env = { DATABASE_URL: db.url, WALHOOK_SLOT: db.slot, WALHOOK_PLUGIN: plugin }
  expect(await walhookJson(['migrate'], env)).toEqual({
    applied: [],
    slot: db.slot,
    plugin: expect.stringMatching(/^(wal2json|pgoutput)$/),
    publication: 'walhook',
    lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
  })
  const { code, stdout, stderr } = await walhook(['migrate'], env)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^The schema is up to date\.\nSlot .* decodes with .*\n$/)
})

test('--if-missing compares with a sealed secret where it has the key, and says so where not', async ({
  db,
  sidecar,
}) => {
  const withKey = { WALHOOK_ENCRYPTION_KEY: randomBytes(32).toString('base64') }
  await sidecar(withKey)
  const args = ['subscribe', 'https://example.com/', '--if-missing', '--secret']
  const note = async (secret: string, env: Readonly<Record<string, string>>): Promise<string> => {
    const { code, stderr } = await walhook([...args, secret], { DATABASE_URL: db.url, ...env })
    expect(code).toBe(0)
    return stderr
  }
  expect(await note(SECRET, {})).toBe('')
  await expect
    .poll(() => db.query(`select from walhook.subscriptions where secret like 'enc:%'`))
    .toHaveLength(1)
  expect(await note(SECRET, withKey)).toBe('')
  expect(await note(OTHER_SECRET, withKey)).toContain('signs with another secret')
  expect(await note(SECRET, {})).toContain(
    'has a sealed secret, which only WALHOOK_ENCRYPTION_KEY could compare',
  )
})
