/**
 * From a host name to its addresses, as the host's other programs find them: the hosts file, then DNS with the search
 * list, then whatever else the C library knows. Invariant: a name whose servers do not answer costs a socket's worth of
 * waiting and no thread. The C library has two threads for all of this process's names (libuv gives it half of four), so
 * it is asked only for what DNS says does not exist, one name at a time. See docs/decisions/0007-name-lookups.md.
 */
import { lookup as askCLibrary, type Resolver } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { addressesInHosts, parseNameSearch, searchedNames } from '../core/name-search.ts'
import { errorCode } from '../lifecycle/errors.ts'
import { firstAnswer, newResolver } from './dns-questions.ts'
import type { ResolvedAddress } from './name-cache.ts'
import { Pace } from './pace.ts'

export interface SystemNamesOptions {
  readonly hostsFile?: string
  readonly resolverFile?: string
  /** Name servers in place of the host's: `127.0.0.1:5353`. */
  readonly servers?: readonly string[]
}

/** Two packets a name: hundreds at one moment overflow the buffer of a name server's socket, and are lost. */
const PACE = { burst: 16, everyMs: 5 }
/** What has no time to live of its own. */
const UNTIMED_TTL_MS = 5000
/** Nobody waits for a connection any longer than this. */
const THREAD_WITHIN_MS = 5000

export class SystemNames implements Disposable {
  readonly #options: SystemNamesOptions
  readonly #pace = new Pace(PACE)
  readonly #asking = new Set<Resolver>()
  #thread: Promise<unknown> = Promise.resolve()

  constructor(options: SystemNamesOptions = {}) {
    this.#options = options
  }

  /** Rejects when the name has no address, or nobody says which. */
  readonly resolve = async (hostname: string): Promise<readonly ResolvedAddress[]> => {
    // Read each time, since a laptop's or a container's network changes: a page of text for each new connection.
    const hosts = addressesInHosts(await textOf(this.#options.hostsFile ?? '/etc/hosts'), hostname)
    if (hosts.length > 0) return hosts.map((address) => resolved(address, UNTIMED_TTL_MS))
    const search = parseNameSearch(await textOf(this.#options.resolverFile ?? '/etc/resolv.conf'))
    return (await this.#askDns(searchedNames(hostname, search))) ?? this.#askCLibrary(hostname)
  };

  [Symbol.dispose](): void {
    for (const resolver of this.#asking) resolver.cancel()
  }

  /** The first of these names that has addresses; undefined when DNS has none of them. */
  async #askDns(names: readonly string[]): Promise<readonly ResolvedAddress[] | undefined> {
    await this.#pace.turn()
    const resolver = newResolver(this.#options.servers)
    this.#asking.add(resolver)
    try {
      return await firstAnswer(resolver, names)
    } finally {
      this.#asking.delete(resolver)
    }
  }

  #askCLibrary(hostname: string): Promise<readonly ResolvedAddress[]> {
    const askedAt = performance.now()
    const turn = this.#thread.then(async () => {
      if (performance.now() - askedAt > THREAD_WITHIN_MS) throw new Error('other names took all the time')
      const addresses = await askCLibrary(hostname, { all: true, order: 'verbatim' })
      return addresses.map(({ address }) => resolved(address, UNTIMED_TTL_MS))
    })
    this.#thread = turn.catch(() => undefined) // whoever asked hears of it
    return turn
  }
}

function resolved(address: string, ttlMs: number): ResolvedAddress {
  return { address, family: isIPv6(address) ? 6 : 4, ttlMs }
}

/** A host without the file has nothing to say in it. */
async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return ''
    throw error
  }
}
