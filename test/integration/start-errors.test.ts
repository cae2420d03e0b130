/**
 * What can be wrong when Walhook starts: one clear line, what to do in the next, and the exit code. On Postgres servers
 * of this file's own, since some of it is about the server.
 */
import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/commands/embedded-postgres.ts'
import { walhook } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { SidecarProcess } from '../support/sidecar-process.ts'
import { administer, withDatabase } from '../support/test-database.ts'

/** One slot only: whoever comes second finds none free. */
let server: EmbeddedPostgres
const serverLog: string[] = []

beforeAll(async () => {
  server = await startEmbeddedPostgres({
    settings: { fsync: 'off', max_replication_slots: '1' },
    onLog: (line) => serverLog.push(line),
  })
})
afterAll(() => server[Symbol.asyncDispose]())

interface Failure {
  readonly code: number | null
  readonly line: string
  readonly remedy: string
}

/** Runs the sidecar, which has to end by itself, with two lines on standard error and no more. */
async function failure(env: Readonly<Record<string, string>>, command = 'run'): Promise<Failure> {
  const { code, stderr } = await walhook([command], { WALHOOK_LISTEN: '127.0.0.1:0', ...env })
  const [line = '', remedy = '', ...more] = stderr.trimEnd().split('\n')
  expect(more).toEqual([])
  return { code, line, remedy }
}

/** The server's URL with another login. */
function loginAs(user: string, password: string): string {
  const url = new URL(server.url)
  url.username = user
  url.password = password
  return url.href
}

/** A database and a slot that are gone when the test is. */
async function freshDatabase(name: string): Promise<AsyncDisposable & { readonly url: string }> {
  await administer(server.url, (admin) => admin.query(`create database ${name}`))
  return {
    url: withDatabase(server.url, name),
    [Symbol.asyncDispose]: () =>
      administer(server.url, async (admin) => {
        await admin.query(
          'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1',
          [name],
        )
        await admin.query(`drop database ${name} with (force)`)
      }),
  }
}

test('settings that are unknown, malformed or missing are all named at once', async () => {
  expect(
    await failure({ WALHOOK_SLOTT: 'x', WALHOOK_LISTEN: 'here', DATABASE_URL: 'mysql://localhost' }),
  ).toEqual({
    code: 2,
    line: expect.stringMatching(
      /^walhook: (?=.*DATABASE_URL has to be)(?=.*WALHOOK_LISTEN has to be host:port)(?=.*WALHOOK_SLOTT is not a setting).*\(configuration\)$/,
    ),
    remedy: expect.stringContaining('walhook run --help'),
  })
  expect(await failure({})).toMatchObject({
    code: 2,
    line: 'walhook: DATABASE_URL is not set (configuration)',
  })
})

test('a database that cannot be reached', async () => {
  expect(await failure({ DATABASE_URL: 'postgres://user:sesame@127.0.0.1:1/postgres' })).toEqual({
    code: 1,
    line: 'walhook: Postgres cannot be reached: connect ECONNREFUSED 127.0.0.1:1 (database_unreachable)',
    remedy: expect.stringContaining('host and port in DATABASE_URL'),
  })
})

test('a login that the server refuses, a password that is missing, a database that is not there', async () => {
  expect(await failure({ DATABASE_URL: loginAs('postgres', 'sesame') })).toEqual({
    code: 1,
    line: expect.stringMatching(
      /^walhook: Postgres refused the login: password authentication failed.*\(database_refused\)$/,
    ),
    remedy: expect.stringContaining('user and password in DATABASE_URL'),
  })
  expect(await failure({ DATABASE_URL: loginAs('postgres', '') })).toEqual({
    code: 1,
    line: 'walhook: Postgres asks for a password, and DATABASE_URL has none (database_refused)',
    remedy: expect.stringContaining('user:password@host'),
  })
  const replication = { DATABASE_URL: server.url, WALHOOK_REPLICATION_URL: loginAs('postgres', '') }
  expect(await failure(replication)).toMatchObject({
    code: 1,
    line: expect.stringContaining('the replication URL has none'),
    remedy: expect.stringContaining('WALHOOK_REPLICATION_URL'),
  })
  expect(await failure({ DATABASE_URL: withDatabase(server.url, 'nowhere') })).toEqual({
    code: 1,
    line: expect.stringMatching(/database "nowhere" does not exist \(database_refused\)$/),
    remedy: expect.stringContaining('database name in DATABASE_URL'),
  })
})

test('a server whose log cannot be decoded', async () => {
  await using plain = await startEmbeddedPostgres({ settings: { fsync: 'off', wal_level: 'replica' } })
  expect(await failure({ DATABASE_URL: plain.url })).toEqual({
    code: 1,
    line: 'walhook: wal_level is replica, and has to be logical (database_refused)',
    remedy: expect.stringContaining('ALTER SYSTEM SET wal_level = logical'),
  })
  await administer(plain.url, async (admin) => {
    const { rows } = await admin.query(`select from pg_namespace where nspname like 'walhook%'`)
    expect(rows).toEqual([]) // refused before anything was written
  })
})

