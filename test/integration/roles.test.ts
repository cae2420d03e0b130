/**
 * sql/roles.sql: with the login that it makes everything works, and the application's role may write events and no more.
 * On a server of its own, because roles are the whole server's.
 */
import pg from 'pg'
import { expect } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/commands/embedded-postgres.ts'
import { test as base } from '../support/fixtures.ts'
import { confide } from '../support/leak-watch.ts'
import { runRolesFile } from '../support/roles.ts'
import { SidecarProcess } from '../support/sidecar-process.ts'

const PASSWORD = `it's "secret" \\ 100%`
confide(PASSWORD, "the login's password")

// eslint-disable-next-line no-empty-pattern
const test = base.extend('server', { scope: 'file' }, async ({}, { onCleanup }) => {
  const server = await startEmbeddedPostgres({ settings: { fsync: 'off' } })
  onCleanup(() => server[Symbol.asyncDispose]())
  await asSuperuser(server, (client) => runRolesFile(client, PASSWORD))
  return server
})

async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

function asSuperuser<T>(server: EmbeddedPostgres, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return connected(server.url, work)
}

function urlOf(server: EmbeddedPostgres, user: string, password: string): string {
  const url = new URL(server.url)
  url.username = user
  url.password = encodeURIComponent(password)
  return url.href
}

function environment(server: EmbeddedPostgres): Readonly<Record<string, string>> {
  return {
    DATABASE_URL: urlOf(server, 'walhook', PASSWORD),
    WALHOOK_LISTEN: '127.0.0.1:0',
    WALHOOK_ALLOW_HTTP: 'true',
    WALHOOK_ALLOW_NETWORKS: '127.0.0.0/8',
    WALHOOK_LOG_LEVEL: 'debug',
  }
}

test('the login migrates, streams, delivers and keeps house, and is no superuser', async ({
  server,
  receiver,
}) => {
  await using migrate = SidecarProcess.spawn(environment(server), ['migrate'])
  expect(await migrate.exit(), migrate.output()).toMatchObject({ code: 0 })
  await asSuperuser(server, async (client) => {
    await client.query('create role shop login password $$shop$$ in role walhook_app')
    const { rows } = await client.query(
      `select rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolreplication from pg_roles where rolname = 'walhook'`,
    )
    expect(rows).toEqual([
      {
        rolsuper: false,
        rolcreatedb: false,
        rolcreaterole: false,
        rolbypassrls: false,
        rolreplication: true,
      },
    ])
  })

  await using sidecar = await SidecarProcess.start(environment(server))
  const subscribed = await connected(urlOf(server, 'walhook', PASSWORD), async (client) => {
    const { rows } = await client.query<{ id: string; secret: string }>(
      'select * from walhook.subscribe($1)',
      [receiver.url('/hook')],
    )
    return rows[0]
  })
  receiver.verify('/hook', subscribed?.secret ?? '')
  const published = await connected(urlOf(server, 'shop', 'shop'), async (client) => {
    await client.query(`insert into walhook.outbox (type, payload) values ('order.created', '{"n": 1}')`)
    const { rows } = await client.query<{ id: string }>(
      `select walhook.publish('order.paid', '{"n": 2}', key => 'k', tenant => 't') as id`,
    )
    return rows[0]?.id
  })

  const requests = await receiver.waitFor(2)
  expect(requests.map(({ forged }) => forged)).toEqual([undefined, undefined])
  expect(requests[1]?.id).toBe(published)
  await sidecar.logs.waitFor('retention.applied')
  await expect
    .poll(() =>
      asSuperuser(
        server,
        async (client) => (await client.query(`select state from walhook.deliveries`)).rows,
      ),
    )
    .toEqual([{ state: 'delivered' }, { state: 'delivered' }])
  expect(sidecar.logs.all().filter(({ level }) => level === 'warn' || level === 'error')).toEqual([])
  await sidecar.kill('SIGTERM')
})

/** Everything in our two schemas, from the catalog: nothing can be added that the tests below do not see. */
const RELATIONS = /* sql */ `
  select c.oid::regclass::text as name, c.relkind::text as kind from pg_class as c
  where c.relnamespace in ('walhook'::regnamespace, 'walhook_jobs'::regnamespace) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  order by 1`

/** Columns beside whole relations, so that a grant on one column shows as well. */
const RELATION_RIGHTS = /* sql */ `
  select relations.name || ' ' || privilege as held
  from (${RELATIONS}) as relations
  cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'USAGE']) as privilege
  where case
    when kind = 'S' then privilege in ('SELECT', 'UPDATE', 'USAGE') and has_sequence_privilege($1, name, privilege)
    when privilege = 'USAGE' then false
    when privilege in ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
      then has_table_privilege($1, name, privilege) or has_any_column_privilege($1, name, privilege)
    else has_table_privilege($1, name, privilege)
  end
  order by 1`

