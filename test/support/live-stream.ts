/** A stream of hints as a page's EventSource reads it. */
import { orTimeout } from './eventually.ts'

export interface LiveHint {
  readonly kind: string
  readonly subscription_id?: string | null
}

export class LiveStream implements AsyncDisposable {
  readonly status: number
  readonly headers: Headers
  readonly seen: LiveHint[] = []
  readonly #aborting: AbortController
  readonly #reading: Promise<void>

  private constructor(response: Response, aborting: AbortController) {
    this.status = response.status
    this.headers = response.headers
    this.#aborting = aborting
    this.#reading = this.#read(response).catch(() => undefined)
  }

  static async open(url: string, key?: string): Promise<LiveStream> {
    const aborting = new AbortController()
    const headers = key === undefined ? {} : { authorization: `Bearer ${key}` }
    const response = await fetch(new URL('/v1/live', url), { headers, signal: aborting.signal })
    return new LiveStream(response, aborting)
  }

  /** Whether the server ends it within `ms`. */
  async ends(ms: number): Promise<boolean> {
    return (await orTimeout(this.#reading, ms)) !== 'timeout'
  }

  async #read(response: Response): Promise<void> {
    let text = ''
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString()
      const events = text.split('\n\n')
      text = events.pop() ?? ''
      for (const event of events)
        if (event.startsWith('data: ')) this.seen.push(JSON.parse(event.slice('data: '.length)) as LiveHint)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#aborting.abort()
    await this.#reading
  }
}
