/**
 * Connections kept for the next request: for whoever needs no certificate, and beside them for each TLS identity its own.
 * Invariant: a connection that was opened with one identity never carries a request of another.
 */
import { Agent, Client, type Dispatcher, Pool } from 'undici'
import type { TlsIdentity } from '../core/access.ts'
import type { Connector } from './connector.ts'
import { ConnectionFailure } from './failure-class.ts'
import { type ConnectionUse, ResponseReader } from './response-reader.ts'
import { type TlsContext, tlsContext } from './tls-connections.ts'

/** The connections of one identity. */
export interface Connections {
  readonly agent: Agent
  /** Opens a connection per request: what was lost on a stale connection must not meet a second one. */
  readonly freshAgent: Agent
  readonly resend: (reader: ResponseReader) => void
}

interface Kept {
  readonly connections: Connections
  usedAt: number
}

/**
 * Of one exchange, on the wire. Bodies and headers have narrower limits; a reason phrase, chunk extensions and trailers have
 * none, and who pours those for as long as an attempt lasts would keep the process from everybody else.
 */
const MAX_RECEIVED_BYTES = 128 * 1024
/** Identities that are kept ready, and for how long after their last request: each may hold 1.4 MB of authorities. */
const MAX_IDENTITIES = 128
const FORGET_AFTER_MS = 60_000

const CONNECTION_OPTIONS = {
  allowH2: false,
  // undici's own limit is out of reach: past it, it makes an error of each further header that it has read, which takes it
  // 65 ms an answer. The reader has the limit that counts.
  maxHeaderSize: MAX_RECEIVED_BYTES,
  // One deadline per request covers everything, from the wait for a connection to the body's last byte.
  headersTimeout: 0,
  bodyTimeout: 0,
  // A connection's address was judged when it was opened: it may not live on for as long as the receiver likes.
  keepAliveMaxTimeout: 30_000,
  maxRequestsPerClient: 1000,
} as const

export class ConnectionPools implements AsyncDisposable {
  readonly #connector: Connector
  readonly #anonymous: Connections
  /** The one that was used longest ago comes first. */
  readonly #known = new Map<string, Kept>()
  readonly #closing = new Set<Connections>()

  constructor(connector: Connector) {
    this.#connector = connector
    this.#anonymous = openConnections(connector, undefined)
  }

  /** Undefined where OpenSSL does not take the identity: a key that is too weak, for one. */
  for(identity: TlsIdentity | undefined): Connections | undefined {
    return identity === undefined ? this.#anonymous : this.#of(identity)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [
      this.#anonymous,
      ...this.#closing,
      ...[...this.#known.values()].map(({ connections }) => connections),
    ]
    await Promise.all(all.flatMap(({ agent, freshAgent }) => [agent.destroy(), freshAgent.destroy()]))
  }

  #of(identity: TlsIdentity): Connections | undefined {
    const now = performance.now()
    const kept = this.#known.get(identity.id) ?? this.#open(identity)
    if (kept === undefined) return undefined
    kept.usedAt = now
    this.#known.delete(identity.id)
    this.#known.set(identity.id, kept)
    this.#forgetUnused(now)
    return kept.connections
  }

  #open(identity: TlsIdentity): Kept | undefined {
    let context: TlsContext
    try {
      context = tlsContext(identity)
    } catch {
      // Whatever OpenSSL has against it, it is a failure of TLS, and its text may quote what is secret.
      return undefined
    }
    return { connections: openConnections(this.#connector, context), usedAt: 0 }
  }

  /** What is under way there may end. */
  #forgetUnused(now: number): void {
    for (const [id, { connections, usedAt }] of this.#known) {
      if (this.#known.size <= MAX_IDENTITIES && now - usedAt < FORGET_AFTER_MS) return
      this.#known.delete(id)
      this.#closing.add(connections)
      void Promise.all([connections.agent.close(), connections.freshAgent.close()]).then(() =>
        this.#closing.delete(connections),
      )
    }
  }
}

function openConnections(connector: Connector, identity: TlsContext | undefined): Connections {
  const freshAgent = connectionAgent(connector, identity, 0)
  return {
    agent: connectionAgent(connector, identity, 1),
    freshAgent,
    resend: (reader) => {
      reader.connection = undefined
      freshAgent.dispatch(reader.request, reader)
    },
  }
}

/** `pipelining` 1 keeps connections for the next request, 0 closes them after one. Idle pools close by themselves. */
function connectionAgent(connector: Connector, identity: TlsContext | undefined, pipelining: 0 | 1): Agent {
  const options = { ...CONNECTION_OPTIONS, pipelining }
  const connect: Connector['connect'] = (target, connected) => connector.connect(target, connected, identity)
  return new Agent({
    ...options,
    factory: (origin) =>
      new Pool(origin, {
        ...options,
        connect,
        factory: (url) => new CountedClient(url, options, connect),
      }),
  })
}

/** undici's one-connection client, which tells a reader what its connection has been used for. */
class CountedClient extends Client {
  readonly #use: ConnectionUse

  constructor(origin: URL, options: Client.Options, connect: Connector['connect']) {
    const use: ConnectionUse = { requests: 0, socket: undefined, receivedBefore: 0 }
    super(origin, {
      ...options,
      connect: (target, connected) => {
        use.requests = 0
        use.receivedBefore = 0
        connect(target, (...result) => {
          use.socket = result[1] ?? undefined
          use.socket?.on('readable', () => endIfFlooded(use))
          connected(...result)
        })
      },
    })
    this.#use = use
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (handler instanceof ResponseReader) handler.connection = this.#use
    return super.dispatch(options, handler)
  }
}

/** Also where nothing was asked for: an idle connection has no deadline. */
function endIfFlooded({ socket, receivedBefore }: ConnectionUse): void {
  if (socket === undefined || socket.bytesRead - receivedBefore <= MAX_RECEIVED_BYTES) return
  socket.destroy(new ConnectionFailure('response_too_large'))
}
