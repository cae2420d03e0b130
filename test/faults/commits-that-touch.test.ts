/**
 * Commits whose records touch, over every version of Postgres that is to be had here: the test server's own is in
 * integration/replication-traps, and Debian's packages bring others.
 */
import { describe, expect, inject, test } from 'vitest'
import { installedPostgres, startInstalled } from '../support/installed-postgres.ts'
import { administer, TestDatabase } from '../support/test-database.ts'
import { confirmFirstOfTouchingCommits } from '../support/touching-commits.ts'

const PAIRS = 20
const VERSIONS = ['15', '16', '17', '18']

const installed = await installedPostgres()

describe('over the versions of Postgres that are installed here', () => {
  for (const postgres of installed)
    test(`Postgres ${postgres.major} (${postgres.plugins.join(', ')}): the second of two comes again when only the first was confirmed`, async () => {
      await using server = await startInstalled(postgres)
      for (const plugin of postgres.plugins) {
        const db = await TestDatabase.clone(server.url, 'postgres', `touching ${plugin}`)
        const pairs = await confirmFirstOfTouchingCommits(db, plugin, PAIRS)
        await db.drop()
        process.stdout.write(
          `commits that touch, Postgres ${server.version} over ${plugin}: ${JSON.stringify(pairs)}\n`,
        )
        expect(pairs).toEqual({ adjacent: PAIRS, lost: 0 })
      }
    })

  test('what was not run is told', async () => {
    const { url, plugins } = inject('postgres')
    const own = await administer(url, async (admin) => {
      const { rows } = await admin.query<{ major: string }>(
        `select (current_setting('server_version_num')::int / 10000)::text as major`,
      )
      return rows[0]?.major ?? ''
    })
    const ran = new Map([
      ...installed.map((each) => [each.major, each.plugins] as const),
      [own, plugins] as const,
    ])
    const missing = VERSIONS.filter((major) => !ran.has(major))
    const without = [...ran].filter(([, names]) => !names.includes('wal2json')).map(([major]) => major)
    process.stdout.write(
      `commits that touch: NOT RUN over Postgres ${missing.join(', ') || '(none)'}; without wal2json over ${without.join(', ') || '(none)'}\n`,
    )
    expect(ran.size).toBeGreaterThan(0)
  })
})
