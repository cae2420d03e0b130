/**
 * What happens in this process, as hints for those who watch: that something is worth asking for again, and never what it
 * is. Hints of a quarter of a second go together, so that ten thousand deliveries a second are a few hints; with nobody
 * watching they cost next to nothing.
 */

export type Hint =
  /** Deliveries of it were made, or attempts recorded; null where it was too many subscriptions to name, and to a tenant. */
  | { readonly kind: 'delivery'; readonly subscription_id: string | null }
  /** It was changed, or its health did. */
  | { readonly kind: 'subscription'; readonly subscription_id: string }
  /** The slot was looked at. */
  | { readonly kind: 'slot' }
  /** Counts have moved on. */
  | { readonly kind: 'stats' }

export interface Watcher {
  /** It is told of this tenant's only; null means all. */
  readonly tenant: string | null
  /** Never empty. */
  tell(hints: readonly Hint[]): void
}

interface Collected {
  readonly hint: Hint
  /** Undefined where it concerns all tenants together: who watches for one is not told. */
  readonly tenant: string | null | undefined
}

const COLLECT_MS = 250
/** Beyond that many it is told that there were many. */
const MOST_SUBSCRIPTIONS = 50
const STATS_EVERY_MS = 2_000

export class LiveHints {
  readonly #watchers = new Set<Watcher>()
  readonly #now: () => number
  #collected = new Map<string, Collected>()
  #isCollecting = false
  #statsAt = -Infinity

  /** `now`: milliseconds that only move forward. */
  constructor(now: () => number) {
    this.#now = now
  }

  get watchers(): number {
    return this.#watchers.size
  }

  /** Until what is returned is called. */
  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher)
    return () => {
      this.#watchers.delete(watcher)
    }
  }

  /** `tenant` is the event's. */
  delivery(subscriptionId: string, tenant: string | null): void {
    if (this.#watchers.size === 0) return
    const isMany = this.#collected.size >= MOST_SUBSCRIPTIONS
    const id = isMany ? null : subscriptionId
    this.#collect(`delivery ${tenant ?? ''} ${id ?? ''}`, { kind: 'delivery', subscription_id: id }, tenant)
  }

  /** `tenant` is the subscription's; undefined where it is not known. */
  subscription(subscriptionId: string, tenant?: string | null): void {
    if (this.#watchers.size === 0) return
    const hint: Hint = { kind: 'subscription', subscription_id: subscriptionId }
    this.#collect(`subscription ${subscriptionId}`, hint, tenant)
  }

  slot(): void {
    if (this.#watchers.size > 0) this.#collect('slot', { kind: 'slot' }, undefined)
  }

  /** A hint of many subscriptions is one a tenant: bounded by how many tenants are watched for. */
  #collect(key: string, hint: Hint, tenant: Collected['tenant']): void {
    if (this.#collected.has(key)) return
    const isWatched = [...this.#watchers].some((watcher) => concerns({ hint, tenant }, watcher))
    if (!isWatched) return
    this.#collected.set(key, { hint, tenant })
    if (this.#isCollecting) return
    this.#isCollecting = true
    setTimeout(() => this.#flush(), COLLECT_MS).unref()
  }

  #flush(): void {
    const collected = [...this.#collected.values()]
    this.#collected = new Map()
    this.#isCollecting = false
    const isTimeForStats = this.#now() - this.#statsAt >= STATS_EVERY_MS
    if (isTimeForStats) this.#statsAt = this.#now()
    for (const watcher of this.#watchers) {
      const hints = distinct(
        collected.filter((each) => concerns(each, watcher)).map(({ hint }) => shownTo(hint, watcher)),
      )
      if (hints.length === 0) continue
      watcher.tell(isTimeForStats ? [...hints, { kind: 'stats' }] : hints)
    }
  }
}

function concerns({ tenant }: Collected, watcher: Watcher): boolean {
  return watcher.tenant === null || watcher.tenant === tenant
}

/** A tenant's event may go to subscriptions that are not its own: those are not named to it. */
function shownTo(hint: Hint, { tenant }: Watcher): Hint {
  return tenant === null || hint.kind !== 'delivery' ? hint : { kind: 'delivery', subscription_id: null }
}

/** Of several tenants the same subscription may have been named; whoever sees all needs it once. */
function distinct(hints: readonly Hint[]): readonly Hint[] {
  const nameOf = (hint: Hint): string =>
    `${hint.kind} ${'subscription_id' in hint ? (hint.subscription_id ?? '') : ''}`
  return [...new Map(hints.map((hint) => [nameOf(hint), hint])).values()]
}
