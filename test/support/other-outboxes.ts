/** Tables of others in tests, and what was made of what was written to them. */
import type { TestDatabase } from './test-database.ts'

/** Of the Outbox Event Router's documentation. */
export const DEBEZIUM = `
  create table public.outbox (
    id uuid not null primary key,
    aggregatetype varchar(255) not null,
    aggregateid varchar(255) not null,
    type varchar(255) not null,
    payload jsonb
  )`
export const INSERT_DEBEZIUM = `insert into public.outbox (id, aggregatetype, aggregateid, type, payload) values ($1, $2, $3, $4, $5)`

/** walhook.malformed, in order. */
export function malformed(db: TestDatabase): Promise<{ reason: string; row: number; raw: string }[]> {
  return db.query('select reason, row_in_transaction::int as row, raw from walhook.malformed order by id')
}

/** The copies of what was captured, by id. */
export function copies(db: TestDatabase): Promise<Record<string, unknown>[]> {
  return db.query(`
    select id, type, key, tenant, payload::text as payload, headers::text as headers,
      to_char(created_at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US') as created_at, captured_from
    from walhook.outbox where captured_from is not null order by id`)
}
