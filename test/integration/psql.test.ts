/** psql as the operator's tool: everything says what it means, and the ten questions of docs/psql.md are answered. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'vitest'
import { test } from '../support/fixtures.ts'
import { publish, subscribe } from '../support/sql-surface.ts'

test('every function, table, view and column says what it is: \\d+ and \\df+ are a manual', async ({
  db,
}) => {
  const functions = await db.query<{ name: string }>(
    `select p.oid::regprocedure::text as name from pg_proc as p
     where p.pronamespace = 'walhook'::regnamespace and obj_description(p.oid, 'pg_proc') is null`,
  )
  expect(functions).toEqual([])
  const relations = await db.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class as c
     where c.relnamespace = 'walhook'::regnamespace and c.relkind in ('r', 'p', 'v') and not c.relispartition
       and obj_description(c.oid, 'pg_class') is null`,
  )
  expect(relations).toEqual([])
  const columns = await db.query<{ name: string }>(
    `select format('%s.%s', c.oid::regclass, a.attname) as name
     from pg_class as c join pg_attribute as a on a.attrelid = c.oid
     where c.relnamespace = 'walhook'::regnamespace and c.relkind in ('r', 'p', 'v') and not c.relispartition
       and a.attnum > 0 and not a.attisdropped and col_description(c.oid, a.attnum) is null`,
  )
  expect(columns).toEqual([])
})

const PAGE = path.join(import.meta.dirname, '..', '..', 'docs', 'psql.md')

/** The statements below each question, by its number. */
function questions(): ReadonlyMap<number, readonly string[]> {
  const sections = readFileSync(PAGE, 'utf8').split(/^## /m).slice(1)
  return new Map(
    sections.map((section) => [
      Number.parseInt(section, 10),
      [...section.matchAll(/^```sql\n([^]*?)^```/gm)].flatMap(([, sql = '']) =>
        sql.split(/;\n/).filter((statement) => statement.trim() !== ''),
      ),
    ]),
  )
}

test('the ten questions are answered, each by the query that stands below it', async ({ db }) => {
  const asked = questions()
  expect([...asked.keys()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  // Walhook is away: what it would have recorded is written here.
  const { id } = await subscribe(db, 'https://partner.example/hook', { ordering: 'key', onDead: 'block' })
  const event = await publish(db, { key: 'o-1' })
  const draft = await publish(db, { key: 'o-2', type: 'order.draft' })
  await db.query(
    `insert into walhook.relay (slot_name, lsn, system_identifier, timeline) values ('walhook', '0/1', '1', 1)`,
  )
  const [dead] = await db.query<{ id: string }>(
    `insert into walhook.deliveries (event_id, subscription_id, order_key, state, next_attempt_at, finished_at, attempts, last_status)
     values ($1, $2, walhook.order_key('key', 'o-1'), 'pending', now(), null, 1, null),
       ($3, $2, walhook.order_key('key', 'o-2'), 'pending', now(), null, 0, null)
     returning id`,
    [event, id, draft],
  )
  await db.query(
    `update walhook.deliveries set state = 'dead', next_attempt_at = null, finished_at = now(), last_status = 503 where id = $1`,
    [dead?.id],
  )
  await db.query(
    `insert into walhook.attempts (delivery_id, number, started_at, duration_ms, response_status, response_body)
     values ($1, 1, now(), 5, 503, 'no')`,
    [dead?.id],
  )
  await db.query(
    `insert into walhook.malformed (slot_name, lsn, row_in_transaction, reason, raw) values ('walhook', '0/1', 0, 'no type', '{}')`,
  )
  const answers = async (number: number): Promise<unknown[]> => {
    const given: unknown[] = []
    for (const statement of asked.get(number) ?? []) given.push(await db.query(statement))
    return given
  }

  expect(await answers(1)).toMatchObject([[{ slot_name: 'walhook', state: 'missing' }]])
  expect(await answers(2)).toMatchObject([[{ url: 'https://partner.example/hook', pending: '1' }]])
  expect(await answers(3)).toMatchObject([[{ response_status: 503, attempts: '1' }]])
  expect(await answers(4)).toMatchObject([[{ state: 'dead', last_status: 503 }]])
  expect(await answers(5)).toMatchObject([[{ number: 1, answer: 'no' }]])
  expect(await answers(6)).toMatchObject([
    [{ subscription_id: id, matches: true, delivery_state: 'pending' }],
  ])
  // Before what was dead is sent again.
  expect((await answers(9))[0]).toMatchObject([{ key: 'o-1', delivery_id: dead?.id, last_status: 503 }])
  const [counted, sent, resent] = await answers(7)
  expect(counted).toMatchObject([{ subscription_id: id, total: '1' }])
  expect(sent).toMatchObject([{ total: '1' }])
  expect(resent).toHaveLength(1)
  const [paused, cancelled] = await answers(8)
  expect([paused, cancelled]).toMatchObject([[{}], [{}]])
  expect(
    await db.query(
      'select state from walhook.subscriptions union all select state from walhook.deliveries order by 1',
    ),
  ).toEqual([{ state: 'cancelled' }, { state: 'paused' }, { state: 'pending' }])
  expect(await answers(10)).toMatchObject([[{ what: 'malformed', reason: 'no type', count: '1' }]])
})
