/**
 * A primary and its standby in containers, synchronous, so that the standby can take over without losing a commit; with
 * slots that it keeps in step, as docs/operations.md says, or without, as on servers before 17.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { eventually } from './eventually.ts'
import { IMAGE, removeWhenWeAreGone } from './postgres-container.ts'
import { administer } from './test-database.ts'

const run = promisify(execFile)
const PASSWORD = 'walhook'
const STANDBY_SLOT = 'standby'
const DATA = '/var/lib/postgresql/data'

const docker = async (...args: string[]): Promise<string> => (await run('docker', args)).stdout.trim()

/** Whether there can be such a pair here: Docker answers and has the tests' image. */
export async function hasImage(): Promise<boolean> {
  return docker('image', 'inspect', '--format', 'here', IMAGE).then(
    () => true,
    () => false,
  )
}

class ContainedServer {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }

  /** Where it is reached now: a container that is started again may have another port. */
  async url(): Promise<string> {
    const address = (await docker('port', this.name, '5432/tcp')).split('\n')[0]
    return `postgres://postgres:${PASSWORD}@${address}/postgres`
  }

  async query(sql: string): Promise<Record<string, unknown>[]> {
    return administer(
      await this.url(),
      async (admin) => (await admin.query<Record<string, unknown>>(sql)).rows,
    )
  }

  /** Resolves when it takes connections. */
  async untilReady(): Promise<void> {
    await eventually(() => this.query('select'), { withinMs: 60_000, everyMs: 200 })
  }

  async kill(): Promise<void> {
    await docker('kill', '--signal', 'KILL', this.name)
  }

  async startAgain(): Promise<void> {
    await docker('start', this.name)
    await this.untilReady()
  }
}

export class PostgresPair implements AsyncDisposable {
  readonly primary: ContainedServer
  readonly standby: ContainedServer
  readonly #opened: AsyncDisposableStack

  private constructor(primary: ContainedServer, standby: ContainedServer, opened: AsyncDisposableStack) {
    this.primary = primary
    this.standby = standby
    this.#opened = opened
  }

  static async start({ keepsSlots }: { readonly keepsSlots: boolean }): Promise<PostgresPair> {
    await using opened = new AsyncDisposableStack()
    const id = `walhook-pair-${randomBytes(4).toString('hex')}`
    await docker('network', 'create', id)
    opened.defer(() => docker('network', 'rm', id).then(() => undefined))
    const start = async (
      role: string,
      entrypoint: readonly string[],
      args: readonly string[],
    ): Promise<ContainedServer> => {
      const name = `${id}-${role}`
      await docker(
        'run',
        '--detach',
        '--name',
        name,
        '--network',
        id,
        '--network-alias',
        role,
        '--publish',
        '127.0.0.1::5432',
        '--env',
        `POSTGRES_PASSWORD=${PASSWORD}`,
        '--env',
        `PGPASSWORD=${PASSWORD}`,
        ...entrypoint,
        IMAGE,
        ...args,
      )
      const watchdog = removeWhenWeAreGone(name)
      opened.defer(async () => {
        await docker('rm', '--force', '--volumes', name)
        watchdog.kill('SIGKILL')
      })
      return new ContainedServer(name)
    }

    const primary = await start(
      'primary',
      [],
      [
        'postgres',
        '-c',
        'max_connections=100',
        '-c',
        'max_prepared_transactions=64',
        // Nothing leaves through a slot that the standby does not have: else it would miss, after a failover, what was sent.
        ...(keepsSlots ? ['-c', `synchronized_standby_slots=${STANDBY_SLOT}`] : []),
      ],
    )
    await eventually(
      async () => {
        // It comes up twice, the first time for its own setup and without a port.
        await primary.query(`select pg_create_physical_replication_slot('${STANDBY_SLOT}')`)
      },
      { withinMs: 60_000, everyMs: 200 },
    )
    await docker(
      'exec',
      primary.name,
      'bash',
      '-c',
      `echo 'host replication all all scram-sha-256' >> ${DATA}/pg_hba.conf`,
    )
    await primary.query('select pg_reload_conf()')

    const source = 'host=primary user=postgres dbname=postgres'
    const copy = `setpriv --reuid=postgres --regid=postgres --init-groups pg_basebackup --checkpoint=fast -R -D ${DATA} -S ${STANDBY_SLOT} -d '${source}'`
    const standby = await start(
      'standby',
      ['--entrypoint', 'bash'],
      [
        '-c',
        `set -e; chown postgres ${DATA}; chmod 700 ${DATA}; ${copy}; exec logical-replication-entrypoint.sh "$@"`,
        'bash',
        'postgres',
        '-c',
        'max_connections=100',
        '-c',
        'max_prepared_transactions=64',
        '-c',
        `primary_conninfo=${source} password=${PASSWORD}`,
        '-c',
        `primary_slot_name=${STANDBY_SLOT}`,
        '-c',
        'hot_standby_feedback=on',
        '-c',
        `sync_replication_slots=${keepsSlots ? 'on' : 'off'}`,
      ],
    )
    await standby.untilReady()
    // A commit counts once the standby has it.
    await primary.query(`alter system set synchronous_standby_names = '*'`)
    await primary.query('select pg_reload_conf()')
    return new PostgresPair(primary, standby, opened.move())
  }

  /** Resolves once the standby could go on where `slot` stands. */
  async untilInStep(slot: string): Promise<void> {
    await eventually(
      async () => {
        await this.primary.query('select pg_log_standby_snapshot()')
        const [row] = await this.standby.query(
          `select synced and not temporary as ready from pg_replication_slots where slot_name = '${slot}'`,
        )
        if (row?.['ready'] !== true) throw new Error(`the standby does not have ${slot} yet`)
      },
      { withinMs: 60_000, everyMs: 250 },
    )
  }

  async promote(): Promise<void> {
    await this.standby.query('select pg_promote()')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.disposeAsync()
  }
}
