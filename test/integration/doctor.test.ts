/**
 * `walhook doctor` on databases and servers that are well, empty, away or broken in some way: what it says, that what it says
 * mends it, and that it changes nothing and sends nothing.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, inject, onTestFinished } from 'vitest'
import { CHECKS, type CheckId } from '../../src/core/doctor.ts'
import { Database } from '../../src/store/database.ts'
import { readOnly } from '../../src/store/read-only.ts'
import { certificate, client, subscribeWith } from '../support/access.ts'
import { type CommandResult, walhookHere } from '../support/command-line.ts'
import { ConnectProxy } from '../support/connect-proxy.ts'
import { type Check, doctor, type Report } from '../support/doctor.ts'
import { type Environment, sidecarEnvironment, test } from '../support/fixtures.ts'
import { eventually } from '../support/eventually.ts'
import { RawEndpoint } from '../support/raw-endpoint.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'
import { TestDatabase } from '../support/test-database.ts'

/** Everything that is not well, and that a test's server need not be. */
function complaints({ checks }: Report): readonly string[] {
  const asTheServerIs: readonly CheckId[] = ['slot_limit', 'durability', 'version', 'wal_senders']
  return checks
    .filter(({ id, status }) => (status === 'problem' || status === 'warning') && !asTheServerIs.includes(id))
    .map(({ id, summary }) => `${id}: ${summary}`)
}

const lines = ({ steps }: Check): readonly string[] => steps.map(({ text }) => text)

/** Every row of every table, and where the slots stand. */
async function tablesOf(db: TestDatabase): Promise<readonly unknown[]> {
  const tables = await db.query<{ name: string }>(
    `select oid::regclass::text as name from pg_class
     where relkind = 'r' and relnamespace in ('walhook'::regnamespace, 'walhook_jobs'::regnamespace) order by 1`,
  )
  const slots = await db.query(
    `select slot_name, restart_lsn, confirmed_flush_lsn from pg_replication_slots where slot_name = $1`,
    [db.slot],
  )
  const dumps = await Promise.all(
    tables.map(({ name }) => db.query(`select t::text as row from ${name} as t`)),
  )
  return [slots, ...dumps]
}

async function migrate(env: Environment): Promise<void> {
  const { code, stderr } = await walhookHere(['migrate'], env)
  expect(code, stderr).toBe(0)
}

test('where everything is well it says so of every check, and the endpoint gets no request', async ({
  db,
  receiver,
  sidecar,
}) => {
  const env = sidecarEnvironment(db, 'auto')
  await sidecar()
  await subscribe(db, receiver.url('/hook'))
  await publish(db)
  await untilSettled(db, 1)
  const report = await doctor(env)
  expect(complaints(report)).toEqual([])
  expect(report).toMatchObject({ code: 0, stderr: '' })
  expect(report.checks.map(({ id }) => id)).toEqual(Object.keys(CHECKS))
  expect(report.of('sidecar').summary).toContain(`a sidecar streams slot ${db.slot}`)
  expect(report.of('replicas').summary).toMatch(/\) is (starting|streaming)$/)
  expect(receiver.requests()).toHaveLength(1)
})

test('an empty database reads as the document shows it, and nothing is changed', async () => {
  const empty = await TestDatabase.clone(inject('postgres').url, 'template0', 'doctor empty')
  onTestFinished(() => empty.drop())
  const { code, stdout, stderr } = await walhookHere(['doctor', '--skip-endpoints'], {
    DATABASE_URL: empty.url,
  })
  expect(code).toBe(1)
  const page = readFileSync(path.join(import.meta.dirname, '..', '..', 'docs', 'doctor.md'), 'utf8')
  const [, example = ''] = /^```\n\$ walhook doctor .*\n([^]*?)^```/m.exec(page) ?? []
  const { host, pathname } = new URL(empty.url)
  const said = `${stdout}${stderr}`.replaceAll(
    `postgres://${host}${pathname}`,
    'postgres://127.0.0.1:5432/shop',
  )
  const shown = example.trimEnd().split('\n')
  expect(shown.length).toBeGreaterThan(8)
  expect(said.split('\n')).toEqual(expect.arrayContaining(shown))
  expect(await empty.query(`select from pg_namespace where nspname like 'walhook%'`)).toEqual([])
  expect(await empty.query(`select from pg_replication_slots where database = current_database()`)).toEqual(
    [],
  )
})

