/**
 * Calls that come over the log, told to whoever can act on them. A commit can be in the log a moment before its rows can be read, so
 * each is told twice: at once, and again when they surely can.
 */

/** Under synchronous replication it may take longer: then the next look finds them. */
const AGAIN_AFTER_MS = 50

export class WakeCalls {
  readonly #tell: (subscriptionIds: ReadonlySet<string>) => void
  #called = new Set<string>()
  #again: NodeJS.Timeout | undefined

  constructor(tell: (subscriptionIds: ReadonlySet<string>) => void) {
    this.#tell = tell
  }

  call(subscriptionId: string): void {
    this.#tell(new Set([subscriptionId]))
    this.#called.add(subscriptionId)
    if (this.#again === undefined) this.#again = setTimeout(() => this.#tellAgain(), AGAIN_AFTER_MS).unref()
  }

  #tellAgain(): void {
    const called = this.#called
    this.#called = new Set()
    this.#again = undefined
    this.#tell(called)
  }
}
