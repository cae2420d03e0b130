/** Subscriptions with credentials, certificates or a handshake, as SQL writes them; and what they are made of. */
import { readFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { confide } from './leak-watch.ts'
import type { Subscribed } from './sql-surface.ts'
import type { TestDatabase } from './test-database.ts'

export interface AccessWish {
  readonly auth?: object
  readonly tls?: object
  readonly handshake?: boolean
  readonly timeout?: string
  readonly retrySchedule?: readonly string[]
  readonly rateLimit?: string
}

/** Passwords, tokens and keys in the wish are looked for in what sidecars say. */
export async function subscribeWith(db: TestDatabase, url: string, wish: AccessWish): Promise<Subscribed> {
  for (const text of [...Object.values(wish.auth ?? {}), ...Object.values(wish.tls ?? {})] as string[])
    if (!/^(?:https?:|-----BEGIN CERT)/.test(text)) confide(text, 'credentials or a private key')
  const [made] = await db.query<Subscribed>(
    `select * from walhook.subscribe(url => $1, auth => $2, tls => $3, handshake => $4, timeout => $5,
       retry_schedule => $6, rate_limit => $7)`,
    [url, json(wish.auth), json(wish.tls), wish.handshake, wish.timeout, wish.retrySchedule, wish.rateLimit],
  )
  if (made === undefined) throw new Error('walhook.subscribe returned no row')
  return made
}

/** A text that nobody else has, and that must stay out of logs. */
export function aSecret(): string {
  const text = randomBytes(18).toString('base64url')
  confide(text, 'a password or a token')
  return text
}

/** Of test/support/certificates. */
export function certificate(name: string): string {
  return readFileSync(new URL(`certificates/${name}`, import.meta.url), 'utf8')
}

/** A client's certificate and key, by its name there. */
export function client(name: 'client-a' | 'client-b'): { readonly cert: string; readonly key: string } {
  return { cert: certificate(`${name}.pem`), key: certificate(`${name}.key`) }
}

/** Every row of every table and view of Walhook's, as text. */
export async function wholeDatabase(db: TestDatabase): Promise<string> {
  const tables = await db.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class as c
     where c.relkind in ('r', 'v') and c.relnamespace::regnamespace::text like 'walhook%'`,
  )
  const dumps = await Promise.all(
    tables.map(({ name }) => db.query<{ row: string }>(`select t::text as row from ${name} as t`)),
  )
  return dumps.flatMap((dump) => dump.map(({ row }) => row)).join('\n')
}

function json(value: object | undefined): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value)
}
