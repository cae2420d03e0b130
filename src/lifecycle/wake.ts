/** A sleep that ends early when somebody has something to say: the waiting half of every loop here. */
export class Wake {
  #isSet = false
  #endSleep: (() => void) | undefined

  /** Ends the current sleep, or the next one at once. */
  set(): void {
    this.#isSet = true
    this.#endSleep?.()
  }

  /** Resolves after `ms`, or once set, or when `signal` aborts. Never rejects. One sleeper at a time. */
  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#isSet && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#endSleep = resolve
      const timer = setTimeout(resolve, ms)
      signal.addEventListener('abort', this.#endSleep)
      await promise
      signal.removeEventListener('abort', resolve as () => void)
      clearTimeout(timer)
    }
    this.#endSleep = undefined
    this.#isSet = false
  }
}
