/**
 * Makes a database cluster, once a data directory: UTF-8, passwords required, superuser `postgres`.
 *
 * The password lies beside the data, written last: a cluster whose making was cut short is never taken for a whole one.
 */
import { randomBytes } from 'node:crypto'
import { chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { WalhookError } from '../lifecycle/errors.ts'
import { canReach, type PostgresPrograms, type PostgresUser } from './embedded-postgres-binaries.ts'
import { spawnPostgres } from './embedded-postgres-process.ts'

const PASSWORD_FILE = 'walhook-password'

/**
 * Makes the cluster unless `dataDir` holds one already; resolves to the superuser's password. `scratchDir` must be
 * reachable by `user`. Throws `configuration` where the directory cannot be used.
 */
export async function ensureCluster(
  programs: PostgresPrograms,
  user: PostgresUser,
  dataDir: string,
  scratchDir: string,
): Promise<string> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const present = await readdir(dataDir)
  if (present.includes(PASSWORD_FILE))
    return (await readFile(path.join(dataDir, PASSWORD_FILE), 'utf8')).trim()
  if (present.length > 0)
    throw new WalhookError(
      'configuration',
      `${dataDir} is not empty and holds no database that Walhook made`,
      {
        remedy: 'name another directory, or empty this one',
      },
    )
  if (!(await canReach(user, path.dirname(dataDir))))
    throw new WalhookError(
      'configuration',
      `user ${user?.name}, who runs Postgres for root, cannot reach ${dataDir}`,
      {
        remedy: 'choose a directory outside of root’s home, or run as an ordinary user',
      },
    )
  await give(dataDir, user)

  const password = randomBytes(12).toString('hex')
  await writePassword(path.join(scratchDir, PASSWORD_FILE), password, user)
  const initdb = spawnPostgres(
    programs.initdb,
    [
      `--pgdata=${dataDir}`,
      '--username=postgres',
      `--pwfile=${path.join(scratchDir, PASSWORD_FILE)}`,
      '--auth=scram-sha-256',
      // The builtin C.UTF-8 is the same everywhere: it asks the operating system for no locale.
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--no-sync',
    ],
    user,
  )
  const ending = await initdb.ended
  if (ending !== 'exit code 0')
    throw new Error(`initdb ended with ${ending}:\n${initdb.lastLines.join('\n')}`)
  await writePassword(path.join(dataDir, PASSWORD_FILE), password, user)
  return password
}

async function writePassword(file: string, password: string, user: PostgresUser): Promise<void> {
  await writeFile(file, `${password}\n`, { mode: 0o600 })
  await give(file, user)
}

async function give(file: string, user: PostgresUser): Promise<void> {
  if (user !== undefined) await chown(file, user.uid, user.gid)
}