test('a host that does not answer is told once for each way to it, and the rest rests on it', async () => {
  const url = 'postgres://walhook:sesame-open-up@127.0.0.1:1/shop?application_name=s3cr3t-query'
  const report = await doctor({ DATABASE_URL: url })
  expect(report.code).toBe(1)
  expect(report.checks.filter(({ status }) => status === 'problem').map(({ id }) => id)).toEqual([
    'database',
    'replication',
  ])
  expect(report.of('slot')).toMatchObject({ status: 'skipped', summary: 'the database cannot be asked' })
  expect(JSON.stringify(report)).not.toMatch(/sesame|s3cr3t/)
})

test('settings that cannot be read end it with 2, for a program in JSON', async () => {
  const report = await doctor({ DATABASE_URL: 'mysql://x', WALHOOK_SLOTT: '1' })
  expect(report).toMatchObject({ code: 2, stderr: expect.stringContaining('(configuration)') })
  expect(report.checks).toMatchObject([{ id: 'configuration', status: 'problem' }])
})

test('what is broken in the database is found at once, and mended by the lines that it gives', async ({
  db,
}) => {
  const env = { ...sidecarEnvironment(db, 'pgoutput'), WALHOOK_ALLOW_NETWORKS: '' }
  await migrate(env)
  const { id } = await subscribe(db, 'https://127.0.0.1:1/hook')
  await subscribe(db, 'https://127.0.0.1:1/hook')
  await db.query(`alter publication walhook set (publish = 'update')`)
  await db.query(
    `update walhook.subscriptions set state = 'disabled', state_reason = 'failing' where id = $1`,
    [id],
  )
  await db.query(`select pg_replication_slot_advance($1, pg_current_wal_insert_lsn())`, [db.slot])
  await db.query(
    `update walhook.relay set rescan_from = 'epoch', rescan_to = '1', rescan_reason = 'slot_lost'`,
  )
  await db.query(
    `insert into walhook.malformed (slot_name, lsn, row_in_transaction, reason, raw) values ('s', '0/1', 0, 'r', '{}')`,
  )
  await db.query(
    `insert into walhook.dead_events (event_id, type, reason) values (gen_random_uuid(), 't', 'unknown_type')`,
  )
  await db.query(
    `insert into walhook.deliveries (event_id, subscription_id, state, finished_at, next_attempt_at, last_error, order_key, holds_key_until)
     select gen_random_uuid(), s.id, v.state, v.finished, v.next, 'dns', v.key, v.holds
     from walhook.subscriptions as s,
       (values
         ('dead', now(), null::timestamptz, null::uuid, null::timestamptz),
         ('dead', now(), null, gen_random_uuid(), 'infinity'),
         ('pending', null, now() - interval '1 hour', null, null)) as v (state, finished, next, key, holds)
     where s.state = 'active'`,
  )
  await db.query(
    `insert into walhook.outbox (type, payload, created_at)
     values ('order.created', '{}', now() - interval '1 minute'), ('order.created', '{}', now() - interval '90 days')`,
  )
  await db.query(`update walhook.migrations set checksum = 'other' where version = 0`)
  const before = await tablesOf(db)

  const report = await doctor(env)
  expect(report.code).toBe(1)
  expect(report.statuses).toMatchObject({
    database: 'ok',
    schema: 'warning',
    publication: 'problem',
    slot: 'ok',
    sidecar: 'problem',
    slot_position: 'warning',
    gap: 'warning',
    malformed: 'warning',
    dead_events: 'warning',
    retention: 'warning',
    subscriptions: 'warning',
    dead_letters: 'warning',
    blocked_keys: 'warning',
    backlog: 'problem',
    endpoints: 'problem',
  } satisfies Report['statuses'])
  expect(report.of('sidecar').summary).toContain('2 events wait')
  expect(report.of('dead_letters').summary).toMatch(/^2 deliveries died in the last day, 2 of them of dns/)
  expect(report.of('endpoints').summary).toContain('127.0.0.1 is not a public address')
  expect(await tablesOf(db)).toEqual(before)

  for (const check of [report.of('publication'), report.of('subscriptions')])
    for (const { kind, text } of check.steps) if (kind === 'sql') await db.query(text)
  await migrate(env)
  const after = await doctor(env, '--skip-endpoints')
  expect(after.statuses).toMatchObject({
    schema: 'ok',
    publication: 'ok',
    subscriptions: 'ok',
    slot_position: 'ok',
  })

  await db.query(`delete from walhook.migrations where version = 13`)
  expect((await doctor(env, '--skip-endpoints')).of('schema')).toMatchObject({
    status: 'problem',
    summary: expect.stringContaining('0013'),
  })
  await db.query(`insert into walhook.migrations (version, name, checksum) values (9999, 'n', 'c')`)
  const newer = await doctor(env, '--skip-endpoints')
  expect(newer.of('schema')).toMatchObject({ status: 'problem', summary: expect.stringContaining('9999') })
  expect(newer.of('backlog').status).toBe('skipped')
})

