/** Sources that cannot be read: refused at start, with the table, the column and what to do, before anything is made. */
import { expect } from 'vitest'
import { test } from '../support/fixtures.ts'
import type { TestDatabase } from '../support/test-database.ts'

const TABLE = `create table public.outbox (
  id uuid primary key, aggregatetype text, aggregateid text, type text, payload jsonb, at timestamptz, n numeric, yes boolean)`

interface Refusal {
  readonly made?: string
  readonly sources?: string
  readonly reason: string
  readonly remedy: string
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  'a table that is not there': {
    made: 'select',
    reason: 'there is no table public.outbox',
    remedy: 'in double quotes',
  },
  'one whose name has capitals, and no quotes': {
    made: 'create table public."Outbox" (id uuid primary key)',
    sources: 'public.Outbox=debezium',
    reason: 'there is no table public.outbox',
    remedy: 'put one with capitals in double quotes',
  },
  'a preset whose table lacks a column': {
    made: `${TABLE}; alter table public.outbox drop column aggregateid`,
    reason: 'public.outbox has no column aggregateid, mapped to key',
    remedy: 'key:column',
  },
  'another tool’s table': {
    sources: 'public.outbox=openoutbox',
    reason: 'public.outbox has no column event_id, mapped to id',
    remedy: 'id:column',
  },
  'a type that is a number': {
    sources: 'public.outbox=debezium,type:aggregatetype.n',
    reason: 'column n of public.outbox, mapped to type, is of type numeric',
    remedy: 'text, varchar, citext, name or an enum',
  },
  'a key that is true or false': {
    sources: 'public.outbox=debezium,key:yes',
    reason: 'column yes of public.outbox, mapped to key, is of type bool',
    remedy: 'It has to be text',
  },
  'a payload that is a time': {
    sources: 'public.outbox=debezium,payload:at',
    reason: 'column at of public.outbox, mapped to payload, is of type timestamptz',
    remedy: 'json, jsonb, text, varchar, citext, name, bytea',
  },
  'headers that are a UUID': {
    sources: 'public.outbox=debezium,headers:id',
    reason: 'column id of public.outbox, mapped to headers, is of type uuid',
    remedy: 'json, jsonb, text',
  },
  'a timestamp that is a text': {
    sources: 'public.outbox=debezium,timestamp:type',
    reason: 'column type of public.outbox, mapped to timestamp, is of type text',
    remedy: 'timestamptz, timestamp',
  },
  'an id that is padded with blanks': {
    made: `${TABLE}; alter table public.outbox alter id type char(36)`,
    reason: 'column id of public.outbox, mapped to id, is of type bpchar',
    remedy: 'uuid, text',
  },
  'an id that is not unique': {
    made: `${TABLE}; alter table public.outbox drop constraint outbox_pkey`,
    reason: 'column id of public.outbox, mapped to id, is not unique',
    remedy: 'CREATE UNIQUE INDEX CONCURRENTLY ON public.outbox (id);',
  },
  'an id that is unique in part, or with another column': {
    made: `${TABLE}; alter table public.outbox drop constraint outbox_pkey;
      create unique index on public.outbox (id) where yes; create unique index on public.outbox (id, at)`,
    reason: 'is not unique',
    remedy: 'CREATE UNIQUE INDEX',
  },
  'a column that is generated': {
    made: `${TABLE}; alter table public.outbox drop column type; alter table public.outbox add type text generated always as ('x') stored`,
    reason: 'column type of public.outbox, mapped to type, is generated',
    remedy: 'Map the columns that it is made of.',
  },
  'an unlogged table': {
    made: `${TABLE}; alter table public.outbox set unlogged`,
    reason: 'public.outbox is unlogged',
    remedy: 'ALTER TABLE public.outbox SET LOGGED;',
  },
  'a view': {
    made: `${TABLE}; alter table public.outbox rename to real; create view public.outbox as select * from public.real`,
    reason: 'public.outbox is not a table',
    remedy: 'Name the table',
  },
  'our own': {
    sources: 'walhook.outbox=id:id,type:type,payload:payload',
    reason: `walhook.outbox is Walhook's own`,
    remedy: 'is always read',
  },
}