/** Callable is what may be executed, in a schema that may be used. */
const CALLABLE = /* sql */ `
  select p.oid::regprocedure::text as held from pg_proc as p
  where p.pronamespace in ('walhook'::regnamespace, 'walhook_jobs'::regnamespace)
    and has_schema_privilege($1, p.pronamespace, 'USAGE') and has_function_privilege($1, p.oid, 'EXECUTE')
  order by 1`

const SCHEMA_RIGHTS = /* sql */ `
  select n.nspname || ' ' || privilege as held
  from pg_namespace as n cross join unnest(array['USAGE', 'CREATE']) as privilege
  where n.nspname in ('walhook', 'walhook_jobs') and has_schema_privilege($1, n.oid, privilege)
  order by 1`

async function heldBy(server: EmbeddedPostgres, login: string, rights: string): Promise<string[]> {
  return asSuperuser(server, async (client) => {
    const { rows } = await client.query<{ held: string }>(rights, [login])
    return rows.map(({ held }) => held)
  })
}

/** A migrated database and two logins: an application's, and one that nobody granted anything. */
async function withLogins(server: EmbeddedPostgres): Promise<void> {
  await using migrate = SidecarProcess.spawn(environment(server), ['migrate'])
  expect(await migrate.exit(), migrate.output()).toMatchObject({ code: 0 })
  await asSuperuser(server, async (client) => {
    await client.query('drop role if exists clerk, stranger')
    await client.query('create role clerk login password $$clerk$$ in role walhook_app')
    await client.query('create role stranger login password $$stranger$$')
  })
}

test('of all that is in the schemas, the application role may insert into the outbox and call what that takes', async ({
  server,
}) => {
  await withLogins(server)
  expect(await heldBy(server, 'clerk', SCHEMA_RIGHTS)).toEqual(['walhook USAGE'])
  expect(await heldBy(server, 'clerk', RELATION_RIGHTS)).toEqual(['walhook.outbox INSERT'])
  expect(await heldBy(server, 'clerk', CALLABLE)).toEqual([
    'walhook.emit(text,json,text,text,json,uuid)',
    'walhook.is_event_type(text)',
    'walhook.publish(text,json,text,text,json,uuid)',
    'walhook.uuidv7()',
  ])
})

test('a login without grants may do nothing there at all', async ({ server }) => {
  await withLogins(server)
  for (const rights of [SCHEMA_RIGHTS, RELATION_RIGHTS, CALLABLE])
    expect(await heldBy(server, 'stranger', rights)).toEqual([])
})

test('what the catalog denies is denied: each relation and each function refuses both logins', async ({
  server,
}) => {
  await withLogins(server)
  const [relations, functions] = await asSuperuser(server, async (client) => [
    (await client.query<{ name: string; kind: string }>(RELATIONS)).rows,
    (
      await client.query<{ name: string; call: string }>(`
        select p.oid::regprocedure::text as name, format(
          case when p.prokind = 'p' then 'call %s(%s)' else 'select %s(%s)' end,
          p.oid::regproc,
          (select string_agg('null::' || format_type(t, null), ', ' order by i)
           from unnest(p.proargtypes::oid[]) with ordinality as arguments (t, i))
        ) as call
        from pg_proc as p
        where p.pronamespace in ('walhook'::regnamespace, 'walhook_jobs'::regnamespace)
          -- A strict one is null for nulls before anybody asks whether it may be called.
          and not p.proisstrict`)
    ).rows,
  ])
  expect(relations.length).toBeGreaterThan(20)
  expect(functions.length).toBeGreaterThan(20)
  const forApplications = await heldBy(server, 'clerk', CALLABLE)
  for (const login of ['clerk', 'stranger'])
    await connected(urlOf(server, login, login), async (client) => {
      for (const { name } of relations)
        await expect(client.query(`select * from ${name}`), name).rejects.toMatchObject({ code: '42501' })
      for (const { name, call } of functions)
        if (login === 'stranger' || !forApplications.includes(name))
          await expect(client.query(call), name).rejects.toMatchObject({ code: '42501' })
    })
})

test('a login without grants cannot write an event to the log either', async ({ server }) => {
  await withLogins(server)
  const write = `select pg_logical_emit_message(true, 'walhook', '{}')`
  await connected(urlOf(server, 'stranger', 'stranger'), (client) =>
    expect(client.query(write)).rejects.toMatchObject({ code: '42501' }),
  )
  await connected(urlOf(server, 'clerk', 'clerk'), (client) => client.query(write))
})

