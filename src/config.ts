/**
 * Every setting, its default and what it means, read once at start. A name or a value that is not known is an error
 * that says which: a setting that is silently ignored is one that an operator believes in.
 */
import { z } from 'zod'
import type { AllowedNetwork } from './core/address-policy.ts'
import { originName } from './core/consent.ts'
import { type EgressProxy, proxyAddress } from './core/egress-proxy.ts'
import { formatDuration } from './core/duration.ts'
import type { KeyRing } from './core/key-ring.ts'
import { sourceName, type SourceWish } from './core/source-table.ts'
import { traceSettings, type TraceSettings } from './core/trace-settings.ts'
import { WalhookError } from './lifecycle/errors.ts'
import {
  adminToken,
  bool,
  count,
  duration,
  keyRing,
  listenAddress,
  networks,
  plainName,
  postgresUrl,
  proxyUrl,
  retention,
  sources,
} from './setting-forms.ts'

const PREFIX = 'WALHOOK_'

const SETTINGS = z.strictObject({
  DATABASE_URL: postgresUrl,
  WALHOOK_REPLICATION_URL: postgresUrl.optional(),
  WALHOOK_PLUGIN: z
    .enum(['auto', 'wal2json', 'pgoutput'], 'has to be auto, wal2json or pgoutput')
    .default('auto'),
  WALHOOK_SLOT: plainName.default('walhook'),
  WALHOOK_PUBLICATION: plainName.default('walhook'),
  WALHOOK_SOURCES: sources.prefault(''),
  WALHOOK_LISTEN: listenAddress.prefault('127.0.0.1:8788'),
  WALHOOK_ADMIN_TOKEN: adminToken.optional(),
  WALHOOK_AUTO_MIGRATE: bool.prefault('true'),
  WALHOOK_ENCRYPTION_KEY: keyRing.prefault(''),
  WALHOOK_ALLOW_HTTP: bool.prefault('false'),
  WALHOOK_ALLOW_NETWORKS: networks.prefault(''),
  WALHOOK_PROXY: proxyUrl.optional(),
  WALHOOK_ORIGIN: originName.default('walhook'),
  WALHOOK_MAX_IN_FLIGHT: count(1, 10_000).prefault('256'),
  WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT: count(1, 10_000).prefault('64'),
  WALHOOK_EVENT_TYPES: z.enum(['open', 'warn', 'strict'], 'has to be open, warn or strict').default('open'),
  WALHOOK_RETENTION: retention.prefault('outbox=7d,deliveries=30d,attempts=14d'),
  WALHOOK_SHUTDOWN_GRACE: duration.prefault('25s'),
  WALHOOK_LOG_LEVEL: z
    .enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
      'has to be trace, debug, info, warn, error or silent',
    )
    .default('info'),
})

export type LogLevel = z.output<typeof SETTINGS>['WALHOOK_LOG_LEVEL']

/** What each setting means, in one line. */
export const SETTINGS_HELP: Readonly<Record<keyof z.input<typeof SETTINGS>, string>> = {
  DATABASE_URL: 'the database with the outbox: postgres://user:password@host:5432/database',
  WALHOOK_REPLICATION_URL: 'the login that streams the log, if not that of DATABASE_URL',
  WALHOOK_PLUGIN: 'how the log is decoded: auto, wal2json or pgoutput',
  WALHOOK_SLOT: 'the replication slot; of each database its own',
  WALHOOK_PUBLICATION: 'the publication that holds the outbox',
  WALHOOK_SOURCES: 'outboxes of others to read too: public.outbox=debezium',
  WALHOOK_LISTEN: 'where the HTTP API, the page and the probes are served',
  WALHOOK_ADMIN_TOKEN:
    'a key for the HTTP API that may do everything, of at least 24 characters; without it and without keys in the database, the API is for this machine only',
  WALHOOK_AUTO_MIGRATE: 'whether run migrates first',
  WALHOOK_ENCRYPTION_KEY:
    'seals secrets in the database: base64 of 32 random bytes; after a comma, old keys that still open',
  WALHOOK_ALLOW_HTTP: 'whether an endpoint may be http, not https only',
  WALHOOK_ALLOW_NETWORKS: 'networks that may be called though they are not public: 10.0.0.0/8,fd00::/8',
  WALHOOK_PROXY:
    'the proxy for all webhooks; it resolves their names, and has to keep internal ones out itself',
  WALHOOK_ORIGIN: 'whose webhooks these are, to endpoints that are asked for their consent',
  WALHOOK_MAX_IN_FLIGHT: 'requests under way at once, in all',
  WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT: 'requests under way at once, for one subscription',
  WALHOOK_EVENT_TYPES: 'whether events have to fit the catalog of event types: open, warn or strict',
  WALHOOK_RETENTION: 'how many days what is finished is kept, by table',
  WALHOOK_SHUTDOWN_GRACE: 'how long attempts may still take after a signal to stop',
  WALHOOK_LOG_LEVEL: 'trace, debug, info, warn, error or silent',
}

export interface SettingDescription {
  readonly name: string
  /** As it would be written; undefined where there is none. */
  readonly defaultText: string | undefined
  readonly isRequired: boolean
  readonly meaning: string
}