async function slotsAndPublications(db: TestDatabase): Promise<number> {
  const [counted] = await db.query<{ count: number }>(`
    select ((select count(*) from pg_replication_slots where database = current_database())
      + (select count(*) from pg_publication))::int as count`)
  return counted?.count ?? -1
}

for (const [what, { made = TABLE, sources = 'public.outbox=debezium', reason, remedy }] of Object.entries(
  REFUSALS,
)) {
  test(`${what} is refused`, async ({ db, sidecar }) => {
    await db.query(made)
    await expect(sidecar({ WALHOOK_SOURCES: sources })).rejects.toMatchObject({
      code: 'configuration',
      message: expect.stringContaining(reason),
      remedy: expect.stringContaining(remedy),
    })
    expect(await slotsAndPublications(db)).toBe(0)
  })
}

test('all that is wrong is told at once', async ({ db, sidecar }) => {
  await db.query(TABLE)
  await expect(
    sidecar({ WALHOOK_SOURCES: 'public.outbox=nestarc; public.none=debezium' }),
  ).rejects.toMatchObject({
    message:
      'WALHOOK_SOURCES: public.outbox has no column event_type, mapped to type; there is no table public.none',
  })
})

test('a table that the login does not own is refused over pgoutput, with the line to run, and read once it was run', async ({
  db,
  sidecar,
}) => {
  await db.query(TABLE)
  const role = `${db.slot.slice(0, 50)}_login`
  await db.query(`create role ${role} login replication password 'x'; grant create on database ${db.slot} to ${role};
    grant all on schema walhook to ${role}; grant all on all tables in schema walhook to ${role};
    alter table walhook.outbox owner to ${role};
    grant all on schema walhook_jobs to ${role}; grant all on all tables in schema walhook_jobs to ${role};
    grant execute on all functions in schema walhook to ${role}; grant all on all functions in schema walhook_jobs to ${role};
    grant usage on all sequences in schema walhook to ${role}`)
  const url = new URL(db.url)
  url.username = role
  url.password = 'x'
  const settings = {
    DATABASE_URL: url.href,
    WALHOOK_SOURCES: 'public.outbox=debezium',
    WALHOOK_PLUGIN: 'pgoutput',
  }
  const statement = 'ALTER PUBLICATION "walhook" ADD TABLE public.outbox'
  await expect(sidecar(settings)).rejects.toMatchObject({
    code: 'database_refused',
    message: 'the login may not publish public.outbox, which it does not own',
    remedy: expect.stringContaining(`Run as a superuser: ${statement};`),
  })
  await db.query(statement)
  const running = await sidecar(settings)
  await running.logs.waitFor('relay.streaming')
  await running.stop()
  await db.query(`reassign owned by ${role} to current_user; drop owned by ${role}; drop role ${role}`)
})

test('a partitioned table is read over pgoutput, and refused over wal2json', async ({ db, sidecar }) => {
  await db.query(`
    create table public.outbox (id uuid primary key, type text, payload json) partition by hash (id);
    create table public.outbox_0 partition of public.outbox for values with (modulus 1, remainder 0)`)
  const sources = { WALHOOK_SOURCES: 'public.outbox=id:id,type:type,payload:payload' }
  await expect(sidecar({ ...sources, WALHOOK_PLUGIN: 'wal2json' })).rejects.toMatchObject({
    code: 'plugin_refused',
    message: 'public.outbox is partitioned: wal2json would leave its events out',
  })
  const { logs } = await sidecar({ ...sources, WALHOOK_PLUGIN: 'auto' })
  expect(await logs.waitFor('relay.streaming')).toMatchObject({ plugin: 'pgoutput' })
  await db.query(`insert into public.outbox values ('0d3f8e9c-6a54-4a43-9b1e-5b1f4a3c2d10', 'a', '{}')`)
  await expect
    .poll(() => db.query('select captured_from from walhook.outbox'))
    .toEqual([{ captured_from: 'public.outbox' }])
})
