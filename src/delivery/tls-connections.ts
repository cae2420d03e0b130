/**
 * TLS to endpoints and to the proxy, with sessions that are resumed. Invariant: every certificate is checked, against the
 * name that was asked for, whatever the environment says.
 */
import { isIP, type LookupFunction, type Socket } from 'node:net'
import { connect, createSecureContext, getCACertificates, type SecureContext, type TLSSocket } from 'node:tls'
import type { TlsIdentity } from '../core/access.ts'

export interface TlsTarget {
  readonly hostname: string
  readonly port: number
}

/** Certificates and key, ready for handshakes. */
export interface TlsContext {
  readonly id: string
  readonly context: SecureContext
}

const MAX_SESSIONS = 1000
const MIN_VERSION = 'TLSv1.2'

/** Takes 10 ms and 1.4 MB where it has an authority, which is put beside all of the system's. Throws for what OpenSSL does not take. */
export function tlsContext({ id, ca, client }: TlsIdentity): TlsContext {
  const authorities = ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }
  return { id, context: createSecureContext({ ...authorities, ...client, minVersion: MIN_VERSION }) }
}

export class TlsConnections {
  readonly #sessions = new Map<string, Buffer>()

  /** Over a connection of its own, or over `socket`, which stands already. */
  open(
    target: TlsTarget,
    over: { lookup?: LookupFunction } | { socket: Socket },
    identity?: TlsContext,
  ): TLSSocket {
    const { hostname, port } = target
    // A session remembers who we were, and by whose word the certificate was good.
    const key = `${identity?.id ?? ''} ${hostname}:${port}`
    const session = this.#sessions.get(key)
    const isName = isIP(hostname) === 0
    const socket = connect({
      host: hostname,
      port,
      ...over,
      ...(isName && { servername: hostname.replace(/\.$/, '') }),
      ...(session !== undefined && { session }),
      ALPNProtocols: ['http/1.1'],
      ...(identity === undefined ? { minVersion: MIN_VERSION } : { secureContext: identity.context }),
      rejectUnauthorized: true, // whatever NODE_TLS_REJECT_UNAUTHORIZED says
    })
    // A resumed session is not checked against the name again. Node emits none before it has checked the first time.
    socket.on('session', (fresh) => this.#remember(key, fresh))
    return socket
  }

  #remember(key: string, session: Buffer): void {
    this.#sessions.delete(key)
    this.#sessions.set(key, session)
    if (this.#sessions.size <= MAX_SESSIONS) return
    for (const oldest of this.#sessions.keys()) {
      this.#sessions.delete(oldest)
      return
    }
  }
}
