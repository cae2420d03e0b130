/**
 * Opens the connections that webhooks go through, straight or by way of the operator's proxy. Invariant: nothing connects
 * to an address that was not judged just before. Node does not ask `lookup` about a literal address, so literals are
 * judged here. What a name means behind a proxy is the proxy's affair, and the proxy's own address the operator's word.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import {
  type AddressPolicy,
  allowedLoopback,
  canonicalAddress,
  isAddressAllowed,
  isLocalhostName,
} from '../core/address-policy.ts'
import type { EgressProxy } from '../core/egress-proxy.ts'
import { AddressResolver } from './address-resolver.ts'
import { ConnectionFailure } from './failure-class.ts'
import type { Resolve } from './name-cache.ts'
import { type Connected, OpeningConnection } from './opening-connection.ts'
import { openTunnel } from './proxy-tunnel.ts'
import { SystemNames } from './system-names.ts'
import { TlsConnections, type TlsContext } from './tls-connections.ts'

export interface Target {
  readonly protocol: string
  /** A name or an address, without brackets. */
  readonly hostname: string
  /** Empty for the protocol's own. */
  readonly port: string
}

interface Endpoint {
  readonly isTls: boolean
  readonly hostname: string
  readonly port: number
  /** Of the endpoint alone: the operator's proxy sees none. */
  readonly identity: TlsContext | undefined
}

export interface ConnectorOptions {
  readonly policy: AddressPolicy
  /** Covers name resolution, TCP and TLS together, and the proxy's part. */
  readonly connectTimeoutMs: number
  /** Stands in for the system's names; what it returns is judged all the same. */
  readonly resolve?: Resolve | undefined
  readonly proxy?: EgressProxy | undefined
}

const KEEP_ALIVE_PROBE_MS = 60_000

export class Connector implements Disposable {
  readonly #policy: AddressPolicy
  readonly #timeoutMs: number
  readonly #proxy: EgressProxy | undefined
  readonly #names = new SystemNames()
  readonly #resolver: AddressResolver
  readonly #tls = new TlsConnections()
  readonly #opening = new Set<OpeningConnection>()

  constructor(options: ConnectorOptions) {
    this.#policy = options.policy
    this.#timeoutMs = options.connectTimeoutMs
    this.#proxy = options.proxy
    this.#resolver = new AddressResolver({
      policy: options.policy,
      timeoutMs: options.connectTimeoutMs,
      resolve: options.resolve ?? this.#names.resolve,
    })
  }

  /** Calls back once, never before it returns: with a socket ready for HTTP, or with a ConnectionFailure. */
  connect(target: Target, connected: Connected, identity?: TlsContext): void {
    const literal = isIP(target.hostname) === 0 ? undefined : canonicalAddress(target.hostname)
    if (this.#isDenied(target.hostname, literal)) {
      queueMicrotask(() => connected(new ConnectionFailure('address_denied'), null))
      return
    }
    const isTls = target.protocol === 'https:'
    const port = Number(target.port || (isTls ? 443 : 80))
    const endpoint: Endpoint = { isTls, hostname: literal ?? target.hostname, port, identity }
    const opening: OpeningConnection = new OpeningConnection({
      stage: this.#proxy === undefined ? 'connecting' : 'proxy',
      timeoutMs: this.#timeoutMs,
      connected: (...result) => {
        this.#opening.delete(opening)
        connected(...result)
      },
    })
    this.#opening.add(opening)
    if (this.#proxy === undefined) this.#openStraight(opening, endpoint, literal)
    else this.#openThrough(this.#proxy, opening, endpoint)
  }

  [Symbol.dispose](): void {
    for (const opening of this.#opening) opening.fail(new ConnectionFailure('aborted'))
    this.#names[Symbol.dispose]()
  }

  /** As far as the host's text tells; the addresses of a name are judged when it has been resolved. */
  #isDenied(hostname: string, literal: string | undefined): boolean {
    if (literal !== undefined) return !isAddressAllowed(literal, this.#policy)
    return isLocalhostName(hostname) && allowedLoopback(this.#policy).length === 0
  }

  #openStraight(opening: OpeningConnection, endpoint: Endpoint, literal: string | undefined): void {
    const judged = new Set(literal === undefined ? [] : [literal])
    const socket = this.#openSocket(endpoint, { lookup: this.#resolver.lookup(judged) })
    opening.watch(socket)
    socket.once('connect', () => {
      if (endpoint.isTls) opening.stage = 'handshaking'
      const reached = canonicalAddress(socket.remoteAddress ?? '')
      // Without an address the other side has hung up already, which says nothing about where it was.
      if (reached === undefined) opening.fail(new ConnectionFailure('reset'))
      else if (!judged.has(reached)) opening.fail(new ConnectionFailure('address_denied'))
    })
    socket.once(endpoint.isTls ? 'secureConnect' : 'connect', () => opening.succeed())
  }

  #openThrough(proxy: EgressProxy, opening: OpeningConnection, endpoint: Endpoint): void {
    const isTls = proxy.protocol === 'https:'
    const socket = this.#openSocket(
      { isTls, hostname: proxy.hostname, port: proxy.port, identity: undefined },
      {},
    )
    opening.watch(socket)
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      if (opening.isSettled) return
      openTunnel(socket, proxy, endpoint, (error) => {
        if (error !== null) opening.fail(error)
        else if (!opening.isSettled) this.#useTunnel(opening, endpoint, socket)
      })
    })
  }

  #useTunnel(opening: OpeningConnection, endpoint: Endpoint, tunnel: Socket): void {
    if (!endpoint.isTls) {
      opening.succeed()
      return
    }
    opening.stage = 'handshaking'
    const socket = this.#tls.open(endpoint, { socket: tunnel }, endpoint.identity)
    opening.watch(socket)
    socket.once('secureConnect', () => opening.succeed())
  }

  #openSocket(to: Endpoint, options: { lookup?: ReturnType<AddressResolver['lookup']> }): Socket {
    const { isTls, hostname, port } = to
    const socket = isTls
      ? this.#tls.open(to, options, to.identity)
      : connectTcp({ host: hostname, port, ...options })
    return socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_PROBE_MS)
  }
}
