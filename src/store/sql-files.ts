/** Finds the SQL files beside the code, in the checkout and in the published package alike. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createHash } from 'node:crypto'

export interface SqlFile {
  readonly name: string
  readonly text: string
  /** SHA-256, hexadecimal. */
  readonly checksum: string
}

/** `src/store/` in the checkout, `dist/src/store/` once built. */
const sqlDirectory = ['../../sql/', '../../../sql/']
  .map((path) => new URL(path, import.meta.url))
  .find((url) => existsSync(new URL('functions.sql', url)))

export function readSqlFile(name: string): SqlFile {
  const text = readFileSync(new URL(name, directory()), 'utf8')
  return { name, text, checksum: createHash('sha256').update(text).digest('hex') }
}

export interface Migration extends SqlFile {
  readonly version: number
}

/** The numbered migrations, in order. */
export function readMigrations(): readonly Migration[] {
  return readdirSync(new URL('migrations/', directory()))
    .filter((name) => /^\d{4}_.*\.sql$/.test(name))
    .sort()
    .map((name) => ({ ...readSqlFile(`migrations/${name}`), name, version: Number(name.slice(0, 4)) }))
}

function directory(): URL {
  if (sqlDirectory === undefined) throw new Error('the package is incomplete: its sql/ directory is missing')
  return sqlDirectory
}
