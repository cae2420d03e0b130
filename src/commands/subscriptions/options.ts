/** The options of a subscription as flags: each a column of walhook.subscriptions, in the groups of docs/subscriptions.md. */
import type { Command } from 'commander'
import {
  isSubscriptionOption,
  type SubscriptionOption,
  type SubscriptionOptions,
} from '../../core/subscription-options.ts'
import { urlFault } from '../../core/endpoint-url.ts'
import { invalidInput, requireJson } from '../refusal.ts'

/** As commander gives them: flags in camel case. Other flags of the command may be among them. */
export type OptionFlags = Readonly<Record<string, unknown>>

/** For `subscribe`, `subscriptions create` and `subscriptions update`. Defaults are the columns', so none stands here. */
export function addSubscriptionOptions(command: Command): Command {
  return command
    .option('--name <name>', 'what people call it; unique within its tenant')
    .option(
      '--event-types <patterns>',
      'order.created, order.* (any depth) or *, separated by commas (default: *)',
      list,
    )
    .option('--tenant <tenant>', "only this tenant's events")
    .option('--filter <path>', "SQL/JSON path predicate over the payload: '$.amount > 100'")
    .option('--description <text>', 'for people')
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
    .option('--no-handshake', 'the endpoint is not asked')
    .option('--batch <json>', 'collect events into one request: \'{"max_events":100,"max_wait":"5s"}\'')
    .option('--ordering <ordering>', 'none, or key: one at a time for each key (default: none)')
    .option('--on-dead <what>', 'with ordering by key: block, or skip (default: block)')
    .option('--rate-limit <rate>', "10/s, 600/m or '10/s burst 50', over all replicas (default: none)")
    .option('--max-in-flight <count>', 'requests at one time, fewer than WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT')
    .option('--ttl <duration>', 'older events are cancelled and not sent (default: never)')
    .option('--disable-after <duration>', 'failing for so long disables it (default: 5d)')
}

/** Typed as JSON, and stored as such. */
const JSON_OPTIONS: readonly SubscriptionOption[] = ['headers', 'batch']

/** What was said, by column; of the command's other flags nothing. Errors: `invalid_input`. */
export function subscriptionOptions(flags: OptionFlags): SubscriptionOptions {
  const options: Partial<Record<SubscriptionOption, unknown>> = {}
  for (const [flag, value] of Object.entries(flags)) {
    const name = columnOf(flag)
    if (value === undefined || !isSubscriptionOption(name)) continue
    options[name] = JSON_OPTIONS.includes(name) && typeof value === 'string' ? jsonOf(name, value) : value
  }
  if (typeof options.url === 'string') requireCallable(options.url)
  return options
}

/** `eventTypes` is event_types; so is `event-types`, which a person types. */
export function columnOf(flag: string): string {
  return flag.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replaceAll('-', '_')
}

export function list(text: string): string[] {
  if (text.trim() === '') return []
  return text.split(',').map((item) => item.trim())
}

function jsonOf(name: string, text: string): unknown {
  requireJson(name, text)
  return JSON.parse(text) as unknown
}

function requireCallable(url: string): void {
  const fault = urlFault(url)
  if (fault !== undefined) throw invalidInput(`url ${fault}`)
}
