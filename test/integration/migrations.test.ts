/** Migrating: by many replicas at once, twice, over a newer schema; and a schema that explains itself. */
import { expect, inject } from 'vitest'
import { test } from '../support/fixtures.ts'
import { type Environment, sidecarEnvironment } from '../support/sidecar-environment.ts'
import { SidecarProcess } from '../support/sidecar-process.ts'
import { publish, subscribe } from '../support/sql-surface.ts'
import { TestDatabase } from '../support/test-database.ts'

/** A database in which nothing of ours is. */
const withEmptyDatabase = test.extend('empty', async ({ task }, { onCleanup }) => {
  const db = await TestDatabase.clone(inject('postgres').url, 'template0', task.name)
  onCleanup(() => db.drop())
  return db
})

function environment(db: TestDatabase, more: Environment = {}): Environment {
  return { ...sidecarEnvironment(db, 'auto'), WALHOOK_AUTO_MIGRATE: 'true', ...more }
}

interface Ended {
  readonly code: number | null
  readonly lines: readonly string[]
  readonly output: string
}

async function walhook(env: Environment, args: readonly string[]): Promise<Ended> {
  await using child = SidecarProcess.spawn(env, args)
  const { code } = await child.exit()
  return { code, lines: child.logs.all().map(({ msg }) => msg), output: child.output() }
}

withEmptyDatabase(
  'five replicas that migrate an empty database at once all succeed',
  async ({ empty, receiver }) => {
    const runs = await Promise.all(
      Array.from({ length: 5 }, () => walhook(environment(empty), ['migrate', '--json'])),
    )
    expect(runs.map(({ code, output }) => (code === 0 ? 'succeeded' : output))).toEqual(
      runs.map(() => 'succeeded'),
    )
    expect(
      await empty.query('select count(*)::int as n from pg_replication_slots where slot_name = $1', [
        empty.slot,
      ]),
    ).toEqual([{ n: 1 }])
    expect(await empty.query('select count(*)::int as n from walhook.relay')).toEqual([{ n: 1 }])

    // And what they made works.
    await using sidecar = await SidecarProcess.start(environment(empty, { WALHOOK_AUTO_MIGRATE: 'false' }))
    await subscribe(empty, receiver.url())
    await publish(empty)
    await receiver.waitFor(1)
    await sidecar.kill('SIGTERM')
  },
)

withEmptyDatabase(
  'three replicas that start on an empty database at once all come up, and one of them streams',
  async ({ empty, receiver }) => {
    const started = await Promise.all(
      Array.from({ length: 3 }, () => SidecarProcess.start(environment(empty))),
    )
    await using replicas = new AsyncDisposableStack()
    for (const replica of started) replicas.use(replica)
    await subscribe(empty, receiver.url())
    await publish(empty)
    await receiver.waitFor(1)
    await expect
      .poll(() => started.map(({ logs }) => logs.all('relay.streaming').length).sort((a, b) => a - b), {
        timeout: 10_000,
      })
      .toEqual([0, 0, 1])
  },
)

withEmptyDatabase(
  'a replica that comes while the slot is still being made waits for it',
  async ({ empty, receiver }) => {
    // Making a slot waits for every transaction that is running.
    expect((await walhook(environment(empty), ['migrate'])).code).toBe(0)
    await empty.query('select pg_drop_replication_slot($1)', [empty.slot])
    await empty.query('delete from walhook.relay')
    const application = await empty.application()
    await application.query('begin')
    await application.query('create table neighbour (n int)')
    const first = walhook(environment(empty), ['migrate'])
    await expect
      .poll(() => empty.query('select from pg_replication_slots where slot_name = $1', [empty.slot]), {
        timeout: 10_000,
      })
      .toHaveLength(1)
    const second = SidecarProcess.spawn(environment(empty))
    await using _ = second
    await second.waitForLog('sidecar.starting')
    await second.waitForLog('slot.made_elsewhere')
    await application.query('commit')

    expect((await first).code).toBe(0)
    await second.waitForLog('relay.streaming')
    await subscribe(empty, receiver.url())
    await publish(empty)
    await receiver.waitFor(1)
  },
)

withEmptyDatabase('migrating twice does nothing the second time', async ({ empty }) => {
  const history = (): Promise<unknown> =>
    empty.query('select version, name, applied_at::text from walhook.migrations order by 1')
  expect(await walhook(environment(empty), ['migrate'])).toMatchObject({ code: 0 })
  const after = await history()
  const again = await walhook(environment(empty), ['migrate', '--json'])
  expect(again.code).toBe(0)
  expect(JSON.parse(again.lines[0] ?? '')).toMatchObject({ applied: [], slot: empty.slot })
  expect(await history()).toEqual(after)
})

test('a schema that is newer than the code is refused, by migrate and by run, with what to do', async ({
  db,
  plugin,
}) => {
  await db.query(
    `insert into walhook.migrations (version, name, checksum) values (9999, '9999_from_the_future.sql', 'x')`,
  )
  const env = { ...sidecarEnvironment(db, plugin), WALHOOK_AUTO_MIGRATE: 'true' }
  for (const args of [['migrate'], ['run']]) {
    const { code, output } = await walhook(env, args)
    expect(code).toBe(1)
    expect(output).toContain('schema_newer')
    expect(output).toContain('9999')
    expect(output).toMatch(/Run a Walhook that is at least as new/)
  }
  const { code, output } = await walhook({ ...env, WALHOOK_AUTO_MIGRATE: 'false' }, ['run'])
  expect({ code, names: output.includes('schema_newer') }).toEqual({ code: 1, names: true })
})

withEmptyDatabase(
  'without auto-migration, an empty database is refused with what to do',
  async ({ empty }) => {
    const { code, output } = await walhook(environment(empty, { WALHOOK_AUTO_MIGRATE: 'false' }), ['run'])
    expect(code).toBe(1)
    expect(output).toContain('schema_missing')
    expect(output).toContain('walhook migrate')
    expect(await empty.query(`select to_regnamespace('walhook') as schema`)).toEqual([{ schema: null }])
  },
)

test('everything in the schema has a comment', async ({ db }) => {
  const silent = await db.query(`
    select * from (
      select 'schema walhook' as what, obj_description('walhook'::regnamespace, 'pg_namespace') as comment
      union all
      select 'relation ' || c.relname, obj_description(c.oid, 'pg_class')
      from pg_class c
      where c.relnamespace = 'walhook'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
      union all
      select 'column ' || c.relname || '.' || a.attname, col_description(c.oid, a.attnum)
      from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace = 'walhook'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and a.attnum > 0 and not a.attisdropped
      union all
      select 'function ' || p.oid::regprocedure::text, obj_description(p.oid, 'pg_proc')
      from pg_proc p where p.pronamespace = 'walhook'::regnamespace
    ) as objects
    where comment is null or comment = ''`)
  expect(silent).toEqual([])
})
