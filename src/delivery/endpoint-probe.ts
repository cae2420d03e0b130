/**
 * Whether an endpoint can be reached as a delivery would reach it: by the same connector, so that addresses are judged and
 * certificates checked, and no further than the handshake. Invariant: not one byte of a request is sent.
 */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TlsIdentity } from '../core/access.ts'
import type { AddressPolicy } from '../core/address-policy.ts'
import type { ErrorClass } from '../core/attempt-outcome.ts'
import type { EgressProxy } from '../core/egress-proxy.ts'
import { Connector, type Target } from './connector.ts'
import { connectFailureClass, exchangeFailureClass } from './failure-class.ts'
import type { Resolve } from './name-cache.ts'
import { SystemNames } from './system-names.ts'
import { type TlsContext, tlsContext } from './tls-connections.ts'

export type ProbeResult =
  | { readonly kind: 'reached'; readonly certificateEndsAt: number | undefined }
  | {
      readonly kind: 'failed'
      readonly error: ErrorClass
      /** OpenSSL's or Node's own code, which says what was wrong with a certificate. */
      readonly detail: string | undefined
    }

export interface EndpointProbeOptions {
  readonly policy: AddressPolicy
  readonly timeoutMs: number
  readonly proxy: EgressProxy | undefined
  readonly resolve?: Resolve
}

/** With TLS 1.3 a server refuses a client's certificate after the handshake: it has this long to say so. */
const OBJECTIONS_WITHIN_MS = 300

export class EndpointProbe implements Disposable {
  readonly #connector: Connector
  readonly #names = new SystemNames()
  readonly #resolve: Resolve

  constructor({ policy, timeoutMs, proxy, resolve }: EndpointProbeOptions) {
    this.#resolve = resolve ?? this.#names.resolve
    this.#connector = new Connector({ policy, connectTimeoutMs: timeoutMs, proxy, resolve })
  }

  /** Never rejects. */
  async probe(target: Target, identity: TlsIdentity | undefined): Promise<ProbeResult> {
    let context: TlsContext | undefined
    try {
      context = identity === undefined ? undefined : tlsContext(identity)
    } catch {
      // Its text may quote what is secret.
      return { kind: 'failed', error: 'tls', detail: 'the certificate or key is not one that OpenSSL takes' }
    }
    const { promise, resolve } = Promise.withResolvers<[Error | null, Socket | null]>()
    this.#connector.connect(target, (error, socket) => resolve([error, socket]), context)
    const [error, socket] = await promise
    return socket === null ? failed(error, connectFailureClass(error, false)) : look(socket)
  }

  /** The addresses of a name as the system knows them, unjudged; none where it has none. */
  async addressesOf(hostname: string): Promise<readonly string[]> {
    try {
      return (await this.#resolve(hostname)).map(({ address }) => address)
    } catch {
      // It only explains what has been found already.
      return []
    }
  }

  [Symbol.dispose](): void {
    this.#connector[Symbol.dispose]()
    this.#names[Symbol.dispose]()
  }
}

async function look(socket: Socket): Promise<ProbeResult> {
  try {
    const { promise: objected, resolve } = Promise.withResolvers<Error | undefined>()
    socket.once('error', resolve).once('close', () => resolve(undefined))
    socket.resume()
    const certificate = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined
    const objection =
      certificate === undefined ? undefined : await Promise.race([objected, sleep(OBJECTIONS_WITHIN_MS)])
    if (objection !== undefined) return failed(objection, exchangeFailureClass(objection) ?? 'reset')
    const endsAt = Date.parse(certificate?.valid_to ?? '')
    return { kind: 'reached', certificateEndsAt: Number.isNaN(endsAt) ? undefined : endsAt }
  } finally {
    socket.on('error', () => undefined).destroy()
  }
}

function failed(error: Error | null, errorClass: ErrorClass): ProbeResult {
  return { kind: 'failed', error: errorClass, detail: codeOf(error) }
}

/** The innermost code that is no error class of ours. */
function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const inner = 'cause' in error ? codeOf(error.cause) : undefined
  if (inner !== undefined) return inner
  const code = 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]*$/.test(code) ? code : undefined
}
