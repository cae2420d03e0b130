/**
 * Lets work begin a little at a time. Invariant: a turn always comes, in the order of asking; nothing here waits for what
 * was begun to end, so what hangs takes nobody's turn.
 */
export class Pace {
  readonly #burst: number
  readonly #everyMs: number
  readonly #waiting: (() => void)[] = []
  #room: number
  #isTicking = false

  /** At most `burst` turns in each `everyMs`. */
  constructor(options: { burst: number; everyMs: number }) {
    this.#burst = options.burst
    this.#everyMs = options.everyMs
    this.#room = options.burst
  }

  turn(): Promise<void> {
    if (!this.#isTicking) this.#tick()
    if (this.#room > 0) {
      this.#room -= 1
      return Promise.resolve()
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    return promise
  }

  #tick(): void {
    this.#isTicking = true
    setTimeout(() => this.#next(), this.#everyMs)
  }

  #next(): void {
    const begun = this.#waiting.splice(0, this.#burst)
    for (const begin of begun) begin()
    this.#room = this.#burst - begun.length
    if (begun.length === 0) this.#isTicking = false
    else this.#tick()
  }
}
