/** First in, first out, at the same cost for each however long the queue is. */
export class Fifo<Item> {
  #items: Item[] = []
  #next = 0

  get length(): number {
    return this.#items.length - this.#next
  }

  add(item: Item): void {
    this.#items.push(item)
  }

  first(): Item | undefined {
    return this.#items[this.#next]
  }

  take(): Item | undefined {
    const item = this.#items[this.#next]
    if (item === undefined) return undefined
    this.#next++
    if (this.#next === this.#items.length) this.#clear()
    else if (this.#next >= 1_024) this.#dropTaken()
    return item
  }

  takeAll(): readonly Item[] {
    const rest = this.#items.slice(this.#next)
    this.#clear()
    return rest
  }

  #clear(): void {
    this.#items = []
    this.#next = 0
  }

  #dropTaken(): void {
    this.#items = this.#items.slice(this.#next)
    this.#next = 0
  }
}