test('secrets that no key opens are found without a sidecar, and told by column and by key', async ({
  db,
  sidecar,
}) => {
  const key = randomBytes(32).toString('base64')
  const env = { ...sidecarEnvironment(db, 'auto'), WALHOOK_ENCRYPTION_KEY: key }
  const running = await sidecar({ WALHOOK_ENCRYPTION_KEY: key })
  const one = await subscribeWith(db, 'https://a.invalid/', {
    auth: { type: 'bearer', token: 'open-sesame-7' },
  })
  const two = await subscribe(db, 'https://a.invalid/')
  await eventually(async () => {
    const plain = await db.query(
      `select from walhook.subscriptions where secret not like 'enc:%' or auth not like 'enc:%'`,
    )
    expect(plain).toEqual([])
  })
  await running.stop()
  expect((await doctor(env, '--skip-endpoints')).of('secrets')).toMatchObject({ status: 'ok' })
  expect((await doctor(sidecarEnvironment(db, 'auto'), '--skip-endpoints')).of('secrets')).toMatchObject({
    status: 'problem',
    summary: expect.stringMatching(/does not have: [0-9a-f]{8}$/),
  })
  // What was sealed for another row is not authentic here.
  await db.query(
    `update walhook.subscriptions set secret = (select secret from walhook.subscriptions where id = $1) where id = $2`,
    [one.id, two.id],
  )
  const { of } = await doctor(env, '--skip-endpoints')
  expect(of('secrets')).toMatchObject({
    status: 'problem',
    summary: expect.stringContaining(`secret of ${two.id} (not_authentic)`),
  })
  await db.query(lines(of('secrets'))[0] ?? '')
  expect((await doctor(env, '--skip-endpoints')).of('secrets').status).toBe('warning')
})

