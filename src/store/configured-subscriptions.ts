/** Subscriptions as a configuration file compares them with what it says: with the texts of their secrets, which go nowhere else. */
import type { SecretOption, ShownOption } from '../core/subscription-options.ts'
import type { Queryable } from './database.ts'

/** Held until the transaction ends: of two files that are applied at once, the second is compared with what the first made. */
export async function lockConfiguration(tx: Queryable): Promise<void> {
  await tx.query(`select pg_advisory_xact_lock(hashtextextended('walhook.apply', 0))`)
}

export interface SubscriptionIdentity {
  readonly id: string
  readonly name: string | null
  readonly tenant: string | null
  readonly url: string
}

/** All but those that a replay made for itself, the oldest first. */
export function listIdentities(
  tx: Queryable,
  tenant: string | null,
): Promise<readonly SubscriptionIdentity[]> {
  return tx.query<SubscriptionIdentity>(
    /* sql */ `
    select id, name, tenant, url
    from walhook.subscriptions
    where signs_as is null and ($1::text is null or tenant = $1)
    order by id`,
    [tenant],
  )
}

export interface ConfiguredSubscription {
  readonly options: Readonly<Record<ShownOption, unknown>>
  /** As it may be seen: with … for each value whose name sounds like a secret. */
  readonly maskedHeaders: Readonly<Record<string, string>>
  /** As they stand there: plain or sealed. */
  readonly secrets: Readonly<Record<SecretOption, string | null> & { secret: string }>
}

/** Locked until the transaction ends. Undefined where there is none. */
export async function readConfigured(tx: Queryable, id: string): Promise<ConfiguredSubscription | undefined> {
  const [row] = await tx.query<
    Omit<ConfiguredSubscription, 'options'> & { options: Record<ShownOption, unknown> }
  >(
    /* sql */ `
    select
      to_jsonb(s) - 'secret' - 'previous_secret' - 'ed25519_key' - 'auth' - 'tls' as options,
      walhook.masked_headers(s.headers) as "maskedHeaders",
      jsonb_build_object('secret', s.secret, 'ed25519_key', s.ed25519_key, 'auth', s.auth, 'tls', s.tls) as secrets
    from walhook.subscriptions as s
    where s.id = $1
    for no key update`,
    [id],
  )
  return row
}

/** What each option is where nobody says anything. */
export async function readDefaults(db: Queryable): Promise<Readonly<Record<string, unknown>>> {
  const rows = await db.query<{ name: string; value: unknown }>(/* sql */ `
    select name, walhook.default_of_option(name) as value
    from unnest(walhook.subscription_options()) as name`)
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]))
}
