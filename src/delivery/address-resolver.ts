/**
 * From a host name to the addresses that may be connected to. Every address of the name is judged, and one that is
 * forbidden forbids them all: a name with a public and an internal address must not be a way in.
 */
import { isIPv6, type LookupFunction } from 'node:net'
import {
  type AddressPolicy,
  allowedLoopback,
  canonicalAddress,
  isAddressAllowed,
  isLocalhostName,
} from '../core/address-policy.ts'
import { ConnectionFailure } from './failure-class.ts'
import { setDeadline } from './fair-deadline.ts'
import { NameCache, type Resolve, type ResolvedAddress } from './name-cache.ts'

type LookupCallback = Parameters<LookupFunction>[2]

export class AddressResolver {
  readonly #policy: AddressPolicy
  readonly #timeoutMs: number
  readonly #names: NameCache

  constructor(options: { policy: AddressPolicy; timeoutMs: number; resolve: Resolve }) {
    this.#policy = options.policy
    this.#timeoutMs = options.timeoutMs
    this.#names = new NameCache({ resolve: options.resolve, now: () => performance.now() })
  }

  /** Judged addresses, at least one. Rejects with a ConnectionFailure: `dns`, `address_denied`, `connect_timeout`. */
  async resolve(hostname: string): Promise<readonly ResolvedAddress[]> {
    if (isLocalhostName(hostname)) return this.#loopback()
    const addresses = await this.#withinDeadline(this.#names.resolve(hostname))
    if (addresses.length === 0) throw new ConnectionFailure('dns')
    if (!addresses.every(({ address }) => isAddressAllowed(address, this.#policy))) {
      throw new ConnectionFailure('address_denied')
    }
    return addresses
  }

  /** A `lookup` for net.connect and tls.connect. Adds the addresses that it hands out to `judged`. */
  lookup(judged: Set<string>): LookupFunction {
    return (hostname, options, done) => void this.#answer(hostname, options.all === true, judged, done)
  }

  async #answer(hostname: string, all: boolean, judged: Set<string>, done: LookupCallback): Promise<void> {
    let addresses: readonly ResolvedAddress[]
    try {
      addresses = await this.resolve(hostname)
    } catch (error) {
      done(error instanceof ConnectionFailure ? error : new ConnectionFailure('dns', error), '')
      return
    }
    for (const { address } of addresses) judged.add(canonicalAddress(address) ?? address)
    if (all) done(null, [...addresses])
    else done(null, addresses[0]?.address ?? '', addresses[0]?.family)
  }

  #loopback(): readonly ResolvedAddress[] {
    const allowed = allowedLoopback(this.#policy)
    if (allowed.length === 0) throw new ConnectionFailure('address_denied')
    return allowed.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }))
  }

  async #withinDeadline<T>(work: Promise<T>): Promise<T> {
    const expired = Promise.withResolvers<never>()
    const timer = setDeadline(expired.reject, this.#timeoutMs, new ConnectionFailure('connect_timeout'))
    try {
      return await Promise.race([work, expired.promise])
    } finally {
      clearTimeout(timer)
    }
  }
}
