/** `walhook subscribe`: makes a subscription and shows its signing secret, this once. */
import { type Command, Option } from 'commander'
import { type Environment, parseConfig } from '../config.ts'
import {
  type AddressPolicy,
  isAddressAllowed,
  isLocalhostName,
  judgeUrl,
  parseNetwork,
} from '../core/address-policy.ts'
import type { KeyRing } from '../core/key-ring.ts'
import { readSecret } from '../core/signing-secret.ts'
import { visibleJson } from '../core/untrusted-text.ts'
import { publicKeyOf } from '../public-keys.ts'
import type { Database } from '../store/database.ts'
import {
  checkFilter,
  findSubscription,
  type FoundSubscription,
  lockUrl,
} from '../store/subscription-lookup.ts'
import { type NewSubscription, subscribe } from '../store/subscriptions.ts'
import type { CommandContext } from './command.ts'
import { withDatabase } from './operator-database.ts'
import { invalidInput, refusingInput, requireJson } from './refusal.ts'

interface SubscribeOptions extends Omit<NewSubscription, 'url'> {
  readonly ifMissing?: true
  readonly json?: true
}

/** The columns of walhook.subscriptions, in the groups of docs/subscriptions.md. */
export function addSubscribe(walhook: Command, context: CommandContext): void {
  walhook
    .command('subscribe')
    .description(
      'Make a subscription: which events go to which endpoint. Prints its signing secret, this once.',
    )
    .argument('<url>', 'where to POST; https, unless the sidecar allows http')
    .addOption(
      new Option('--event-types <patterns>', 'order.created, order.* (any depth) or *, separated by commas')
        .argParser(list)
        .default(['*'], '*'),
    )
    .option('--tenant <tenant>', "only this tenant's events")
    .option('--filter <path>', "SQL/JSON path predicate over the payload: '$.amount > 100'")
    .option('--description <text>', 'for people')
    .option(
      '--secret <secret>',
      'signing secret: whsec_ and base64, or any text for github, stripe and hex (default: a fresh one)',
    )
    .option('--timeout <duration>', 'how long one attempt may take, 100ms to 30s (default: 15s)')
    .option(
      '--retry-schedule <durations>',
      'delays between attempts: 10s,20s,40s (default: 5s,5m,30m,2h,5h,10h,14h,20h,24h)',
      list,
    )
    .option('--retry-on <failures>', 'any, or transient: network, 408, 425, 429 and 5xx (default: any)')
    .option('--method <method>', 'POST or PUT (default: POST)')
    .option(
      '--body <form>',
      'envelope, payload, cloudevents, cloudevents-binary or cloudevents-batch (default: envelope)',
    )
    .option('--headers <json>', 'headers of your own: \'{"x-team":"billing"}\'')
    .option('--forward-headers <names>', "names in the events' headers that are sent on", list)
    .option(
      '--signature <schemes>',
      'standard, standard-ed25519, github, stripe, hex, several, or none (default: standard)',
      list,
    )
    .option('--signature-header <name>', 'where a hex signature stands (default: X-Webhook-Signature)')
    .option('--header-prefix <prefix>', 'in place of webhook- and walhook-: X-Acme-')
    .option('--ed25519-key <key>', 'private key, whsk_ and base64 (default: a fresh one, where it is needed)')
    .option('--auth <json>', 'credentials: \'{"type":"bearer","token":"…"}\'; see docs/authentication.md')
    .option('--tls <json>', 'certificates: \'{"ca":"…","cert":"…","key":"…"}\', each PEM')
    .option('--handshake', 'nothing is sent before the endpoint consents (CloudEvents webhook handshake)')
    .option('--batch <json>', 'collect events into one request: \'{"max_events":100,"max_wait":"5s"}\'')
    .option('--ordering <ordering>', 'none, or key: one at a time for each key (default: none)')
    .option('--on-dead <what>', 'with ordering by key: block, or skip (default: block)')
    .option('--rate-limit <rate>', "10/s, 600/m or '10/s burst 50', over all replicas (default: none)")
    .option('--max-in-flight <count>', 'requests at one time, fewer than WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT')
    .option('--ttl <duration>', 'older events are cancelled and not sent (default: never)')
    .option('--disable-after <duration>', 'failing for so long disables it (default: 5d)')
    .option('--if-missing', 'only if there is none with this url, these event types and this tenant')
    .option('--json', 'print JSON: {"id", "secret", "created"}, and "ed25519_public_key" where there is one')
    .action((url: string, options: SubscribeOptions) => run(context, url, options))
}

