/**
 * Subscriptions as an attempt reads them when it starts, at most a second old: one statement a second serves every
 * attempt of that second.
 */
import type { Subscription } from '../core/subscription.ts'
import { Wake } from '../lifecycle/wake.ts'

/** A change of URL, secret or state takes effect within this. */
const MAX_AGE_MS = 1_000
const RETRY_AFTER_MS = 250

export interface SubscriptionSource {
  load(ids: readonly string[]): Promise<readonly Subscription[]>
  onError(error: unknown): void
  /** Aborted when nobody is to wait any longer. */
  readonly signal: AbortSignal
  /** Milliseconds that only move forward. */
  now(): number
}

interface Entry {
  readonly subscription: Subscription | undefined
  readonly loadedAt: number
}

export class SubscriptionCache {
  readonly #source: SubscriptionSource
  readonly #entries = new Map<string, Entry>()
  #wanted = new Set<string>()
  #loading: Promise<void> | undefined

  constructor(source: SubscriptionSource) {
    this.#source = source
  }

  /** As it was last read, lately or not; undefined where it was not read or is not there. */
  peek(id: string): Subscription | undefined {
    return this.#entries.get(id)?.subscription
  }

  /** The same, but nothing that is older than an attempt may go by. */
  peekYoung(id: string): Subscription | undefined {
    const entry = this.#entries.get(id)
    return entry !== undefined && this.#isYoung(entry) ? entry.subscription : undefined
  }

  /**
   * Undefined when it was deleted, or when it could not be read before `deadline`: then the attempt is not made.
   * While the database is away it waits, since an attempt could not be recorded either.
   */
  async get(id: string, deadline: number): Promise<Subscription | undefined> {
    const askedAt = this.#source.now()
    while (this.#source.now() < deadline && !this.#source.signal.aborted) {
      const entry = this.#entries.get(id)
      // What was read since we asked is as fresh as it gets, however long the reading took.
      if (entry !== undefined && (entry.loadedAt >= askedAt || this.#isYoung(entry)))
        return entry.subscription
      this.#wanted.add(id)
      this.#loading ??= this.#load()
      await this.#loading
    }
    return undefined
  }

  /** It is known to have changed: whoever asks next gets it as it is now. */
  forget(id: string): void {
    this.#entries.delete(id)
  }

  #isYoung(entry: Entry): boolean {
    return this.#source.now() - entry.loadedAt < MAX_AGE_MS
  }

  async #load(): Promise<void> {
    // Attempts that start in the same turn of the event loop share the statement.
    await Promise.resolve()
    const ids = [...this.#wanted]
    this.#wanted = new Set()
    const loadedAt = this.#source.now()
    try {
      const found = new Map(
        (await this.#source.load(ids)).map((subscription) => [subscription.id, subscription]),
      )
      this.#forgetOld(loadedAt)
      for (const id of ids) this.#entries.set(id, { subscription: found.get(id), loadedAt })
    } catch (error) {
      this.#source.onError(error)
      await new Wake().sleep(RETRY_AFTER_MS, this.#source.signal)
    } finally {
      this.#loading = undefined
    }
  }

  #forgetOld(now: number): void {
    for (const [id, entry] of this.#entries) if (now - entry.loadedAt >= MAX_AGE_MS) this.#entries.delete(id)
  }
}
