/** `walhook dev`: a Postgres of our own and the sidecar on it, until a signal. Endpoints on this machine are allowed. */
import type { Command } from 'commander'
import { type Config, type Environment, parseConfig } from '../config.ts'
import { visible, visibleJson } from '../core/untrusted-text.ts'
import { WalhookError } from '../lifecycle/errors.ts'
import { listenAddress, type ListenAddress, wholeNumber } from './arguments.ts'
import { type CommandContext, untilAborted } from './command.ts'
import { startEmbeddedPostgres } from './embedded-postgres.ts'
import { loadSidecar } from './load-sidecar.ts'
import { readableLog } from './readable-log.ts'
import { withProgress } from './terminal.ts'

interface DevOptions {
  readonly port?: number
  readonly dataDir?: string
  readonly listen?: ListenAddress
  readonly json?: true
}

export function addDev(walhook: Command, context: CommandContext): void {
  walhook
    .command('dev')
    .description('Postgres and the sidecar, both up until a signal; webhooks to this machine are allowed.')
    .option('--port <port>', "Postgres's port (default: a free one)", wholeNumber(1, 65_535))
    .option('--data-dir <directory>', 'keep the data there (default: they end with it)')
    .option(
      '--listen <host:port>',
      'where metrics and health are served (default: WALHOOK_LISTEN)',
      listenAddress,
    )
    .option('--json', 'print JSON lines: {"kind": "ready", …}, then the log')
    .action((options: DevOptions) => dev(context, options))
}

async function dev(context: CommandContext, options: DevOptions): Promise<void> {
  const { terminal } = context
  const stopped = context.stopped()
  const settings = devSettings(context.environment, options)
  await using postgres = await withProgress(
    terminal,
    'starting Postgres',
    startEmbeddedPostgres({
      ...(options.port !== undefined && { port: options.port }),
      ...(options.dataDir !== undefined && { dataDir: options.dataDir }),
    }),
  )
  const { startSidecar, createLogger } = await loadSidecar()
  // PGSSLMODE of the environment is meant for other servers.
  const url = `${postgres.url}?sslmode=disable`
  const log = options.json
    ? { write: (line: string) => terminal.print(line.trimEnd()) }
    : readableLog(terminal.print, terminal.paint)
  // How it started is of interest only where something is wrong.
  const logger = createLogger('warn', log)
  await using sidecar = await withProgress(
    terminal,
    'starting the sidecar',
    startSidecar({ ...settings, databaseUrl: url, replicationUrl: url }, logger),
  )
  logger.level = settings.logLevel

  const place = {
    databaseUrl: postgres.url,
    url: sidecar.address,
    dataDir: options.dataDir === undefined ? undefined : postgres.dataDir,
  }
  if (options.json) terminal.print(readyAsJson(place))
  else terminal.print(welcome(place, context))

  const postgresEnded = postgres.ended.then(() => 'postgres ended' as const)
  const reason = await Promise.race([untilAborted(stopped), sidecar.ended, postgresEnded])
  if (reason === 'postgres ended') {
    throw new WalhookError('database_unreachable', 'Postgres has ended: somebody stopped it, or it crashed')
  }
}

/** The settings of the environment, but for the database, which is ours. */
function devSettings(environment: Environment, options: DevOptions): Config {
  const config = parseConfig({
    WALHOOK_ALLOW_HTTP: 'true',
    WALHOOK_ALLOW_NETWORKS: '127.0.0.0/8,::1/128',
    ...Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== '')),
    DATABASE_URL: 'postgres://127.0.0.1/postgres',
    WALHOOK_REPLICATION_URL: undefined,
  })
  return options.listen === undefined ? config : { ...config, listen: options.listen }
}

interface Place {
  readonly databaseUrl: string
  /** Of the sidecar's HTTP surface. */
  readonly url: string
  /** Where the data are kept, if they are. */
  readonly dataDir: string | undefined
}

function readyAsJson({ databaseUrl, url, dataDir }: Place): string {
  return visibleJson({
    kind: 'ready',
    database_url: databaseUrl,
    url,
    page_url: `${url}/ui`,
    metrics_url: `${url}/metrics`,
    data_dir: dataDir ?? null,
  })
}

function welcome({ databaseUrl, url, dataDir }: Place, { programName, terminal }: CommandContext): string {
  const topic = (text: string): string => terminal.paint('cyan', text.padEnd(11))
  return [
    terminal.paint('bold', 'Walhook is up. Ctrl-C ends it.'),
    '',
    `${topic('connect')} psql '${databaseUrl}'`,
    `${topic('receive')} ${programName} listen`,
    `${topic('subscribe')} DATABASE_URL='${databaseUrl}' ${programName} subscribe http://127.0.0.1:9000/`,
    `${topic('')} or in psql: select * from walhook.subscribe('http://127.0.0.1:9000/', '{order.*}');`,
    `${topic('publish')} DATABASE_URL='${databaseUrl}' ${programName} publish order.created '{"amount": 10}'`,
    `${topic('')} or in psql: select walhook.publish('order.created', '{"amount": 10}');`,
    `${topic('look')} ${url}/ui`,
    `${topic('')} or in psql: select * from walhook.delivery_status;`,
    `${topic('metrics')} ${url}/metrics, ${url}/readyz`,
    `${topic('data')} ${dataDir === undefined ? 'gone when this ends; --data-dir keeps them' : `kept in ${visible(dataDir)}`}`,
    '',
  ].join('\n')
}
