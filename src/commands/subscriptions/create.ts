/** Making a subscription, for `subscribe` and `subscriptions create`: prints its signing secret, this once. */
import { type Environment, parseConfig } from '../../config.ts'
import { type AddressPolicy, isAddressAllowed, isLocalhostName, judgeUrl } from '../../core/address-policy.ts'
import { ANYWHERE } from '../../core/endpoint-url.ts'
import type { KeyRing } from '../../core/key-ring.ts'
import { readSecret } from '../../core/signing-secret.ts'
import type { SubscriptionOptions } from '../../core/subscription-options.ts'
import { visibleJson } from '../../core/untrusted-text.ts'
import { publicKeyOf } from '../../public-keys.ts'
import type { Database } from '../../store/database.ts'
import { createSubscription } from '../../store/subscription-changes.ts'
import { findSubscription, type FoundSubscription, lockUrl } from '../../store/subscription-lookup.ts'
import type { CommandContext } from '../command.ts'
import { withDatabase } from '../operator-database.ts'
import { refusingInput } from '../refusal.ts'
import type { Terminal } from '../terminal.ts'
import { type OptionFlags, subscriptionOptions } from './options.ts'

export interface CreateFlags extends OptionFlags {
  readonly secret?: string
  readonly ifMissing?: true
  readonly json?: true
}

interface Wish {
  readonly url: string
  readonly options: SubscriptionOptions
  readonly secret: string | undefined
  readonly onlyIfMissing: boolean
}

export async function create(context: CommandContext, url: string, flags: CreateFlags): Promise<void> {
  const { terminal } = context
  const wish: Wish = {
    url,
    options: subscriptionOptions({ ...flags, url }),
    secret: flags.secret,
    onlyIfMissing: flags.ifMissing === true,
  }
  const ring = parseConfig(context.environment).encryptionKeys
  const made = await withDatabase(context, (database) => make(database, ring, wish))
  for (const warning of warnings(url, context.environment)) {
    terminal.note(`${terminal.paintNote('yellow', 'careful:')} ${warning}`)
  }
  tellOtherSecret(made, terminal)
  if (flags.json) {
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

function tellOtherSecret({ id, secretThere }: Made, terminal: Terminal): void {
  if (secretThere !== 'another' && secretThere !== 'unreadable') return
  const itsSecret =
    secretThere === 'another'
      ? 'signs with another secret'
      : 'has a sealed secret, which only WALHOOK_ENCRYPTION_KEY could compare'
  terminal.note(
    `${terminal.paintNote('yellow', 'careful:')} subscription ${id} is there and ${itsSecret}; it was left as it is`,
  )
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

function make(database: Database, ring: KeyRing, wish: Wish): Promise<Made> {
  const { url, options, secret: wanted, onlyIfMissing } = wish
  return refusingInput('subscription', () =>
    database.transaction(async (tx) => {
      if (onlyIfMissing) {
        await lockUrl(tx, url)
        const found = await findSubscription(tx, { url, options })
        if (found !== undefined)
          return {
            id: found.id,
            secret: null,
            created: false,
            publicKey: await publicKeyOf(tx, ring, found.id),
            secretThere: wanted === undefined ? undefined : compared(wanted, found, ring),
          }
      }
      const { id, secret } = await createSubscription(tx, options, wanted)
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