test('no function runs with the rights of its owner, and those that touch tables find them by themselves', async ({
  server,
}) => {
  await withLogins(server)
  await asSuperuser(server, async (client) => {
    const { rows: definers } = await client.query(
      `select oid::regprocedure from pg_proc
       where pronamespace in ('walhook'::regnamespace, 'walhook_jobs'::regnamespace) and prosecdef`,
    )
    expect(definers).toEqual([])
    const { rows } = await client.query<{ name: string; language: string; touches: boolean }>(
      `select distinct p.oid::regproc::text as name, l.lanname as language, exists (
         select from pg_class as c
         where c.relnamespace = p.pronamespace and c.relkind in ('r', 'p', 'v')
           and p.prosrc ~* format('\\m(from|join|into|update)\\s+(walhook\\.)?%s\\M', c.relname)
       ) as touches
       from pg_proc as p join pg_language as l on l.oid = p.prolang
       -- An aggregate has no body.
       where p.pronamespace = 'walhook'::regnamespace and p.prokind <> 'a'
         and not coalesce(p.proconfig::text like '%search_path=pg_catalog, pg_temp%', false)
       order by 1`,
    )
    // They only compute, once for each event, and for each of its filters: a setting of their own would be made and undone as often.
    const bodies = rows.filter(({ language }) => language !== 'sql')
    expect(bodies).toEqual([
      { name: 'walhook.event_match_keys', language: 'plpgsql', touches: false },
      { name: 'walhook.filter_matches', language: 'plpgsql', touches: false },
    ])
    // A setting of its own would keep the planner from inlining it, and the index from being used.
    expect(rows.filter(({ touches }) => touches).map(({ name }) => name)).toEqual([
      'walhook.matching_subscriptions',
    ])
  })
})

test('the application role writes events, and gets nothing back', async ({ server }) => {
  await withLogins(server)
  await connected(urlOf(server, 'clerk', 'clerk'), async (client) => {
    await client.query(`insert into walhook.outbox (type, payload) values ('order.created', '{}')`)
    await client.query(`select walhook.publish('order.created', '{}')`)
    await client.query(`select walhook.emit('order.created', '{}')`)
    const forbidden = [
      'select id from walhook.outbox',
      'table walhook.outbox',
      `insert into walhook.outbox (type, payload) values ('a', '{}') returning payload`,
      `insert into walhook.outbox (id, type, payload) values (gen_random_uuid(), 'a', '{}') on conflict (id) do update set payload = '{}'`,
      `update walhook.outbox set payload = '{}'`,
      'delete from walhook.outbox',
      'truncate walhook.outbox',
      'copy walhook.outbox to stdout',
      'select secret from walhook.subscriptions',
      'select secret_preview from walhook.subscriptions',
      `insert into walhook.subscriptions (url, event_types, secret) values ('https://x', '{*}', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')`,
      'create table walhook.mine (n int)',
      'create table mine (like walhook.subscriptions including all)',
      'create publication mine for table walhook.subscriptions',
      'alter publication walhook add table walhook.subscriptions',
      'drop publication walhook',
      `select pg_create_logical_replication_slot('mine', 'pgoutput')`,
      `select pg_drop_replication_slot('walhook')`,
      `select * from pg_logical_slot_peek_changes('walhook', null, null)`,
      'set role walhook',
    ]
    for (const statement of forbidden)
      await expect(client.query(statement), statement).rejects.toMatchObject({ code: '42501' })
  })
})

test('a role that looks after subscriptions sees the end of a secret and never a secret, sealed or not', async ({
  server,
}) => {
  await using migrate = SidecarProcess.spawn(environment(server), ['migrate'])
  expect(await migrate.exit(), migrate.output()).toMatchObject({ code: 0 })
  await asSuperuser(server, async (client) => {
    await client.query(
      `select walhook.subscribe('https://a', secret => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')`,
    )
    await client.query('create role support login password $$support$$')
    await client.query('grant usage on schema walhook to support')
    await client.query('grant select on walhook.subscription_health to support')
  })
  await connected(urlOf(server, 'support', 'support'), async (client) => {
    const { rows } = await client.query(
      `select secret_preview from walhook.subscription_health where url = 'https://a'`,
    )
    expect(rows).toEqual([{ secret_preview: 'whsec_…LaSw' }])
    await expect(client.query('select secret from walhook.subscriptions')).rejects.toMatchObject({
      code: '42501',
    })
  })
})

test('a login that may only stream is enough for the replication connection, and the other one then needs no such right', async ({
  server,
  receiver,
}) => {
  await asSuperuser(server, async (client) => {
    await client.query('create role streamer login replication password $$streamer$$')
    await client.query('alter role walhook noreplication')
  })
  try {
    await using sidecar = await SidecarProcess.start({
      ...environment(server),
      WALHOOK_REPLICATION_URL: urlOf(server, 'streamer', 'streamer'),
    })
    await sidecar.waitForLog('relay.streaming')
    await connected(urlOf(server, 'walhook', PASSWORD), async (client) => {
      await client.query('select walhook.subscribe($1)', [receiver.url('/hook')])
      await client.query(`select walhook.publish('order.created', '{}')`)
    })
    await receiver.waitFor(1)
    await sidecar.kill('SIGTERM')
    for (const rights of [SCHEMA_RIGHTS, RELATION_RIGHTS, CALLABLE])
      expect(await heldBy(server, 'streamer', rights)).toEqual([])
  } finally {
    await asSuperuser(server, (client) => client.query('alter role walhook replication'))
  }
})