test('a login without the right to replicate, and one without the right to make a schema', async () => {
  await administer(server.url, (admin) =>
    admin.query(`create role reader login password 'x'; create role streamer login replication password 'x'`),
  )
  expect(await failure({ DATABASE_URL: loginAs('reader', 'x') })).toEqual({
    code: 1,
    line: expect.stringMatching(/^walhook: the login may not replicate: .*\(database_refused\)$/),
    remedy: expect.stringMatching(/ALTER ROLE … REPLICATION.*sql\/roles\.sql/),
  })
  expect(await failure({ DATABASE_URL: loginAs('streamer', 'x') }, 'migrate')).toEqual({
    code: 1,
    line: expect.stringMatching(
      /^walhook: the login lacks a right: permission denied for database.*\(database_refused\)$/,
    ),
    remedy: expect.stringContaining('sql/roles.sql'),
  })
})

test('a replication login needs no right on the schema', async () => {
  await using database = await freshDatabase('two_logins')
  await administer(server.url, (admin) =>
    admin.query(`create role only_streams login replication password 'x'`),
  )
  const streaming = new URL(database.url)
  streaming.username = 'only_streams'
  streaming.password = 'x'
  const env = {
    DATABASE_URL: database.url,
    WALHOOK_REPLICATION_URL: streaming.href,
    WALHOOK_PLUGIN: 'pgoutput',
  }
  await walhook(['migrate'], env)
  // The second run meets the tables that the first one made.
  expect(await walhook(['migrate'], env)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('up to date'),
  })
})

test('a plugin that the server does not have', async () => {
  await using database = await freshDatabase('no_plugin')
  expect(await failure({ DATABASE_URL: database.url, WALHOOK_PLUGIN: 'wal2json' })).toEqual({
    code: 1,
    line: expect.stringMatching(
      /^walhook: the server does not have the plugin wal2json: .*\(plugin_refused\)$/,
    ),
    remedy: expect.stringContaining('WALHOOK_PLUGIN=pgoutput'),
  })
})

test('no slot that is free', async () => {
  await using first = await freshDatabase('takes_the_slot')
  await using second = await freshDatabase('finds_none')
  expect(await walhook(['migrate'], { DATABASE_URL: first.url })).toMatchObject({ code: 0 })
  expect(await failure({ DATABASE_URL: second.url, WALHOOK_SLOT: 'another' })).toEqual({
    code: 1,
    line: expect.stringMatching(/^walhook: no replication slot is free: .*\(database_refused\)$/),
    remedy: expect.stringContaining('max_replication_slots'),
  })
  expect(await failure({ DATABASE_URL: second.url })).toEqual({
    code: 2,
    line: 'walhook: slot walhook belongs to database takes_the_slot, not to finds_none (configuration)',
    remedy: expect.stringContaining('WALHOOK_SLOT'),
  })
})

test('a port that somebody else has', async () => {
  await using database = await freshDatabase('port_taken')
  const squatter = createServer()
  await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve))
  const address = squatter.address()
  const port = typeof address === 'object' ? address?.port : undefined
  try {
    expect(await failure({ DATABASE_URL: database.url, WALHOOK_LISTEN: `127.0.0.1:${port}` })).toEqual({
      code: 1,
      line: `walhook: 127.0.0.1:${port} is in use by another process (port_taken)`,
      remedy: expect.stringContaining('WALHOOK_LISTEN'),
    })
  } finally {
    await new Promise((resolve) => squatter.close(resolve))
  }
})

test('a schema that is missing, when run may not make it, and commands that need it', async () => {
  await using database = await freshDatabase('no_schema')
  const env = { DATABASE_URL: database.url }
  expect(await failure({ ...env, WALHOOK_AUTO_MIGRATE: 'false' })).toMatchObject({
    code: 1,
    line: expect.stringMatching(/^walhook: the schema lacks 0001_.*\(schema_missing\)$/),
    remedy: expect.stringContaining('walhook migrate'),
  })
  for (const args of [
    ['deliveries', 'list'],
    ['resend', '1'],
    ['publish', 'a.b', '{}'],
    ['subscribe', 'https://example.com'],
  ]) {
    const { code, stderr } = await walhook(args, env)
    expect({ args, code, stderr }).toEqual({
      args,
      code: 1,
      stderr: expect.stringMatching(
        /^walhook: this database lacks .*\(schema_missing\)\n {2}Run `walhook migrate`\.\n$/,
      ),
    })
  }
})

test('a slot that another process streams is waited for, which takes one line', async () => {
  await using database = await freshDatabase('standby')
  const env = { DATABASE_URL: database.url, WALHOOK_LISTEN: '127.0.0.1:0' }
  const first = await SidecarProcess.start(env)
  try {
    await first.waitForLog('relay.streaming')
    await using second = await SidecarProcess.start(env)
    await second.waitForLog('relay.standby')
    // It asks again and again, and the server answers each time.
    await eventually(() => {
      const refused = serverLog.filter((line) => /replication slot "walhook" is active/.test(line))
      expect(refused.length).toBeGreaterThanOrEqual(3)
    })
    await first.kill('SIGTERM')
    await second.waitForLog('relay.streaming')
    expect(second.logs.all('relay.standby')).toMatchObject([{ level: 'info', err: { code: 'slot_in_use' } }])
    expect(second.logs.all('relay.interrupted')).toEqual([])
    await second.kill('SIGTERM')
    expect(await second.exited).toEqual({ code: 0, signal: null })
    await eventually(() => expect(second.stderr).toBe(''))
  } finally {
    await first[Symbol.asyncDispose]()
  }
})
