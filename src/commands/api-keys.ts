/** `walhook api-keys`: keys for the HTTP API, made, listed and revoked. `walhook keys` is about keys of ordering. */
import { type Command, Option } from 'commander'
import { parseDuration } from '../core/duration.ts'
import { rfc3339 } from '../core/outbox-event.ts'
import { type Scope, SCOPES } from '../core/principal.ts'
import { visible, visibleJson } from '../core/untrusted-text.ts'
import { WalhookError } from '../lifecycle/errors.ts'
import { type ApiKeyRow, createApiKey, listApiKeys, revokeApiKey } from '../store/api-keys.ts'
import { duration, keyId, wholeNumber } from './arguments.ts'
import type { CommandContext } from './command.ts'
import { withDatabase } from './operator-database.ts'
import { psqlTable } from './psql-table.ts'
import { refusingInput } from './refusal.ts'

interface CreateOptions {
  readonly name?: string
  readonly scope: Scope
  readonly tenant?: string
  /** A duration. */
  readonly expiresIn?: string
  readonly json?: true
}

interface ListOptions {
  readonly limit: number
  readonly json?: true
}

const LONGEST_LIST = 10_000

export function addApiKeys(walhook: Command, context: CommandContext): void {
  const keys = walhook.command('api-keys').description('Keys for the HTTP API: make, list, revoke.')
  keys
    .command('create')
    .description('Make a key. It is shown this once; as soon as there is one, everyone needs one.')
    .option('--name <name>', 'for people: whose it is, or what for')
    .addOption(
      new Option(
        '--scope <scope>',
        'publish: write events. read: look. operate: both, and change. admin: keys too',
      )
        .choices([...SCOPES])
        .makeOptionMandatory(),
    )
    .option('--tenant <tenant>', "it sees and writes only what is this tenant's")
    .option('--expires-in <duration>', 'it is refused after that: 12h, 30d', duration)
    .option('--json', 'print JSON: {"api_key"}, with the key')
    .action((options: CreateOptions) => create(context, options))
  keys
    .command('list')
    .description('List keys, the newest first, revoked ones too.')
    .option('--limit <count>', 'at most so many', wholeNumber(1, LONGEST_LIST), 50)
    .option('--json', 'print JSON: {"api_keys"}')
    .action((options: ListOptions) => list(context, options))
  keys
    .command('revoke')
    .description('Revoke a key, and with it the sessions and portal links that were opened with it.')
    .argument('<id>', "the key's id", keyId)
    .option('--json', 'print JSON: {"revoked"}')
    .action((id: string, options: { readonly json?: true }) => revoke(context, id, options))
}

async function create(context: CommandContext, options: CreateOptions): Promise<void> {
  const { terminal } = context
  const { name, scope, tenant, expiresIn } = options
  const lastsMs = expiresIn === undefined ? undefined : parseDuration(expiresIn)
  const made = await withDatabase(context, (database) =>
    refusingInput('key', () =>
      createApiKey(database, {
        name: name ?? null,
        scope,
        tenant: tenant ?? null,
        expiresAt: lastsMs === undefined ? null : new Date(Date.now() + lastsMs).toISOString(),
      }),
    ),
  )
  if (options.json) {
    terminal.print(visibleJson({ api_key: { ...asJson(made), key: made.key } }))
    return
  }
  terminal.print(`id   ${made.id}`)
  terminal.print(`key  ${made.key}`)
  terminal.note('The key is shown this once. Send it as "Authorization: Bearer …".')
}

const LISTED = ['id', 'name', 'prefix', 'scope', 'tenant', 'expires_at', 'last_used_at', 'revoked_at']

async function list(context: CommandContext, options: ListOptions): Promise<void> {
  const { terminal } = context
  const page = { tenant: null, beforeId: undefined, limit: options.limit }
  const rows = await withDatabase(context, (database) => listApiKeys(database, page))
  terminal.print(options.json ? visibleJson({ api_keys: rows.map(asJson) }) : psqlTable(LISTED, rows))
  if (!options.json && rows.length === options.limit) terminal.note('There may be more: raise --limit.')
}

async function revoke(context: CommandContext, id: string, options: { readonly json?: true }): Promise<void> {
  if (!(await withDatabase(context, (database) => revokeApiKey(database, id, null))))
    throw new WalhookError('not_found', `there is no key ${id}`, {
      remedy: '`walhook api-keys list` shows those that there are.',
    })
  context.terminal.print(
    options.json ? visibleJson({ revoked: id }) : `key ${visible(id)} is refused from now on`,
  )
}

function asJson(row: ApiKeyRow): ApiKeyRow {
  const shown = (time: string | null): string | null => (time === null ? null : (rfc3339(time) ?? time))
  const { id, name, prefix, scope, tenant } = row
  return {
    id,
    name,
    prefix,
    scope,
    tenant,
    expires_at: shown(row.expires_at),
    created_at: shown(row.created_at) ?? row.created_at,
    last_used_at: shown(row.last_used_at),
    revoked_at: shown(row.revoked_at),
  }
}
