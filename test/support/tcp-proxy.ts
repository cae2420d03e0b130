/**
 * A TCP proxy on a free port of 127.0.0.1 that can be told to misbehave as networks do.
 *
 * Held-back bytes are kept, never dropped or reordered: what heals goes on where it stopped, as TCP does.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

type Direction = 'to-server' | 'to-client'
type Pair = readonly [client: Socket, server: Socket]

export class TcpProxy implements AsyncDisposable {
  readonly #listener: Server
  #target: { readonly host: string; readonly port: number }
  readonly #pairs = new Set<Pair>()
  readonly #held = new Set<Direction>()
  readonly #waiting = new Set<Socket>()
  readonly #onHeal: (() => void)[] = []
  #delayMs = 0
  #blackholed = false
  #lastWords: Buffer | undefined

  private constructor(listener: Server, target: { readonly host: string; readonly port: number }) {
    this.#listener = listener
    this.#target = target
    listener.on('connection', (client) => this.#accept(client))
  }

  static async start(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
    const listener = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true })
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject)
      listener.listen(0, '127.0.0.1', resolve)
    })
    return new TcpProxy(listener, target)
  }

  /** In front of the server that `url` names. */
  static before(url: string): Promise<TcpProxy> {
    return TcpProxy.start(addressOf(url))
  }

  /** Connections from now on go to the server that `url` names, as after a change of an address in the DNS. */
  aimAt(url: string): void {
    this.#target = addressOf(url)
  }

  get port(): number {
    const address = this.#listener.address()
    if (address === null || typeof address === 'string') throw new Error('the proxy is closed')
    return address.port
  }

  /** The same URL, through this proxy. */
  through(url: string): string {
    const changed = new URL(url)
    changed.hostname = '127.0.0.1'
    changed.port = String(this.port)
    return changed.href
  }

  get connections(): number {
    return this.#pairs.size
  }

  /** Resets every connection that is open now. New ones are served. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy()
    for (const client of this.#waiting) client.resetAndDestroy()
  }

  /** From now on nothing comes through either way, and nobody is told: no byte, no end, no reset. */
  blackhole(): void {
    this.#blackholed = true
    this.pause('to-server')
    this.pause('to-client')
  }

  /** Holds one direction back; the sender notices once its buffers are full. */
  pause(direction: Direction): void {
    this.#held.add(direction)
    for (const [client, server] of this.#pairs) (direction === 'to-server' ? client : server).pause()
  }

  /** Nothing comes back from the server any more once `text` has been sent to it. */
  pauseAfter(text: string): void {
    this.#lastWords = Buffer.from(text)
  }

  /** Each piece of data from now on takes this much longer, in either direction. */
  delay(ms: number): void {
    this.#delayMs = ms
  }

  /** Undoes `blackhole`, `pause`, `pauseAfter` and `delay`. A connection that one side left meanwhile ends now. */
  heal(): void {
    this.#blackholed = false
    this.#lastWords = undefined
    this.#delayMs = 0
    this.#held.clear()
    for (const pair of this.#pairs) {
      if (pair.some((socket) => socket.destroyed)) this.#drop(pair)
      else for (const socket of pair) socket.resume()
    }
    for (const resume of this.#onHeal.splice(0)) resume()
    for (const client of this.#waiting) this.#forward(client)
    this.#waiting.clear()
  }

  #accept(client: Socket): void {
    client.on('error', () => client.destroy())
    client.once('close', () => this.#waiting.delete(client))
    if (this.#blackholed) this.#waiting.add(client)
    else this.#forward(client)
  }

  #forward(client: Socket): void {
    const server = connect({ ...this.#target, noDelay: true, allowHalfOpen: true })
    const pair = [client, server] as const
    this.#pairs.add(pair)
    this.#pipe(client, server, 'to-server', pair)
    this.#pipe(server, client, 'to-client', pair)
  }

  #pipe(from: Socket, to: Socket, direction: Direction, pair: Pair): void {
    // One chain a direction keeps the order when the delay changes midway.
    let sent: Promise<unknown> = Promise.resolve()
    from.on('data', (chunk: Buffer) => {
      if (direction === 'to-server' && this.#lastWords !== undefined && chunk.includes(this.#lastWords))
        this.pause('to-client')
      const ms = this.#delayMs
      if (ms > 0) sent = Promise.all([sent, delay(ms)])
      sent = sent.then(() => {
        if (to.writable && !to.write(chunk)) from.pause()
      })
    })
    to.on('drain', () => {
      if (!this.#held.has(direction)) from.resume()
    })
    from.on('error', () => {
      if (!this.#blackholed) to.resetAndDestroy()
    })
    from.once('end', () => {
      // Node tells of the end even on a paused socket.
      if (this.#held.has(direction)) this.#onHeal.push(() => to.end())
      else void sent.then(() => to.end())
    })
    from.once('close', () => {
      void sent.then(() => {
        if (!this.#blackholed) this.#drop(pair)
      })
    })
    if (this.#held.has(direction)) from.pause()
    else from.resume()
  }

  #drop(pair: Pair): void {
    this.#pairs.delete(pair)
    for (const socket of pair) socket.destroySoon()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#listener.close(resolve))
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy()
    for (const client of this.#waiting) client.destroy()
    await closed
  }
}

function addressOf(url: string): { readonly host: string; readonly port: number } {
  const { hostname, port, protocol } = new URL(url)
  const defaultPort = protocol.startsWith('postgres') ? 5432 : protocol === 'https:' ? 443 : 80
  return { host: hostname, port: port === '' ? defaultPort : Number(port) }
}