test('each endpoint is reached as a delivery would reach it, as far as the handshake', async ({ db }) => {
  const env = sidecarEnvironment(db, 'auto')
  await migrate(env)
  const open = async (tls?: Parameters<typeof RawEndpoint.open>[1]): Promise<RawEndpoint> => {
    const endpoint = await RawEndpoint.open(() => undefined, tls)
    onTestFinished(() => endpoint[Symbol.asyncDispose]())
    return endpoint
  }
  const server = { cert: certificate('proxy.pem'), key: certificate('proxy.key') }
  const [plain, secure, mutual, wrongName] = [
    await open(),
    await open({ tls: server }),
    await open({
      tls: {
        ...server,
        ca: certificate('client-authority.pem'),
        requestCert: true,
        rejectUnauthorized: true,
      },
    }),
    await open({ tls: { cert: certificate('endpoint.pem'), key: certificate('endpoint.key') } }),
  ]
  const ca = certificate('authority.pem')
  const at = ({ port }: RawEndpoint): string => `https://127.0.0.1:${port}/T0KEN-of-a-path?key=T0KEN`
  const ids = {
    plain: (await subscribe(db, plain.url('/T0KEN'))).id,
    again: (await subscribe(db, plain.url('/other'))).id,
    secure: (await subscribeWith(db, at(secure), { tls: { ca } })).id,
    untrusted: (await subscribe(db, at(secure))).id,
    mutual: (await subscribeWith(db, at(mutual), { tls: { ca, ...client('client-a') } })).id,
    nobody: (await subscribeWith(db, at(mutual), { tls: { ca } })).id,
    wrongName: (await subscribeWith(db, at(wrongName), { tls: { ca } })).id,
    refused: (await subscribe(db, 'https://127.0.0.1:1/T0KEN')).id,
    noName: (await subscribe(db, 'https://endpoint.invalid/T0KEN')).id,
    denied: (await subscribe(db, 'https://10.1.2.3/T0KEN')).id,
    tokens: (
      await subscribeWith(db, plain.url('/third'), {
        auth: {
          type: 'oauth2',
          token_url: 'https://127.0.0.1:2/token',
          client_id: 'walhook-client',
          client_secret: 'a-secret-of-a-client',
        },
      })
    ).id,
  }
  const report = await doctor(env)
  const said = (id: string): readonly string[] =>
    report.checks.filter((check) => check.id === 'endpoints' && check.summary.includes(id)).map(verdict)
  const verdict = ({ status, summary, steps }: Check): string =>
    `${status} ${summary.replaceAll(/[^(]*\(subscription [^)]*\)/g, '')} ${steps.map(({ text }) => text).join(' ')}`
  expect(said(ids.refused)).toEqual([
    expect.stringMatching(/^problem .*refused \(ECONNREFUSED\) nc -vz 127\.0\.0\.1 1 /),
  ])
  expect(said(ids.noName)).toEqual([expect.stringMatching(/^problem .*no address/)])
  expect(said(ids.denied)).toEqual([
    expect.stringMatching(/^problem .*not a public address.*WALHOOK_ALLOW_NETWORKS/),
  ])
  expect(said(ids.secure)).toEqual([expect.stringMatching(/^ok/)])
  expect(said(ids.untrusted)).toEqual([expect.stringMatching(/^problem .*UNABLE_TO_VERIFY.*"ca"/)])
  expect(said(ids.mutual)).toEqual([expect.stringMatching(/^ok/)])
  expect(said(ids.nobody)).toEqual([
    expect.stringMatching(/^problem .*CERTIFICATE_REQUIRED.*client certificate/),
  ])
  expect(said(ids.wrongName)).toEqual([expect.stringMatching(/^problem .*ERR_TLS_CERT_ALTNAME_INVALID/)])
  expect(report.checks.filter(({ summary }) => summary.includes('token server'))).toMatchObject([
    {
      status: 'problem',
      summary: expect.stringContaining(`https://127.0.0.1:2 (subscription ${ids.tokens})`),
    },
  ])
  // Three subscriptions share it: it is tried once.
  expect(plain.sockets).toHaveLength(1)
  expect([plain, secure, mutual, wrongName].flatMap(({ requests }) => requests)).toEqual([])
  expect(JSON.stringify(report)).not.toContain('T0KEN')

  const few = await doctor({ ...env, WALHOOK_ALLOW_HTTP: 'false' }, '--endpoints', '1')
  expect(few.checks.map(({ summary }) => summary)).toEqual(
    expect.arrayContaining([
      expect.stringContaining('http, which is not allowed'),
      expect.stringMatching(/^\d more/),
    ]),
  )
})

