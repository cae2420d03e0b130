/** What `walhook doctor` says of endpoints: their URLs, addresses and certificates, as a delivery would meet them. Pure. */
import type { TlsIdentity } from './access.ts'
import { type AddressPolicy, isAddressAllowed, judgeUrl } from './address-policy.ts'
import type { ErrorClass } from './attempt-outcome.ts'
import {
  formatAge,
  ok,
  plural,
  problem,
  shell,
  sql,
  sqlText,
  todo,
  type Step,
  type Verdict,
  warning,
} from './doctor.ts'

/** What may be connected to, once for all subscriptions that share it. Of a URL nothing but the origin is shown. */
export interface Endpoint {
  readonly origin: string
  readonly target: { readonly protocol: string; readonly hostname: string; readonly port: string }
  readonly tls: TlsIdentity | undefined
  /** Whether access tokens come from there. */
  readonly isTokenServer: boolean
  /** One of the subscriptions, and how many there are. */
  readonly subscriptionId: string
  readonly subscriptions: number
}

export interface DeniedUrl {
  readonly subscriptionId: string
  readonly reason: string
  readonly error: 'address_denied' | 'invalid_url'
}

export interface WantedConnection {
  readonly subscriptionId: string
  readonly url: string
  readonly tls: TlsIdentity | undefined
  readonly isTokenServer: boolean
}

/** Each once, in the order in which they come; what cannot be called apart. */
export function endpointsOf(
  wanted: readonly WantedConnection[],
  policy: AddressPolicy,
): { readonly endpoints: readonly Endpoint[]; readonly denied: readonly DeniedUrl[] } {
  const endpoints = new Map<string, Endpoint>()
  const denied: DeniedUrl[] = []
  for (const { subscriptionId, url, tls, isTokenServer } of wanted) {
    const judgement = judgeUrl(url, policy)
    if (judgement.kind === 'denied') {
      denied.push({ subscriptionId, reason: judgement.reason, error: judgement.error })
      continue
    }
    const { origin, protocol, hostname, port } = judgement.url
    const key = `${origin} ${tls?.id ?? ''}`
    const known = endpoints.get(key)
    endpoints.set(
      key,
      known === undefined
        ? {
            origin,
            target: { protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port },
            tls,
            isTokenServer,
            subscriptionId,
            subscriptions: 1,
          }
        : { ...known, subscriptions: known.subscriptions + 1 },
    )
  }
  return { endpoints: [...endpoints.values()], denied }
}

export type Reached =
  | { readonly kind: 'reached'; readonly certificateEndsAt: number | undefined }
  | {
      readonly kind: 'failed'
      readonly error: ErrorClass
      readonly detail: string | undefined
      /** Of a name whose address is denied. */
      readonly addresses: readonly string[]
    }
  | { readonly kind: 'no_time' }

const DAY_MS = 86_400_000
const EXPIRES_SOON_MS = 14 * DAY_MS
const SHOWN = 3

/** One of each reason: with many subscriptions what is wrong with one is mostly wrong with many. */
export function judgeDeniedUrls(denied: readonly DeniedUrl[]): readonly Verdict[] {
  const byReason = Map.groupBy(denied, ({ reason }) => reason)
  return [...byReason.values()].map((of) => {
    const [first] = of
    const ids = of.slice(0, SHOWN).map(({ subscriptionId }) => subscriptionId)
    return problem(
      `the URL of ${plural(of.length, 'subscription')} cannot be called: ${first?.reason ?? ''} (${ids.join(', ')}${of.length > ids.length ? ', …' : ''})`,
      `Each delivery dies at once, as ${first?.error}.`,
      ...remedyOfUrl(first, ids[0] ?? ''),
    )
  })
}

function remedyOfUrl(denied: DeniedUrl | undefined, id: string): readonly Step[] {
  const change = sql(`UPDATE walhook.subscriptions SET url = 'https://…' WHERE id = ${sqlText(id)};`)
  if (denied?.reason.includes('http, which is not allowed') === true)
    return [change, todo('or set WALHOOK_ALLOW_HTTP=true')]
  if (denied?.error === 'address_denied')
    return [
      change,
      todo('or name its network in WALHOOK_ALLOW_NETWORKS, where it is yours and may be called'),
    ]
  return [change]
}

export function judgeEndpoint(
  endpoint: Endpoint,
  reached: Reached,
  { policy, now }: { readonly policy: AddressPolicy; readonly now: number },
): Verdict {
  const { origin, subscriptionId, subscriptions, isTokenServer } = endpoint
  const whose = `${isTokenServer ? 'token server ' : ''}${origin} (subscription ${subscriptionId}${subscriptions > 1 ? ` and ${subscriptions - 1} more` : ''})`
  if (reached.kind === 'no_time') return { status: 'skipped', summary: `${whose}: no time was left` }
  if (reached.kind === 'reached') return judgeCertificate(whose, reached.certificateEndsAt, now)
  const { error, detail } = reached
  return problem(
    `${whose}: ${SAID[error] ?? error}${detail === undefined ? '' : ` (${detail})`}`,
    isTokenServer
      ? 'No access token can be had, so that each attempt fails, as auth.'
      : error === 'address_denied'
        ? 'Each delivery dies at once, as address_denied.'
        : `Each attempt fails, as ${error}, and is retried by the subscription's schedule.`,
    ...remedyOf(endpoint, reached, policy),
  )
}

