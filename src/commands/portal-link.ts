/** `walhook portal-link`: a link that opens the page for one tenant. It is signed with what the sidecar has, so both need the same settings. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseConfig } from '../config.ts'
import { parseDuration } from '../core/duration.ts'
import { LONGEST_LINK_MS, type PortalScope, portalPath } from '../core/portal-link.ts'
import { visibleJson } from '../core/untrusted-text.ts'
import { Database } from '../store/database.ts'
import { readSigningKey } from '../store/session-secret.ts'
import { duration } from './arguments.ts'
import type { CommandContext } from './command.ts'
import { invalidInput } from './refusal.ts'

interface LinkOptions {
  readonly tenant: string
  readonly expiresIn: string
  readonly scope: PortalScope
  readonly url?: string
  readonly json?: true
}

export function addPortalLink(walhook: Command, context: CommandContext): void {
  walhook
    .command('portal-link')
    .description(
      'Print a link that opens the page for one tenant. Run it with the settings of the sidecar: WALHOOK_ADMIN_TOKEN signs, else the database does.',
    )
    .requiredOption('--tenant <tenant>', 'whose page it is')
    .option('--expires-in <duration>', 'how long it opens the page, at most 30d', duration, '1h')
    .addOption(
      new Option('--scope <scope>', 'operate: the tenant may change things too')
        .choices(['read', 'operate'])
        .default('read'),
    )
    .option(
      '--url <url>',
      'where the tenant reaches the sidecar (default: http:// and WALHOOK_LISTEN)',
      baseUrl,
    )
    .option('--json', 'print JSON: {"portal_link"}')
    .action((options: LinkOptions) => run(context, options))
}

async function run({ environment, terminal }: CommandContext, options: LinkOptions): Promise<void> {
  const { tenant, scope } = options
  if (tenant.length === 0 || tenant.length > 255) throw invalidInput('tenant has to be 1 to 255 characters')
  const lastsMs = parseDuration(options.expiresIn) ?? Infinity
  if (lastsMs > LONGEST_LINK_MS) throw invalidInput('expires-in has to be at most 30d')
  const config = parseConfig(environment)
  await using database = new Database({ url: config.databaseUrl, maxConnections: 1 })
  const key = await readSigningKey(database, config, 'portal_link')
  const expiresAt = Math.ceil((Date.now() + lastsMs) / 1_000)
  const { host, port } = config.listen
  const base = options.url ?? `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  const url = `${base}${portalPath(key, { keyId: null, scope, tenant, expiresAt })}`
  const expires_at = new Date(expiresAt * 1_000).toISOString()
  terminal.print(options.json ? visibleJson({ portal_link: { url, tenant, scope, expires_at } }) : url)
}

function baseUrl(text: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text.replace(/\/+$/, '')
  throw new InvalidArgumentError('It has to be a URL like https://hooks.example.com.')
}
