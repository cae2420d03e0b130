/** What a person chooses of a subscription, by the names of its columns: the vocabulary of psql, flags, HTTP and files alike. */

/** In the order in which they are shown. walhook.subscription_options() has the same, and decides. */
export const SUBSCRIPTION_OPTIONS = [
  'name',
  'tenant',
  'url',
  'description',
  'event_types',
  'filter',
  'timeout',
  'retry_schedule',
  'retry_on',
  'method',
  'body',
  'headers',
  'forward_headers',
  'signature',
  'signature_header',
  'header_prefix',
  'ed25519_key',
  'auth',
  'tls',
  'handshake',
  'batch',
  'ordering',
  'on_dead',
  'rate_limit',
  'max_in_flight',
  'ttl',
  'disable_after',
] as const

export type SubscriptionOption = (typeof SUBSCRIPTION_OPTIONS)[number]

/** As JSON: what can stand there is checked where it is stored. Null is the column's default, and what is absent is not spoken of. */
export type SubscriptionOptions = Readonly<Partial<Record<SubscriptionOption, unknown>>>

/** What nobody is shown again: of these one sees whether they are there. */
export const SECRET_OPTIONS = ['ed25519_key', 'auth', 'tls'] as const satisfies readonly SubscriptionOption[]
export type SecretOption = (typeof SECRET_OPTIONS)[number]

export type ShownOption = Exclude<SubscriptionOption, SecretOption>

export function isSubscriptionOption(name: string): name is SubscriptionOption {
  return (SUBSCRIPTION_OPTIONS as readonly string[]).includes(name)
}

export function isSecretOption(name: string): name is SecretOption {
  return (SECRET_OPTIONS as readonly string[]).includes(name)
}

/** Those that can be shown, in order. */
export const SHOWN_OPTIONS: readonly ShownOption[] = SUBSCRIPTION_OPTIONS.filter(
  (name): name is ShownOption => !isSecretOption(name),
)