function judgeCertificate(whose: string, endsAt: number | undefined, now: number): Verdict {
  const leftMs = endsAt === undefined ? Infinity : endsAt - now
  if (leftMs >= EXPIRES_SOON_MS) return ok(whose)
  return warning(
    `${whose}: its certificate expires in ${formatAge(leftMs)}`,
    'From then on each attempt fails, as tls.',
    todo('ask whoever runs the endpoint to renew it'),
  )
}

const SAID: Partial<Record<ErrorClass, string>> = {
  dns: 'its name has no address',
  connect_refused: 'the connection was refused',
  connect_timeout: 'no connection within the time that there is',
  connect_failed: 'there is no way to it',
  tls: 'the TLS handshake failed',
  proxy: 'the proxy made no tunnel to it',
  reset: 'the connection was closed',
  address_denied: 'it has an address that must not be called',
}

/** What OpenSSL and Node call certificates that they do not trust. */
const UNTRUSTED = /SELF_SIGNED|UNABLE_TO|UNTRUSTED|UNKNOWN_CA/
const ASKS_FOR_CERTIFICATE =
  /CERTIFICATE_REQUIRED|BAD_CERTIFICATE|ALERT_HANDSHAKE_FAILURE|CERTIFICATE_UNKNOWN/

function remedyOf(
  { target, subscriptionId, tls, isTokenServer }: Endpoint,
  { error, detail = '', addresses }: Extract<Reached, { kind: 'failed' }>,
  policy: AddressPolicy,
): readonly Step[] {
  const { hostname } = target
  const port = target.port || (target.protocol === 'https:' ? '443' : '80')
  // A host's name comes from whoever made the subscription, and may hold what a shell acts on.
  const isPlain = /^[a-z0-9][a-z0-9.:-]*$/.test(hostname)
  const trySo = (line: string): readonly Step[] =>
    isPlain ? [shell(`${line} # from the machine that runs Walhook`)] : []
  switch (error) {
    case 'dns':
      return [...trySo(`getent ahosts ${hostname}`), todo('mend the name, or the URL of the subscription')]
    case 'address_denied': {
      const denied = addresses.filter((address) => !isAddressAllowed(address, policy))
      if (denied.length === 0)
        return [todo('name its network in WALHOOK_ALLOW_NETWORKS, where it may be called')]
      return [
        todo(
          `where ${denied.length === 1 ? 'it is an address' : 'these are addresses'} of yours that may be called, add to WALHOOK_ALLOW_NETWORKS: ${denied.join(',')}`,
        ),
      ]
    }
    case 'connect_refused':
    case 'connect_timeout':
    case 'connect_failed':
    case 'reset':
      return [
        ...trySo(`nc -vz ${hostname} ${port}`),
        todo(
          'see that it is up, and that firewalls let Walhook out and in; then resume it, where it was disabled',
        ),
      ]
    case 'tls':
      if (UNTRUSTED.test(detail) && !isTokenServer)
        return [
          todo("where its authority is a private one, give the subscription that authority's certificate:"),
          sql(
            `UPDATE walhook.subscriptions SET tls = '{"ca": "-----BEGIN CERTIFICATE-----…"}' WHERE id = ${sqlText(subscriptionId)};`,
          ),
          todo('or NODE_EXTRA_CA_CERTS=/path/to/authority.pem for all'),
        ]
      return [
        ...trySo(`openssl s_client -connect ${hostname}:${port} -servername ${hostname} </dev/null`),
        ...(ASKS_FOR_CERTIFICATE.test(detail)
          ? [
              todo(
                tls?.client === undefined
                  ? 'it may ask for a client certificate: docs/authentication.md, "Certificates"'
                  : 'it does not take the client certificate of the subscription',
              ),
            ]
          : [todo('ask whoever runs the endpoint to mend its certificate')]),
      ]
    case 'proxy':
      return [todo(`allow CONNECT to ${hostname}:${port} in the proxy, and see that it can resolve the name`)]
    default:
      return []
  }
}

export function judgeProxy(address: string, reached: Reached): Verdict {
  if (reached.kind !== 'failed')
    return ok(
      `webhooks go through ${address}, which looks their names up itself, and has to keep internal addresses out`,
    )
  const { error, detail } = reached
  return problem(
    `the proxy ${address} cannot be reached: ${SAID[error] ?? error}${detail === undefined ? '' : ` (${detail})`}`,
    'All webhooks go through it.',
    todo('mend WALHOOK_PROXY, or the proxy'),
  )
}
