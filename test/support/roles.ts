/** sql/roles.sql as a DBA's psql runs it. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type pg from 'pg'

const ROLES_FILE = path.join(import.meta.dirname, '..', '..', 'sql', 'roles.sql')

/** As psql reads it: `\set`, `:'walhook_password'`, `\gexec`. */
export async function runRolesFile(client: pg.Client, password: string): Promise<void> {
  const text = (await readFile(ROLES_FILE, 'utf8'))
    .replaceAll(/^\\set .*$/gm, '')
    .replaceAll(":'walhook_password'", client.escapeLiteral(password))
  for (const statement of text.split(/;\s*$|(?<=\\gexec)\s*$/m)) {
    const isGenerator = statement.trimEnd().endsWith('\\gexec')
    const result = await client.query<Record<string, string>>(statement.replace(/\\gexec\s*$/, ''))
    if (isGenerator)
      for (const row of result.rows) for (const generated of Object.values(row)) await client.query(generated)
  }
}
