/** Subscriptions as attempts read them. */
import type { KeyRing } from '../core/key-ring.ts'
import { withinAllowedRate } from '../core/consent.ts'
import { headerNames } from '../core/header-names.ts'
import { requestForm, type RequestOptions } from '../core/request-form.ts'
import { needsKey, type SignatureScheme, signers } from '../core/signature.ts'
import { readSecret, type StoredSecret, type UnreadableSecret } from '../core/signing-secret.ts'
import {
  type Batching,
  DEFAULT_BATCH,
  parseRateLimit,
  type Subscription,
  trustedDuration,
} from '../core/subscription.ts'
import type { Queryable } from './database.ts'
import { accessOf } from './subscription-access.ts'

interface SubscriptionRow {
  id: string
  url: string
  state: Subscription['state']
  /** Whose secrets these are, and for whom they are sealed. */
  signer_id: string
  secret: string
  previous_secret: string | null
  auth: string | null
  tls: string | null
  handshake: boolean
  consented: boolean
  allowed_rate: number | null
  timeout: string
  retry_schedule: string[]
  retry_on: 'any' | 'transient'
  method: RequestOptions['method']
  body: RequestOptions['body']
  headers: Record<string, string>
  forward_headers: string[]
  header_prefix: string | null
  signature: SignatureScheme[]
  signature_header: string | null
  ed25519_key: string | null
  batch: { max_events?: number; max_wait?: string } | null
  ordering: Subscription['ordering']
  rate_limit: string | null
  max_in_flight: number | null
  ttl: string | null
  cancelled: string[]
}

const LOAD = {
  name: 'walhook_load_subscriptions',
  text: /* sql */ `
    select
      s.id, s.url, state, signer_id, signer_secret as secret, timeout, retry_schedule, retry_on,
      signer_previous_secret as previous_secret,
      method, body, headers, forward_headers, header_prefix, signature, signature_header,
      signer_ed25519_key as ed25519_key,
      batch, ordering, rate_limit, max_in_flight, ttl,
      auth, tls, handshake, c.consented_at is not null as consented, c.allowed_rate,
      -- For longer than a lease lasts.
      array(
        select d.id::text
        from walhook.deliveries as d
        where d.subscription_id = s.id and d.state = 'cancelled' and d.last_error in ('cancelled', 'expunged')
          and d.finished_at > now() - interval '2 minutes'
        order by d.finished_at desc
        limit 10000
      ) as cancelled
    from walhook.subscriptions as s
    cross join lateral (
      select
        k.id as signer_id, k.secret as signer_secret, k.ed25519_key as signer_ed25519_key,
        case when k.previous_secret_until > now() then k.previous_secret end as signer_previous_secret
      from walhook.subscriptions as k
      where k.id = coalesce(s.signs_as, s.id)
    ) as signer
    left join walhook.consents as c on s.handshake and c.subscription_id = s.id and c.url = s.url and c.origin = $2
    where s.id = any ($1::uuid[])`,
}

/**
 * Those that exist; an id without a subscription is one that was deleted. `onUnreadable` is told why one has no keys or no
 * access. `origin` is whom an endpoint has to have consented to, where it has to;
 * `now` is in unix milliseconds.
 */
export async function loadSubscriptions(
  db: Queryable,
  ids: readonly string[],
  ring: KeyRing,
  onUnreadable: (secret: UnreadableSecret) => void,
  { origin, now }: { readonly origin: string; readonly now: number },
): Promise<readonly Subscription[]> {
  const rows = await db.query<SubscriptionRow>(LOAD, [ids, origin])
  return rows.map((row) => ({
    id: row.id,
    url: row.url,
    state: row.state,
    signers: signersOf(row, ring, onUnreadable),
    access: accessOf(row, ring, now, onUnreadable),
    consent: !row.handshake ? 'not_needed' : row.consented ? 'given' : 'awaited',
    timeoutMs: trustedDuration(row.timeout),
    retry: { delaysMs: row.retry_schedule.map(trustedDuration), retryOn: row.retry_on },
    request: requestForm({
      method: row.method,
      body: row.body,
      headers: row.headers,
      forwardHeaders: row.forward_headers,
      headerPrefix: row.header_prefix ?? undefined,
    }),
    batch: row.batch === null ? undefined : batchOf(row.batch),
    ordering: row.ordering,
    rateLimit: withinAllowedRate(
      row.rate_limit === null ? undefined : parseRateLimit(row.rate_limit),
      row.allowed_rate ?? undefined,
    ),
    maxInFlight: row.max_in_flight ?? undefined,
    ttlMs: row.ttl === null ? undefined : trustedDuration(row.ttl),
    cancelled: new Set(row.cancelled),
  }))
}

function batchOf({
  max_events = DEFAULT_BATCH.maxEvents,
  max_wait,
}: NonNullable<SubscriptionRow['batch']>): Batching {
  return {
    maxEvents: max_events,
    maxWaitMs: max_wait === undefined ? DEFAULT_BATCH.maxWaitMs : trustedDuration(max_wait),
  }
}

/** All or none: a receiver may know the one secret that is missing, and would refuse what bears only the other's signature. */
function signersOf(
  row: SubscriptionRow,
  ring: KeyRing,
  onUnreadable: (secret: UnreadableSecret) => void,
): Subscription['signers'] {
  const { signature: schemes } = row
  const read = (column: StoredSecret['column'], text: string | null): readonly string[] | undefined => {
    if (text === null) return []
    const secret = readSecret(ring, { id: row.signer_id, column, text })
    if (secret.kind === 'plain' || secret.kind === 'opened') return [secret.plain]
    onUnreadable({ id: row.signer_id, column, reason: secret.kind })
    return undefined
  }
  const shared = needsKey(schemes, 'secrets')
  const newest = shared ? read('secret', row.secret) : []
  const previous = shared ? read('previous_secret', row.previous_secret) : []
  const own = needsKey(schemes, 'ed25519Key') ? read('ed25519_key', row.ed25519_key) : []
  if (newest === undefined || previous === undefined || own === undefined) return undefined
  return signers(
    {
      schemes,
      hexHeader: row.signature_header ?? undefined,
      names: headerNames(row.header_prefix ?? undefined),
    },
    { secrets: [...newest, ...previous], ed25519Key: own[0] },
  )
}