test('behind a proxy it is the proxy that is reached first, and asked for tunnels and no more', async ({
  db,
}) => {
  const env = sidecarEnvironment(db, 'auto')
  await migrate(env)
  await subscribe(db, 'http://endpoint.example/hook')
  const endpoint = await RawEndpoint.open(() => undefined)
  onTestFinished(() => endpoint[Symbol.asyncDispose]())
  await subscribe(db, endpoint.url('/hook'))
  const proxy = await ConnectProxy.start({ credentials: 'walhook:pr0xy-pass' })
  onTestFinished(() => proxy[Symbol.asyncDispose]())

  const report = await doctor({ ...env, WALHOOK_PROXY: proxy.url('walhook:pr0xy-pass') })
  expect(report.of('proxy')).toMatchObject({
    status: 'ok',
    summary: expect.stringContaining('looks their names up'),
  })
  expect(
    report.checks
      .filter(({ id }) => id === 'endpoints')
      .map(({ status }) => status)
      .sort(),
  ).toEqual(['ok', 'problem'])
  expect(proxy.requests.map(({ target }) => target).sort()).toEqual([
    `127.0.0.1:${endpoint.port}`,
    'endpoint.example:80',
  ])
  expect(endpoint.requests).toEqual([])
  expect(JSON.stringify(report)).not.toContain('pr0xy-pass')
  const gone = await doctor({ ...env, WALHOOK_PROXY: 'http://127.0.0.1:1' })
  expect(gone.of('proxy')).toMatchObject({ status: 'problem', summary: expect.stringContaining('refused') })
})

test('a table that somebody has locked is not waited for, and the other checks go on', async ({ db }) => {
  const env = sidecarEnvironment(db, 'auto')
  await migrate(env)
  const application = await db.application()
  await application.query('begin')
  await application.query('lock table walhook.subscriptions in access exclusive mode')
  const report = await doctor(env)
  expect(report.of('subscriptions')).toMatchObject({
    status: 'skipped',
    summary: 'somebody holds a lock on what it would read',
  })
  expect(report.of('malformed').status).toBe('ok')
  await application.query('rollback')
})

test('what it asks for cannot write, whatever it asks', async ({ db }) => {
  await using database = new Database({ url: db.url, maxConnections: 1 })
  await expect(
    readOnly(database, (tx) => tx.query('delete from walhook.subscriptions')),
  ).rejects.toMatchObject({ code: '25006' })
  await expect(
    readOnly(database, (tx) => tx.query('select nextval($1)', ['walhook.deliveries_id_seq'])),
  ).rejects.toMatchObject({ code: '25006' })
  expect(await readOnly(database, (tx) => tx.query('show statement_timeout'))).toEqual([
    { statement_timeout: '4s' },
  ])
})

test('on a terminal it is a list for people', async ({ db }) => {
  await migrate(sidecarEnvironment(db, 'auto'))
  const { stdout, stderr }: CommandResult = await walhookHere(
    ['doctor', '--skip-endpoints'],
    sidecarEnvironment(db, 'auto'),
  )
  expect(stdout).toMatch(/^✓ schema +the schema is at migration \d+, as this version wants it$/m)
  expect(stdout).toMatch(/^! sidecar .*\n +Nothing is relayed.*\n +\$ +walhook run$/m)
  expect(stdout).toMatch(/^– not checked: --skip-endpoints\n {2}proxy, endpoints$/m)
  expect(stdout).toMatch(/^0 problems, \d+ warnings?, \d+ fine, \d+ not checked$/m)
  expect(stderr).toBe('')
})
