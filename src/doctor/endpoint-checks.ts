/** Secrets, and the endpoints that subscriptions lead to: read as an attempt reads them, reached as a delivery reaches them. */
import type { Config } from '../config.ts'
import { type AddressPolicy, parseNetwork } from '../core/address-policy.ts'
import { type Fact, judged, ok, skipped, type Verdict } from '../core/doctor.ts'
import {
  type Endpoint,
  endpointsOf,
  judgeDeniedUrls,
  judgeEndpoint,
  judgeProxy,
  type Reached,
  type WantedConnection,
} from '../core/doctor-endpoints.ts'
import { judgeSecrets } from '../core/doctor-traffic.ts'
import { proxyAddress } from '../core/egress-proxy.ts'
import type { UnreadableSecret } from '../core/signing-secret.ts'
import { EndpointProbe } from '../delivery/endpoint-probe.ts'
import type { Queryable } from '../store/database.ts'
import { findSealed } from '../store/stored-secrets.ts'
import { loadSubscriptions } from '../store/subscriptions.ts'
import { countPlainSecrets, listSubscriptionsToTry, readSubscriptionStates } from '../store/traffic-facts.ts'
import type { Examination } from './examination.ts'

/** Subscriptions that are looked at, and read at a time. */
const LOOK_AT = 5_000
const BATCH = 500
/** As long as a delivery gives a connection, and what all of them together get. */
const CONNECT_WITHIN_MS = 5_000
const ALL_WITHIN_MS = 15_000
const AT_A_TIME = 16

/** What the active ones want to connect to. */
export async function checkSecrets(
  examination: Examination,
  config: Config,
  tables: Fact<true>,
): Promise<Fact<readonly WantedConnection[]>> {
  const found = await examination.askAfter(tables, (tx) => readSecrets(tx, config))
  examination.add(
    'secrets',
    judged(found, ({ facts }) => judgeSecrets(facts)),
  )
  return found.kind === 'known' ? { kind: 'known', value: found.value.wanted } : found
}

async function readSecrets(
  tx: Queryable,
  config: Config,
): Promise<{ facts: Parameters<typeof judgeSecrets>[0]; wanted: readonly WantedConnection[] }> {
  const ring = config.encryptionKeys
  const keyIds = ring.map(({ id }) => id)
  const sealedWithOthers = await findSealed(tx, keyIds, 'with_others')
  const states = await readSubscriptionStates(tx)
  const ids = await listSubscriptionsToTry(tx, LOOK_AT)
  const active = new Set(ids.flatMap(({ id, isActive }) => (isActive ? [id] : [])))
  const unreadable: UnreadableSecret[] = []
  const wanted: WantedConnection[] = []
  for (let i = 0; i < ids.length; i += BATCH) {
    const batch = ids.slice(i, i + BATCH).map(({ id }) => id)
    const loaded = await loadSubscriptions(tx, batch, ring, (secret) => unreadable.push(secret), {
      origin: config.origin,
      now: Date.now(),
    })
    const byId = new Map(loaded.map((subscription) => [subscription.id, subscription]))
    for (const id of batch) {
      const { url, access } = byId.get(id) ?? {}
      if (url === undefined || !active.has(id)) continue
      wanted.push({ subscriptionId: id, url, tls: access?.tls, isTokenServer: false })
      // Whoever gives the tokens is no partner of the certificates.
      if (access?.credentials?.kind === 'oauth2')
        wanted.push({
          subscriptionId: id,
          url: access.credentials.client.tokenUrl,
          tls: undefined,
          isTokenServer: true,
        })
    }
  }
  return {
    facts: {
      unreadable,
      missingKeyIds: sealedWithOthers.keyIds,
      hasKey: ring.length > 0,
      plain: await countPlainSecrets(tx),
      lookedAt: ids.length,
      all: states.active + states.paused + states.disabled,
    },
    wanted,
  }
}

/** `most` are tried; 0 leaves them out. Never sends a request: an endpoint sees a connection that is closed again. */
export async function checkEndpoints(
  examination: Examination,
  config: Config,
  wanted: Fact<readonly WantedConnection[]>,
  most: number,
): Promise<void> {
  if (most === 0) {
    examination.add('proxy', skipped('--skip-endpoints'))
    examination.add('endpoints', skipped('--skip-endpoints'))
    return
  }
  examination.add('proxy', await checkProxy(config))
  examination.add(
    'endpoints',
    ...(wanted.kind === 'known' ? await tryEndpoints(config, wanted.value, most) : [skipped(wanted.reason)]),
  )
}

async function tryEndpoints(
  config: Config,
  wanted: readonly WantedConnection[],
  most: number,
): Promise<readonly Verdict[]> {
  const policy = policyOf(config)
  const { endpoints, denied } = endpointsOf(wanted, policy)
  if (endpoints.length + denied.length === 0) return [ok('no active subscription leads anywhere')]
  const tried = endpoints.slice(0, most)
  using probe = new EndpointProbe({ policy, timeoutMs: CONNECT_WITHIN_MS, proxy: config.proxy })
  const reached = await reachAll(probe, tried)
  const now = Date.now()
  const verdicts = tried.map((endpoint, i) =>
    judgeEndpoint(endpoint, reached[i] ?? { kind: 'no_time' }, { policy, now }),
  )
  const untried = endpoints.length - tried.length
  return [
    ...judgeDeniedUrls(denied),
    ...verdicts,
    ...(untried > 0
      ? [skipped(`${untried} more: --endpoints ${Math.min(1000, endpoints.length)} tries them`)]
      : []),
  ]
}

async function reachAll(
  probe: EndpointProbe,
  endpoints: readonly Endpoint[],
): Promise<readonly (Reached | undefined)[]> {
  const results: (Reached | undefined)[] = endpoints.map(() => undefined)
  const endsAt = performance.now() + ALL_WITHIN_MS
  let next = 0
  const work = async (): Promise<void> => {
    for (let i = next++; i < endpoints.length && performance.now() < endsAt; i = next++) {
      const endpoint = endpoints[i]
      if (endpoint === undefined) return
      results[i] = await reach(probe, endpoint)
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, work))
  return results
}

async function reach(probe: EndpointProbe, { target, tls }: Endpoint): Promise<Reached> {
  const result = await probe.probe(target, tls)
  if (result.kind === 'reached') return result
  const addresses = result.error === 'address_denied' ? await probe.addressesOf(target.hostname) : []
  return { ...result, addresses }
}

async function checkProxy({ proxy }: Config): Promise<Verdict> {
  if (proxy === undefined) return ok('none: webhooks go straight to their endpoints')
  const { protocol, hostname, port } = proxy
  // Its address is the operator's word, and is not judged.
  const policy = {
    allowHttp: true,
    allowNetworks: ['0.0.0.0/0', '::/0'].flatMap((text) => parseNetwork(text) ?? []),
  }
  using probe = new EndpointProbe({ policy, timeoutMs: CONNECT_WITHIN_MS, proxy: undefined })
  const result = await probe.probe({ protocol, hostname, port: String(port) }, undefined)
  return judgeProxy(proxyAddress(proxy), result.kind === 'reached' ? result : { ...result, addresses: [] })
}

function policyOf({ allowHttp, allowNetworks }: Config): AddressPolicy {
  return { allowHttp, allowNetworks }
}
