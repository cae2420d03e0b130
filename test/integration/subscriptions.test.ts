/** Subscriptions by psql and by command: looked at, made, changed, paused and deleted, by the same functions. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'vitest'
import { walhookHere, walhookHereJson } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { confide } from '../support/leak-watch.ts'
import { COMPILED_ONCE, MAIN } from '../support/program.ts'
import { subscribe } from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

interface Shown {
  readonly subscription: Readonly<Record<string, unknown>> & { readonly id: string; readonly version: string }
}

interface Listed {
  readonly subscriptions: readonly Shown['subscription'][]
}

function envOf(db: TestDatabase): Readonly<Record<string, string>> {
  return { DATABASE_URL: db.url }
}

test('what is made is shown with every option, by name or id, and none of its secrets', async ({ db }) => {
  const env = envOf(db)
  const made = (await walhookHereJson(
    (
      'subscriptions create https://example.com/hook --name accounting --tenant acme --event-types order.*,invoice.issued ' +
      `--secret ${SECRET} --batch {"max_events":7} --handshake --ttl 2d`
    )
      .split(' ')
      .concat('--filter', '$.amount > 100', '--headers', '{"x-team":"billing","X-Api-Key":"open sesame"}')
      .concat('--auth', '{"type":"bearer","token":"tok-3f9c2a7d"}'),
    env,
  )) as { id: string; secret: string; created: boolean }
  expect(made).toEqual({ id: expect.any(String), secret: SECRET, created: true })
  confide('tok-3f9c2a7d', 'a token')

  const { subscription } = (await walhookHereJson(['subscriptions', 'show', 'accounting'], env)) as Shown
  expect(subscription).toMatchObject({
    id: made.id,
    name: 'accounting',
    tenant: 'acme',
    url: 'https://example.com/hook',
    event_types: ['order.*', 'invoice.issued'],
    filter: '($."amount" > 100)',
    state: 'active',
    secret_preview: 'whsec_…LaSw',
    headers: { 'x-team': 'billing', 'X-Api-Key': '…' },
    has_auth: true,
    has_tls: false,
    handshake: true,
    batch: { max_events: 7 },
    ttl: '2d',
    timeout: '15s',
    retry_schedule: ['5s', '5m', '30m', '2h', '5h', '10h', '14h', '20h', '24h'],
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
    health: { failures_in_a_row: 0, pending: 0, dead: 0, last_delivered_at: null },
    recent: [],
  })
  expect(Object.keys(subscription)).not.toContain('secret')
  const { stdout } = await walhookHere(['subscriptions', 'show', made.id], env)
  expect(stdout).toMatch(/^name +\| accounting$/m)
  expect(stdout).not.toMatch(/sesame|tok-3f9c2a7d/)
  const [inPsql] = await db.query('select * from walhook.subscription_overview')
  expect(inPsql).toMatchObject({ name: 'accounting', headers: subscription['headers'], has_auth: true })
})

test('an update changes what it names and nothing else; what is reset is what it was by default', async ({
  db,
}) => {
  const env = envOf(db)
  const { id } = await subscribe(db, 'https://example.com/', { timeout: '3s', tenant: 't' })
  await db.query(
    `update walhook.subscriptions set ttl = '1h', headers = '{"x-token":"open sesame","x-a":"1"}'`,
  )
  const update = async (...flags: readonly string[]): Promise<Shown['subscription']> =>
    ((await walhookHereJson(['subscriptions', 'update', id, ...flags], env)) as Shown).subscription

  const first = await update(
    '--timeout',
    '7s',
    '--event-types',
    'a.b',
    '--headers',
    '{"x-token":"…","x-b":"2"}',
  )
  expect(first).toMatchObject({ timeout: '7s', event_types: ['a.b'], ttl: '1h', tenant: 't' })
  expect(await db.query('select headers, match_keys from walhook.subscriptions')).toEqual([
    { headers: { 'x-token': 'open sesame', 'x-b': '2' }, match_keys: ['t:a.b'] },
  ])
  const second = await update('--reset', 'timeout,ttl,headers')
  expect(second).toMatchObject({ timeout: '15s', ttl: null, headers: {}, event_types: ['a.b'] })
  expect(second.version).not.toBe(first.version)
  expect((await update('--timeout', '15s')).version).toBe(second.version)

  for (const [version, changed] of [
    [first.version, '15s'],
    [second.version, '9s'],
  ]) {
    await db
      .query('select walhook.change_subscription($1, $2, $3)', [id, '{"timeout": "9s"}', version])
      .catch((error: unknown) => expect(error).toMatchObject({ code: 'WH412' }))
    expect(await db.query('select timeout from walhook.subscriptions')).toEqual([{ timeout: changed }])
  }
})

test('what cannot be is refused by its field, whichever way it comes, and changes nothing', async ({
  db,
}) => {
  const { id } = await subscribe(db, 'https://example.com/')
  await db.query(`update walhook.subscriptions set name = 'taken'`)
  const other = await subscribe(db, 'https://example.org/')
  const refusals: readonly (readonly [changes: string, says: RegExp, column?: string])[] = [
    ['{"timeout": "1h"}', /^timeout has to be/, 'timeout'],
    ['{"filter": "$.a >"}', /^filter cannot be read: syntax error/, 'filter'],
    ['{"max_in_flight": "many"}', /^max_in_flight cannot be read/, 'max_in_flight'],
    ['{"retry_schedule": {"a": 1}}', /^retry_schedule cannot be read/, 'retry_schedule'],
    ['{"url": null}', /^url has to be/, 'url'],
    ['{"colour": "blue"}', /^colour is no option/, 'colour'],
    ['{"state": "paused"}', /^state is no option/, 'state'],
    ['{"secret": "x"}', /^secret is no option/, 'secret'],
    ['{"auth": "enc:v1:a:b:c"}', /^auth has to be plain/, 'auth'],
    ['{"name": ""}', /^name has to be/, 'name'],
    ['{"name": "0192b4a0-0000-7000-8000-000000000000"}', /^name has to be told apart/, 'name'],
    ['{"name": "taken"}', /^name is taken/, 'name'],
    ['{"headers": {"x-key": "…"}}', /^headers needs for x-key/, 'headers'],
  ]
  const before = await db.query('select to_jsonb(s) from walhook.subscriptions as s where id = $1', [
    other.id,
  ])
  for (const [changes, says, column] of refusals) {
    const refused: unknown = await db
      .query('select walhook.change_subscription($1, $2)', [other.id, changes])
      .catch((error: unknown) => error)
    expect(refused, changes).toMatchObject({ message: expect.stringMatching(says), column })
  }
  expect(
    await db.query('select to_jsonb(s) from walhook.subscriptions as s where id = $1', [other.id]),
  ).toEqual(before)
  // Another tenant has names of its own.
  await db.query(`select walhook.change_subscription($1, '{"name": "taken", "tenant": "t"}')`, [other.id])
  const env = envOf(db)
  for (const [args, says] of [
    [['update', id], /nothing is to be changed/],
    [['update', id, '--reset', 'colour'], /colour is no option/],
    [['update', id, '--url', 'ftp://example.com'], /url has to be an http or https URL/],
    [['update', id, '--batch', '{'], /batch has to be JSON/],
    [['rotate-secret', id, '--overlap', 'soon'], /overlap has to be a duration/],
  ] as const)
    expect(await walhookHere(['subscriptions', ...args], env)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(says),
    })
  expect(await walhookHere(['subscriptions', 'show', 'nobody'], env)).toMatchObject({
    code: 1,
    stderr: 'walhook: there is no subscription nobody (not_found)\n',
  })
})

test('a name means one subscription: the one without a tenant, or the one of the tenant before the slash', async ({
  db,
}) => {
  const env = envOf(db)
  const ids: string[] = []
  for (const tenant of ['a/b', 'u', undefined])
    ids.push((await subscribe(db, 'https://example.com/', tenant === undefined ? {} : { tenant })).id)
  await db.query(`update walhook.subscriptions set name = 'one/two' where tenant is not null`)
  const shown = async (which: string): Promise<unknown> =>
    ((await walhookHereJson(['subscriptions', 'show', which], env)) as Shown).subscription.id
  expect(await walhookHere(['subscriptions', 'show', 'one/two'], env)).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/several tenants have a subscription with the name one\/two/),
  })
  expect(await shown('a/b/one/two')).toBe(ids[0])
  expect(await shown('u/one/two')).toBe(ids[1])
  await db.query(`update walhook.subscriptions set name = 'one/two' where tenant is null`)
  expect(await shown('one/two')).toBe(ids[2])
})

test('they are listed by state, tenant, url, name and event type, the newest first', async ({ db }) => {
  const env = envOf(db)
  for (const [url, wish] of [
    ['https://one.example/', { eventTypes: ['order.*'] }],
    ['https://two.example/', { eventTypes: ['order.paid'], tenant: 't' }],
    ['https://three.example/', { eventTypes: ['*'], tenant: 'u' }],
  ] as const)
    await subscribe(db, url, wish)
  await db.query(`select walhook.pause(id, 'moving') from walhook.subscriptions where tenant = 't'`)
  const list = async (...flags: readonly string[]): Promise<readonly unknown[]> =>
    ((await walhookHereJson(['subscriptions', 'list', ...flags], env)) as Listed).subscriptions.map(
      ({ url }) => /\/\/(\w+)/.exec(String(url))?.[1],
    )
  expect(await list()).toEqual(['three', 'two', 'one'])
  expect(await list('--limit', '2')).toEqual(['three', 'two'])
  expect(await list('--state', 'paused')).toEqual(['two'])
  expect(await list('--tenant', 'u')).toEqual(['three'])
  expect(await list('--url', 'ONE.ex')).toEqual(['one'])
  expect(await list('--event-type', 'order.paid')).toEqual(['three', 'two', 'one'])
  expect(await list('--event-type', 'order.created')).toEqual(['three', 'one'])
  expect(await list('--failing')).toEqual([])
  await db.query(
    `insert into walhook.failing_endpoints (subscription_id, since, failures, last_failure_at)
     select id, now(), 3, now() from walhook.subscriptions where tenant is distinct from 'u'`,
  )
  expect(await list('--failing')).toEqual(['one'])
  const { stdout } = await walhookHere(['subscriptions', 'list', '--tenant', 't'], env)
  expect(stdout).toMatch(/\| paused \| https:\/\/two\.example\/ \| t +\| order\.paid +\|/)
})

test('pause, resume, rotate and delete act, and deleting asks first', async ({ db }) => {
  const env = envOf(db)
  const { id } = await subscribe(db, 'https://example.com/', { secret: SECRET })
  await db.query(`update walhook.subscriptions set name = 'mine'`)
  expect(
    (await walhookHere(['subscriptions', 'pause', 'mine', '--reason', 'a\u001bb'], env)).stdout,
  ).toContain(`subscription mine (${id}) is paused`)
  expect(await db.query('select state, state_reason from walhook.subscriptions')).toEqual([
    { state: 'paused', state_reason: 'a\u001bb' },
  ])
  expect((await walhookHere(['subscriptions', 'resume', id], env)).stdout).toContain('is active')

  const rotated = (await walhookHereJson(
    ['subscriptions', 'rotate-secret', 'mine', '--overlap', '2h'],
    env,
  )) as {
    secret: string
  }
  expect(rotated).toMatchObject({ id, secret: expect.stringMatching(/^whsec_/) })
  expect(
    await db.query(
      `select secret, previous_secret, previous_secret_until - now() between '1h' and '2h' as soon from walhook.subscriptions`,
    ),
  ).toEqual([{ secret: rotated.secret, previous_secret: SECRET, soon: true }])

  const remove = (...flags: readonly string[]) =>
    walhookHere(['subscriptions', 'delete', 'mine', ...flags], env)
  expect(await remove()).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/\[y\/N\]\n.*nobody is there/),
  })
  expect(await db.query('select from walhook.subscriptions')).toHaveLength(1)
  expect(await remove('--yes')).toMatchObject({ code: 0, stdout: `subscription mine (${id}) is deleted\n` })
  expect(await db.query('select from walhook.subscriptions')).toEqual([])
})

test('Ctrl-C at the question ends the command, and nothing was done', async ({ db }) => {
  const { id } = await subscribe(db, 'https://example.com/')
  const child = spawn(process.execPath, [MAIN, 'subscriptions', 'delete', id], {
    env: { PATH: process.env['PATH'] ?? '', ...COMPILED_ONCE, DATABASE_URL: db.url },
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await eventually(() => expect(said).toContain('[y/N]'), { withinMs: 30_000 })
  child.kill('SIGINT')
  expect(await once(child, 'close')).toEqual([null, 'SIGINT'])
  expect(await db.query('select from walhook.subscriptions')).toHaveLength(1)
})
