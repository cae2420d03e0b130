/** `walhook listen`: a receiver that verifies and prints, one line a webhook, until a signal. */
import { type Command, Option } from 'commander'
import { visible, visibleJson } from '../core/untrusted-text.ts'
import { type ListenAddress, listenAddress, wholeNumber } from './arguments.ts'
import { type CommandContext, untilAborted } from './command.ts'
import { invalidInput } from './refusal.ts'
import { signatureCheck, type Verdict } from './signature-check.ts'
import type { Terminal } from './terminal.ts'
import { type ReceivedWebhook, serveWebhooks } from './webhook-server.ts'

interface ListenOptions {
  readonly listen: ListenAddress
  readonly secret?: readonly string[]
  readonly status: number
  readonly json?: true
}

const SECRET_PREFIX = 'whsec_'
const REFUSED_STATUS = 401
const DEFAULT_ADDRESS = '127.0.0.1:9000'
/** What a line shows of a body; a program gets all of it. */
const SHOWN_CHARACTERS = 2_000

export function addListen(walhook: Command, context: CommandContext): void {
  walhook
    .command('listen')
    .description('Receive webhooks, verify them with npm standardwebhooks, and print them. Until a signal.')
    .addOption(
      new Option('--listen <host:port>', 'where')
        .argParser(listenAddress)
        .default(listenAddress(DEFAULT_ADDRESS), DEFAULT_ADDRESS),
    )
    .option('--secret <secret>', 'whsec_…; may be repeated: one of them has to verify', more)
    .option('--status <code>', 'what to answer, if the signature is good', wholeNumber(200, 599), 204)
    .option('--json', 'print JSON lines: {"kind": "listening", …}, then {"kind": "webhook", …} for each')
    .action((options: ListenOptions) => listen(context, options))
}

async function listen(context: CommandContext, options: ListenOptions): Promise<void> {
  const { terminal } = context
  const stopped = context.stopped()
  const secrets = options.secret ?? []
  secrets.forEach(requireSecret)
  const check = signatureCheck(secrets)
  await using server = await serveWebhooks(options.listen, (webhook) => {
    const verdict = check(webhook)
    const status = verdict.kind === 'refused' ? REFUSED_STATUS : options.status
    const receipt = { time: new Date().toISOString(), webhook, verdict, status }
    terminal.print(options.json ? receiptAsJson(receipt) : receiptLine(receipt, terminal))
    return status
  })
  if (options.json) terminal.print(visibleJson({ kind: 'listening', url: server.url }))
  else terminal.note(`Listening on ${server.url}: ${intention(secrets)} Ctrl-C ends it.`)
  await untilAborted(stopped)
}

interface Receipt {
  readonly time: string
  readonly webhook: ReceivedWebhook
  readonly verdict: Verdict
  readonly status: number
}

function receiptLine({ time, webhook, verdict }: Receipt, terminal: Terminal): string {
  const { headers } = webhook
  return [
    terminal.paint('dim', time.slice(11, 23)),
    mark(verdict, terminal),
    terminal.paint('bold', visible(headers['walhook-event-type'] ?? '-')),
    visible(headers['webhook-id'] ?? '-'),
    `attempt ${visible(headers['walhook-attempt'] ?? '-')}`,
    shownBody(webhook.body),
  ].join('  ')
}

function mark(verdict: Verdict, terminal: Terminal): string {
  switch (verdict.kind) {
    case 'verified':
      return terminal.paint('green', '✓ verified')
    case 'unchecked':
      return terminal.paint('yellow', '? unverified')
    case 'refused':
      return terminal.paint('red', `✗ ${visible(verdict.reason)}`)
    default:
      return verdict satisfies never
  }
}

/** The body with the white space between its tokens taken out: JSON on one line, with every digit as it came. */
export function shownBody(body: Buffer): string {
  const text = body.toString('utf8')
  const compact = text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|\s+/gs, (token) =>
    token.startsWith('"') ? token : '',
  )
  if (compact.length <= SHOWN_CHARACTERS) return visible(compact)
  return `${visible(compact.slice(0, SHOWN_CHARACTERS))}… (${body.length} bytes)`
}

function receiptAsJson({ time, webhook, verdict, status }: Receipt): string {
  const { headers } = webhook
  const attempt = Number(headers['walhook-attempt'])
  return visibleJson({
    kind: 'webhook',
    time,
    verified: verdict.kind === 'unchecked' ? null : verdict.kind === 'verified',
    ...(verdict.kind === 'refused' && { reason: verdict.reason }),
    status,
    path: webhook.path,
    event_type: headers['walhook-event-type'] ?? null,
    id: headers['webhook-id'] ?? null,
    attempt: Number.isInteger(attempt) ? attempt : null,
    body: webhook.body.toString('utf8'),
  })
}

function intention(given: readonly string[]): string {
  if (given.length === 0) return 'no --secret, so signatures are not checked.'
  return `verifying with ${given.length === 1 ? 'the secret' : `${given.length} secrets`} given.`
}

function more(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text]
}

/** Its value is not repeated, as commander would: a secret that is only mistyped is still most of a secret. */
function requireSecret(text: string): void {
  const isWellFormed = /^whsec_[A-Za-z0-9+/]+=*$/.test(text) && text.length % 4 === 2
  const bytes = Buffer.byteLength(text.slice(SECRET_PREFIX.length), 'base64')
  if (!isWellFormed || bytes < 24 || bytes > 64)
    throw invalidInput('secret has to be whsec_ and the base64 of 24 to 64 bytes')
}
