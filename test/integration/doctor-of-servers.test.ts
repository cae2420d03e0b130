/** `walhook doctor` where it is the server that is not as it should be, and under the login that Walhook is meant to have. */
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/commands/embedded-postgres.ts'
import { walhookHere } from '../support/command-line.ts'
import { doctor, type Report } from '../support/doctor.ts'
import { eventually } from '../support/eventually.ts'
import { confide } from '../support/leak-watch.ts'
import { OwnServer } from '../support/own-server.ts'
import { runRolesFile } from '../support/roles.ts'
import { administer, withDatabase } from '../support/test-database.ts'

const PASSWORD = 'a password: 100% "secret"'
confide(PASSWORD, "the login's password")

function loginAs(serverUrl: string, user: string): string {
  const url = new URL(serverUrl)
  url.username = user
  url.password = encodeURIComponent(PASSWORD)
  return url.href
}

const problems = ({ checks }: Report): readonly string[] =>
  checks.filter(({ status }) => status === 'problem').map(({ id }) => id)

test('a server whose log cannot be decoded, and a login that may not replicate', async () => {
  await using server = await OwnServer.start({ fsync: 'off', wal_level: 'replica' })
  const report = await doctor({ DATABASE_URL: server.url }, '--skip-endpoints')
  expect(report.code).toBe(1)
  expect(report.of('wal_level')).toMatchObject({
    status: 'problem',
    summary: 'wal_level is replica, and has to be logical',
    steps: [{ kind: 'sql', text: 'ALTER SYSTEM SET wal_level = logical;' }, { kind: 'do' }],
  })
  expect(report.of('slot')).toMatchObject({
    status: 'skipped',
    summary: 'wal_level is not logical, so that there can be none',
  })
  expect(report.of('publication').status).toBe('problem')

  await server.query(`create role "Plain one" login password '${PASSWORD}'`)
  const plain = { DATABASE_URL: loginAs(server.url, 'Plain%20one') }
  const { of } = await doctor(plain, '--skip-endpoints')
  const [step] = of('replication').steps
  expect(step).toEqual({ kind: 'sql', text: 'ALTER ROLE "Plain one" REPLICATION;' })
  expect(of('rights')).toMatchObject({ status: 'problem', summary: expect.stringContaining('does not own') })
  expect(of('backlog')).toMatchObject({
    status: 'skipped',
    summary: expect.stringContaining('lacks a right'),
  })
  await server.query(step?.text ?? '')
  expect((await doctor(plain, '--skip-endpoints')).of('replication').status).toBe('ok')
})

describe('under the login of sql/roles.sql', () => {
  let server: EmbeddedPostgres
  let env: Readonly<Record<string, string>>
  const asSuperuser = <T>(work: (client: pg.Client) => Promise<T>): Promise<T> => administer(server.url, work)

  beforeAll(async () => {
    server = await startEmbeddedPostgres({
      settings: {
        fsync: 'off',
        max_slot_wal_keep_size: '16MB',
        min_wal_size: '32MB',
        max_wal_size: '32MB',
        max_replication_slots: '1',
        wal_sender_timeout: '30s',
      },
    })
    await asSuperuser((client) => runRolesFile(client, PASSWORD))
    env = { DATABASE_URL: loginAs(server.url, 'walhook') }
    const { code, stderr } = await walhookHere(['migrate'], env)
    expect(code, stderr).toBe(0)
  })
  afterAll(() => server[Symbol.asyncDispose]())

  test('every check but those of what others do is made, and nothing is wrong', async () => {
    const report = await doctor(env, '--skip-endpoints')
    expect(problems(report)).toEqual([])
    expect(report.code).toBe(0)
    expect(report.of('rights').summary).toBe('walhook owns what Walhook needs, and is no superuser')
    expect(report.of('application_rights').status).toBe('ok')
    expect(report.of('slot_limit')).toMatchObject({ status: 'ok', summary: expect.stringContaining('16 MB') })
    const left = report.checks.filter(({ status }) => status === 'skipped').map(({ id }) => id)
    expect(left).toEqual(['transactions', 'proxy', 'endpoints'])
    expect(report.of('transactions').summary).toContain('GRANT pg_read_all_stats TO walhook')
  })

  test('what applications may no longer do is mended by the lines that it gives', async () => {
    await asSuperuser((client) => client.query('revoke insert on walhook.outbox from walhook_app'))
    const { of } = await doctor(env, '--skip-endpoints')
    expect(of('application_rights').status).toBe('problem')
    await asSuperuser(async (client) => {
      for (const { kind, text } of of('application_rights').steps)
        if (kind === 'sql') await client.query(text)
    })
    expect((await doctor(env, '--skip-endpoints')).of('application_rights').status).toBe('ok')
  })

  test('a second database finds that no slot is free', async () => {
    await asSuperuser((client) => client.query('create database second'))
    const second = { DATABASE_URL: withDatabase(server.url, 'second'), WALHOOK_SLOT: 'second' }
    const report = await doctor(second, '--skip-endpoints')
    expect(report.of('replication_slots')).toMatchObject({
      status: 'problem',
      summary: expect.stringContaining('1 of 1 replication slot in use'),
    })
    expect(
      (await doctor({ ...second, WALHOOK_SLOT: 'walhook' }, '--skip-endpoints')).of('slot'),
    ).toMatchObject({
      status: 'problem',
      summary: 'slot walhook belongs to database postgres, not to second',
    })
    const elsewhere = await doctor(
      { ...env, WALHOOK_REPLICATION_URL: second.DATABASE_URL },
      '--skip-endpoints',
    )
    expect(elsewhere.of('replication')).toMatchObject({
      status: 'problem',
      summary: 'WALHOOK_REPLICATION_URL leads to database second, and DATABASE_URL to postgres',
    })
  })

  test('a slot that Postgres gave up is told, with what follows', async () => {
    await eventually(
      () =>
        asSuperuser(async (client) => {
          await client.query(`select pg_logical_emit_message(false, 'filler', repeat('x', 8000000))`)
          await client.query('select pg_switch_wal()')
          await client.query('checkpoint')
          const { rows } = await client.query(`select wal_status from pg_replication_slots`)
          expect(rows).toEqual([{ wal_status: 'lost' }])
        }),
      { withinMs: 60_000 },
    )
    const report = await doctor(env, '--skip-endpoints')
    expect(report.code).toBe(1)
    expect(problems(report)).toEqual(['slot'])
    expect(report.of('slot')).toMatchObject({
      summary: 'Postgres gave slot walhook up (wal_removed)',
      why: expect.stringContaining('looks the outbox through'),
    })
  })
})
