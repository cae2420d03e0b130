import pg from 'pg'
import { startEmbeddedPostgres } from './src/commands/embedded-postgres.ts'
import { migrateSchema } from './src/store/migrate.ts'
const server = await startEmbeddedPostgres({
  settings: { fsync: 'off', synchronous_commit: 'off', max_wal_size: '8GB' },
})
const url = server.url
await migrateSchema(url)
const c = new pg.Client({ connectionString: url })
await c.connect()
const q = async (s: string, p: unknown[] = []) => {
  const t = performance.now()
  const r = await c.query(s, p)
  console.log(Math.round(performance.now() - t), 'ms', s.slice(0, 60).replaceAll('\n', ' '))
  return r
}
await q(
  `insert into walhook.subscriptions (url, event_types, secret, tenant) select 'https://e.example/' || i, '{a.b}', walhook.new_secret(), 't' || (i % 100) from generate_series(1, 300) as i`,
)
await q(`alter table walhook.deliveries disable trigger all`)
const N = Number(process.argv[2])
await q(`create temp table s as select id, row_number() over (order by id) as n from walhook.subscriptions`)
// 1 of the subscriptions is parked with a backlog of N/10, one is failing with many dead
await q(`insert into walhook.deliveries (event_id, subscription_id, state, attempts, finished_at, next_attempt_at, created_at, last_status)
 select gen_random_uuid(), s.id, case when i % 50 = 0 then 'dead' else 'delivered' end, 1, now() - (${N} - i) * interval '1 second' / 10, null, now() - (${N} - i) * interval '1 second' / 10, 200
 from generate_series(1, ${N}) as i join s on s.n = 1 + i % 298`)
await q(
  `insert into walhook.deliveries (event_id, subscription_id, state, attempts, next_attempt_at) select gen_random_uuid(), s.id, 'pending', 0, now() from generate_series(1, ${N / 10}) as i, s where s.n = 299`,
)
await q(
  `insert into walhook.deliveries (event_id, subscription_id, state, attempts, finished_at) select gen_random_uuid(), s.id, 'dead', 1, now() from generate_series(1, ${N / 10}) as i, s where s.n = 300`,
)
await q(
  `insert into walhook.attempts (delivery_id, number, started_at, duration_ms, response_status) select id, 1, greatest(created_at, now() - interval '20 hours'), 5, 200 from walhook.deliveries where attempts > 0 and created_at > now() - interval '20 hours' order by id desc limit 1000000`,
)
await q(
  `insert into walhook.outbox (type, payload, created_at) select 'a.b', json_build_object('amount', i), now() - i * interval '1 second' from generate_series(1, ${N / 10}) as i`,
)
await q('vacuum analyze walhook.deliveries')
await q('vacuum analyze walhook.attempts')
await q('vacuum analyze walhook.outbox')
for (const who of [
  `select id from walhook.subscriptions order by id desc limit 50`,
  `select id from s where n = 299`,
  `select id from s where n = 300`,
  `select id from s where n = 7`,
]) {
  await q(`select * from walhook.subscription_overview where id = any (array(${who})) order by id desc`)
  await q(`select * from walhook.subscription_overview where id = any (array(${who})) order by id desc`)
}
const { rows } = await c.query(
  `explain (analyze, costs off) select * from walhook.subscription_overview where id = any (array(select id from s where n = 299))`,
)
console.log(
  rows
    .map((r: Record<string, string>) => r['QUERY PLAN'])
    .filter((l: string) => /Scan|actual time=[0-9.]+\.\.[0-9]{2,}/.test(l) && !/never executed/.test(l))
    .slice(0, 40)
    .join('\n'),
)
await q(`select matches from walhook.try_filter('$.amount > 100')`)
await q(`select matches from walhook.try_filter('$.amount > 100', '{never.this}')`)
const LIST = `select d.id from walhook.deliveries as d join walhook.attempts as a on a.delivery_id = d.id and a.started_at >= d.created_at - interval '1 minute' where d.subscription_id = $1 and d.attempts > 0 and ($2::bigint is null or d.id <= $2 and (d.id, a.number) < ($2, $3::int)) order by d.id desc, a.number desc limit 51`
for (const n of [7, 299, 300]) {
  const id = (await c.query('select id from s where n = $1', [n])).rows[0].id
  const r = await q(LIST, [id, null, null])
  console.log(r.rows.length)
}
await c.end()
await server[Symbol.asyncDispose]()
