/** `walhook.subscribe` with options by their names in SQL, for tests of what these do. */
import { confide } from './leak-watch.ts'
import type { Subscribed } from './sql-surface.ts'
import type { TestDatabase } from './test-database.ts'

/** Objects go as JSON, lists as arrays. */
export type Options = Readonly<Record<string, string | number | boolean | null | readonly string[] | object>>

export async function subscribeWith(
  db: TestDatabase,
  url: string,
  options: Options = {},
): Promise<Subscribed> {
  for (const name of ['secret', 'ed25519_key'])
    if (typeof options[name] === 'string') confide(options[name], 'what a test brought to sign with')
  const names = Object.keys(options)
  const [made] = await db.query<Subscribed>(
    `select * from walhook.subscribe($1${names.map((name, i) => `, ${name} => $${i + 2}`).join('')})`,
    [url, ...names.map((name) => options[name])],
  )
  if (made === undefined) throw new Error('walhook.subscribe returned no row')
  return made
}