async function run(context: CommandContext, url: string, options: SubscribeOptions): Promise<void> {
  const { terminal } = context
  requireCallable(url)
  for (const field of ['headers', 'batch'] as const) {
    const text = options[field]
    if (typeof text === 'string') requireJson(field, text)
  }
  const wish: NewSubscription = { ...options, url }
  const ring = parseConfig(context.environment).encryptionKeys
  const made = await withDatabase(context, (database) =>
    make(database, ring, wish, options.ifMissing === true),
  )
  for (const warning of warnings(url, context.environment)) {
    terminal.note(`${terminal.paintNote('yellow', 'careful:')} ${warning}`)
  }
  if (made.secretThere === 'another' || made.secretThere === 'unreadable') {
    const itsSecret =
      made.secretThere === 'another'
        ? 'signs with another secret'
        : 'has a sealed secret, which only WALHOOK_ENCRYPTION_KEY could compare'
    terminal.note(
      `${terminal.paintNote('yellow', 'careful:')} subscription ${made.id} is there and ${itsSecret}; it was left as it is`,
    )
  }
  if (options.json) {
    terminal.print(
      visibleJson({
        id: made.id,
        secret: made.secret,
        created: made.created,
        ed25519_public_key: made.publicKey,
      }),
    )
  } else if (made.created) {
    terminal.print(`id      ${made.id}`)
    terminal.print(`secret  ${made.secret}`)
    if (made.publicKey !== undefined) terminal.print(`public  ${made.publicKey}`)
    terminal.print(terminal.paint('dim', 'The secret is shown this once: give it to the receiver now.'))
  } else {
    terminal.print(`id      ${made.id}`)
    terminal.print(terminal.paint('dim', 'It was there already; its secret was shown when it was made.'))
  }
}

interface Made {
  readonly id: string
  /** Null where it was there already. */
  readonly secret: string | null
  readonly created: boolean
  /** Undefined where it does not sign with Ed25519, or its key is sealed with another one than ours. */
  readonly publicKey: string | undefined
  /** Where it was there already and a secret was asked for: what its own is to that. */
  readonly secretThere: 'that' | 'another' | 'unreadable' | undefined
}

async function make(
  database: Database,
  ring: KeyRing,
  wish: NewSubscription,
  onlyIfMissing: boolean,
): Promise<Made> {
  const { filter, secret: wanted } = wish
  if (filter !== undefined) await refusingInput('filter', () => checkFilter(database, filter))
  return refusingInput('subscription', () =>
    database.transaction(async (tx) => {
      if (onlyIfMissing) {
        await lockUrl(tx, wish.url)
        const found = await findSubscription(tx, wish)
        if (found !== undefined)
          return {
            id: found.id,
            secret: null,
            created: false,
            publicKey: await publicKeyOf(tx, ring, found.id),
            secretThere: wanted === undefined ? undefined : compared(wanted, found, ring),
          }
      }
      const { id, secret } = await subscribe(tx, wish)
      const publicKey = await publicKeyOf(tx, ring, id)
      return { id, secret, created: true, publicKey, secretThere: undefined }
    }),
  )
}

function compared(
  wanted: string,
  { id, storedSecret }: FoundSubscription,
  ring: KeyRing,
): NonNullable<Made['secretThere']> {
  const read = readSecret(ring, { id, column: 'secret', text: storedSecret })
  if (read.kind === 'key_unknown' || read.kind === 'not_authentic') return 'unreadable'
  return read.plain === wanted ? 'that' : 'another'
}

function list(text: string): string[] {
  if (text.trim() === '') return []
  return text.split(',').map((item) => item.trim())
}

/** Everything is allowed: what is refused even so can never be called. */
const ANYWHERE: AddressPolicy = {
  allowHttp: true,
  allowNetworks: ['0.0.0.0/0', '::/0'].flatMap((text) => parseNetwork(text) ?? []),
}

function requireCallable(url: string): void {
  const judgement = judgeUrl(url, ANYWHERE)
  if (judgement.kind === 'denied')
    throw invalidInput(`url has to be an http or https URL that can be called: ${judgement.reason}`)
}

/** The sidecar decides, and may run with other settings: what these would refuse is worth a word. */
function warnings(text: string, environment: Environment): string[] {
  const { allowHttp, allowNetworks } = parseConfig(environment)
  const found: string[] = []
  if (judgeUrl(text, { ...ANYWHERE, allowHttp }).kind === 'denied')
    found.push('the url is http: the sidecar calls it only with WALHOOK_ALLOW_HTTP=true')
  if (!mayBePublic(text, { allowHttp: true, allowNetworks }))
    found.push(
      'the url is not a public address: the sidecar calls it only if WALHOOK_ALLOW_NETWORKS contains it',
    )
  return found
}

/** Names are judged by what they resolve to, when they are called; of these we know. */
function mayBePublic(text: string, policy: AddressPolicy): boolean {
  const judgement = judgeUrl(text, policy)
  if (judgement.kind === 'denied') return false
  return !isLocalhostName(judgement.url.hostname) || isAddressAllowed('127.0.0.1', policy)
}
