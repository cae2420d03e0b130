/** sql/schema.sql shows the schema to readers: it must be what the migrations make. */
import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { dumpSchema, SCHEMA_FILE } from '../support/dump-schema.ts'
import { test } from '../support/fixtures.ts'

test('sql/schema.sql is what the migrations make of an empty database', async ({ db }) => {
  const migrated = await dumpSchema(await db.application())
  const written = await readFile(SCHEMA_FILE, 'utf8')
  expect(written, 'sql/schema.sql is out of date: run "npm run schema"').toBe(migrated)
})