/** Every setting, in order; names and defaults are read off the schema that parses them. */
export function describeSettings(): readonly SettingDescription[] {
  const { properties = {}, required = [] } = z.toJSONSchema(SETTINGS, { io: 'input', unrepresentable: 'any' })
  const meanings: Readonly<Record<string, string>> = SETTINGS_HELP
  return Object.entries(properties).map(([name, property]) => ({
    name,
    defaultText:
      typeof property === 'object' && property.default !== '' ? asText(property.default) : undefined,
    isRequired: required.includes(name),
    meaning: meanings[name] ?? '',
  }))
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

export interface Config {
  readonly databaseUrl: string
  readonly replicationUrl: string
  readonly plugin: 'auto' | 'wal2json' | 'pgoutput'
  readonly slotName: string
  readonly publicationName: string
  readonly sources: readonly SourceWish[]
  readonly listen: { readonly host: string; readonly port: number }
  /** A key that may do everything. */
  readonly adminToken: string | undefined
  readonly autoMigrate: boolean
  /** The first seals; empty where secrets are left plain. */
  readonly encryptionKeys: KeyRing
  readonly allowHttp: boolean
  readonly allowNetworks: readonly AllowedNetwork[]
  readonly proxy: EgressProxy | undefined
  readonly origin: string
  readonly maxInFlight: number
  readonly maxInFlightPerEndpoint: number
  readonly eventTypes: 'open' | 'warn' | 'strict'
  readonly retention: {
    readonly outboxMs: number
    readonly deliveriesMs: number
    readonly attemptsMs: number
  }
  readonly shutdownGraceMs: number
  readonly logLevel: LogLevel
  /** Undefined where traces are off. */
  readonly traces: TraceSettings | undefined
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Errors: `configuration`, one line for each setting that is wrong. */
export function parseConfig(environment: Environment): Config {
  const result = SETTINGS.safeParse(ours(environment))
  if (!result.success) throw configurationError(result.error)
  const settings = result.data
  const traces = traceSettings(environment)
  if (typeof traces === 'string') throw new WalhookError('configuration', traces)
  return {
    databaseUrl: settings.DATABASE_URL,
    replicationUrl: settings.WALHOOK_REPLICATION_URL ?? settings.DATABASE_URL,
    plugin: settings.WALHOOK_PLUGIN,
    slotName: settings.WALHOOK_SLOT,
    publicationName: settings.WALHOOK_PUBLICATION,
    sources: settings.WALHOOK_SOURCES,
    listen: settings.WALHOOK_LISTEN,
    adminToken: settings.WALHOOK_ADMIN_TOKEN,
    autoMigrate: settings.WALHOOK_AUTO_MIGRATE,
    encryptionKeys: settings.WALHOOK_ENCRYPTION_KEY,
    allowHttp: settings.WALHOOK_ALLOW_HTTP,
    allowNetworks: settings.WALHOOK_ALLOW_NETWORKS,
    proxy: settings.WALHOOK_PROXY,
    origin: settings.WALHOOK_ORIGIN,
    maxInFlight: settings.WALHOOK_MAX_IN_FLIGHT,
    maxInFlightPerEndpoint: settings.WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT,
    eventTypes: settings.WALHOOK_EVENT_TYPES,
    retention: settings.WALHOOK_RETENTION,
    shutdownGraceMs: settings.WALHOOK_SHUTDOWN_GRACE,
    logLevel: settings.WALHOOK_LOG_LEVEL,
    traces,
  }
}

/** For commands that need the database and nothing else. */
export function parseDatabaseUrl(environment: Environment): string {
  return parseConfig(environment).databaseUrl
}

/** For the start-up log line: every setting, without what has to stay secret. */
export function describeConfig(config: Config): Readonly<Record<string, unknown>> {
  return {
    database: withoutPassword(config.databaseUrl),
    replication: withoutPassword(config.replicationUrl),
    plugin: config.plugin,
    slot: config.slotName,
    publication: config.publicationName,
    sources: config.sources.map(sourceName),
    listen: `${config.listen.host}:${config.listen.port}`,
    admin_token: config.adminToken === undefined ? 'none' : 'set',
    auto_migrate: config.autoMigrate,
    encryption_keys: config.encryptionKeys.map(({ id }) => id),
    allow_http: config.allowHttp,
    allow_networks: config.allowNetworks.length,
    proxy: config.proxy === undefined ? 'none' : proxyAddress(config.proxy),
    origin: config.origin,
    max_in_flight: config.maxInFlight,
    max_in_flight_per_endpoint: config.maxInFlightPerEndpoint,
    event_types: config.eventTypes,
    retention: Object.fromEntries(
      Object.entries(config.retention).map(([name, ms]) => [name.replace('Ms', ''), formatDuration(ms)]),
    ),
    shutdown_grace: formatDuration(config.shutdownGraceMs),
    log_level: config.logLevel,
    traces: config.traces === undefined ? 'off' : new URL(config.traces.url).host,
  }
}

/** Host and database are what an operator looks for; user and query may hold more than they should. */
export function withoutPassword(url: string): string {
  const { host, pathname } = new URL(url)
  return `postgres://${host}${pathname}`
}

function ours(environment: Environment): Record<string, string> {
  const settings: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) {
    // An empty variable is what compose files and shells make of one that is not set.
    if (value === undefined || value === '') continue
    if (name === 'DATABASE_URL' || name.startsWith(PREFIX)) settings[name] = value
  }
  return settings
}

function configurationError(error: z.ZodError): WalhookError {
  const lines = error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((name) => `${name} is not a setting of Walhook`)
    const name = String(issue.path[0])
    if (name === 'DATABASE_URL' && issue.code === 'invalid_type') return ['DATABASE_URL is not set']
    return [`${name} ${issue.message}`]
  })
  return new WalhookError('configuration', lines.join('; '), {
    remedy: 'See `walhook run --help` for every setting.',
  })
}
