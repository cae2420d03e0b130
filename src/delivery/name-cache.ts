/**
 * Asks for each name once, however many connections want it, and remembers the answer for a moment. Invariant: what is
 * remembered is an answer and no permission: whoever takes it judges it, and connects to what was judged.
 */
export interface ResolvedAddress {
  readonly address: string
  readonly family: number
  /** How long it may be remembered; not at all when left out. */
  readonly ttlMs?: number
}

/** The addresses of a name in the order to try them, unjudged. Rejects when there are none. */
export type Resolve = (hostname: string) => Promise<readonly ResolvedAddress[]>

interface Entry {
  readonly answer: Promise<readonly ResolvedAddress[]>
  /** `Infinity` while it is being asked for. */
  staleAt: number
}

/** As long as a connection may be kept: a name that moves is followed as soon as either ends. */
const MAX_TTL_MS = 30_000
/** So that a name that does not resolve is asked for once a second, and not once for each delivery that waits for it. */
const FAILURE_TTL_MS = 1000
const MAX_NAMES = 10_000

export class NameCache {
  readonly #resolve: Resolve
  readonly #now: () => number
  readonly #entries = new Map<string, Entry>()

  constructor(options: { resolve: Resolve; now: () => number }) {
    this.#resolve = options.resolve
    this.#now = options.now
  }

  readonly resolve: Resolve = (hostname) => {
    const known = this.#entries.get(hostname)
    if (known !== undefined && this.#now() < known.staleAt) return known.answer
    const entry: Entry = { answer: this.#resolve(hostname), staleAt: Infinity }
    const keepFor = (ms: number): void => {
      entry.staleAt = this.#now() + ms
      if (ms <= 0 && this.#entries.get(hostname) === entry) this.#entries.delete(hostname)
    }
    entry.answer.then(
      (addresses) => keepFor(addresses.length === 0 ? FAILURE_TTL_MS : shortestTtlMs(addresses)),
      () => keepFor(FAILURE_TTL_MS),
    )
    this.#remember(hostname, entry)
    return entry.answer
  }

  /** Names come from subscriptions, of which there may be any number: the oldest answers make room. */
  #remember(hostname: string, entry: Entry): void {
    this.#entries.delete(hostname)
    this.#entries.set(hostname, entry)
    if (this.#entries.size <= MAX_NAMES) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }
}

function shortestTtlMs(addresses: readonly ResolvedAddress[]): number {
  return Math.min(MAX_TTL_MS, ...addresses.map(({ ttlMs = 0 }) => ttlMs))
}
