/**
 * What is kept of a response's body: its beginning, as text for a person to read. Invariant: memory stays bounded
 * whatever an endpoint sends; the bytes are never interpreted, decompressed least of all.
 */
import { StringDecoder } from 'node:string_decoder'

const KEPT_BYTES = 4096
const MAX_BYTES = 65_536

export class ResponseBody {
  readonly #keep: number
  #kept: Buffer[] = []
  #keptBytes = 0
  #receivedBytes = 0

  /** At most `keep` bytes are kept. */
  constructor(keep = KEPT_BYTES) {
    this.#keep = keep
  }

  add(chunk: Buffer): void {
    this.#receivedBytes += chunk.length
    const room = this.#keep - this.#keptBytes
    if (room <= 0) return
    const kept = chunk.length > room ? chunk.subarray(0, room) : chunk
    this.#kept.push(kept)
    this.#keptBytes += kept.length
  }

  /** More than anyone needs for an answer to a webhook: the rest is not worth reading. */
  get isTooLarge(): boolean {
    return this.#receivedBytes > MAX_BYTES
  }

  /**
   * What was kept, as UTF-8 of no more bytes than that. What is no UTF-8 is replaced, a character that the cut went through is left out, and so
   * is U+0000, which Postgres takes in no text. `isComplete`: the endpoint sent all that it wanted to.
   */
  text(isComplete: boolean): string {
    const [first] = this.#kept
    if (first === undefined) return ''
    const bytes = this.#kept.length === 1 ? first : Buffer.concat(this.#kept)
    const isWhole = isComplete && this.#keptBytes === this.#receivedBytes
    const text = (isWhole ? bytes.toString('utf8') : beginning(bytes)).replaceAll('\0', '')
    // A replacement takes three bytes where it stands for one.
    return Buffer.byteLength(text) > this.#keep ? beginning(Buffer.from(text).subarray(0, this.#keep)) : text
  }
}

/** Without what is left of a character that the end went through. */
function beginning(bytes: Buffer): string {
  return new StringDecoder('utf8').write(bytes)
}
