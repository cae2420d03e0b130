/**
 * A webhook receiver on a free port of 127.0.0.1 that answers as the test tells it to and remembers every request.
 *
 * A request is recorded when its body has arrived whole, before it is answered: a request that is recorded was received.
 */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import { orTimeout } from './eventually.ts'

/** What the receiver does with a request. */
export type Reply =
  | {
      readonly kind: 'respond'
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: string | Uint8Array
      readonly delayMs?: number
    }
  /** Reads the request and never answers. */
  | { readonly kind: 'hang' }
  /** Resets the connection: before any byte of an answer, or after the status and headers of a 200. */
  | { readonly kind: 'reset'; readonly after: 'request' | 'headers' }
  /** 200, then `bytes` bytes of body, one every `everyMs`. */
  | { readonly kind: 'drip'; readonly bytes: number; readonly everyMs: number }
  /** 200 and a body of this size, as fast as it is read. */
  | { readonly kind: 'flood'; readonly bytes: number; readonly headers?: Readonly<Record<string, string>> }
  /** These bytes in place of an HTTP answer, then the end of the connection. */
  | { readonly kind: 'raw'; readonly bytes: string | Uint8Array }
  /** Answers once `until` has settled. */
  | { readonly kind: 'hold'; readonly until: Promise<unknown>; readonly reply: Reply }

export const respond = (
  status: number,
  more: Omit<Extract<Reply, { kind: 'respond' }>, 'kind' | 'status'> = {},
): Reply => ({ kind: 'respond', status, ...more })
export const hang = (): Reply => ({ kind: 'hang' })
export const reset = (after: 'request' | 'headers' = 'request'): Reply => ({ kind: 'reset', after })

export interface ReceivedRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** The bytes as they came. */
  readonly body: Buffer
  /** `performance.now()` when the body had arrived. */
  readonly arrivedAtMs: number
  /** Unix milliseconds at the same moment. */
  readonly arrivedAt: number
  /** The header `webhook-id`, or ''. */
  readonly id: string
  /** 1 for the first request to this path that this receiver saw. */
  readonly number: number
  /** Why the signature does not hold; undefined where it does, or where no secret was given for the path. */
  readonly forged: string | undefined
}

/** Told of each request and of its answer, as they come. */
export interface ReceiverObserver {
  received(request: ReceivedRequest): void
  /** The answer was handed to the connection, whole. */
  answered(request: ReceivedRequest, status: number): void
}

/** The replies to a path's requests in order, of which the last is for all that follow; or a function of the request. */
export type Script = readonly [Reply, ...Reply[]] | ((request: ReceivedRequest) => Reply)

export class Receiver implements AsyncDisposable {
  readonly #server: Server
  readonly #port: number
  readonly #requests: ReceivedRequest[] = []
  readonly #scripts = new Map<string, Script>()
  readonly #secrets = new Map<string, Webhook>()
  readonly #sockets = new Set<Socket>()
  readonly #watchers = new Set<() => void>()
  readonly #received = new Map<string, number>()
  readonly #observer: ReceiverObserver | undefined

  private constructor(server: Server, port: number, observer: ReceiverObserver | undefined) {
    this.#server = server
    this.#port = port
    this.#observer = observer
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.on('request', (request, response) => void this.#receive(request, response))
  }

  /** Answers 204 to everything until told otherwise. With an observer it keeps no requests: there may be millions. */
  static async start(observer?: ReceiverObserver): Promise<Receiver> {
    const server = createServer({ keepAliveTimeout: 60_000 })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', resolve)
    })
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the receiver has no port')
    return new Receiver(server, address.port, observer)
  }

  url(path = '/webhooks'): string {
    return `http://127.0.0.1:${this.#port}${path}`
  }

  /** Sets what a path answers from now on. */
  on(path: string, script: Script): void {
    this.#scripts.set(path, script)
  }

  /** Checks each further request to the path with the outside verifier `standardwebhooks`. */
  verify(path: string, secret: string): void {
    this.#secrets.set(path, new Webhook(secret))
  }

  /** In order of arrival; of one path, or all. */
  requests(path?: string): readonly ReceivedRequest[] {
    return this.#requests.filter((request) => path === undefined || request.path === path)
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#sockets.size
  }

  /**
   * Resolves to the requests (of one path, or all) once there are `count` of them, or `count` says that they suffice.
   * Rejects with what did come once `withinMs` (default 10 s) has passed.
   */
  async waitFor(
    count: number | ((requests: readonly ReceivedRequest[]) => boolean),
    { path, withinMs = 10_000 }: { readonly path?: string; readonly withinMs?: number } = {},
  ): Promise<readonly ReceivedRequest[]> {
    const enough = typeof count === 'function' ? count : (all: readonly unknown[]) => all.length >= count
    const { promise, resolve } = Promise.withResolvers<readonly ReceivedRequest[]>()
    const look = (): void => {
      const requests = this.requests(path)
      if (enough(requests)) resolve(requests)
    }
    this.#watchers.add(look)
    look()
    const result = await orTimeout(promise, withinMs).finally(() => this.#watchers.delete(look))
    if (result !== 'timeout') return result
    const seen = this.requests(path).map((request) => `\n  ${request.method} ${request.path} ${request.id}`)
    const wanted = typeof count === 'number' ? `${count} requests` : 'the requests awaited'
    throw new Error(`not ${wanted} within ${withinMs} ms, but ${seen.length}:${seen.join('')}`)
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return // The sender broke off: nothing was received, and nobody is there to be answered.
    }
    const received = this.#record(request, Buffer.concat(chunks))
    this.#observer?.received(received)
    response.once('finish', () => this.#observer?.answered(received, response.statusCode))
    const script = this.#scripts.get(received.path) ?? [respond(204)]
    const reply =
      typeof script === 'function' ? script(received) : (script[received.number - 1] ?? script.at(-1))
    for (const watcher of this.#watchers) watcher()
    if (reply !== undefined) await carryOut(reply, response)
  }

  #record(request: IncomingMessage, body: Buffer): ReceivedRequest {
    const path = request.url ?? '/'
    const number = (this.#received.get(path) ?? 0) + 1
    this.#received.set(path, number)
    const received: ReceivedRequest = {
      method: request.method ?? '',
      path,
      headers: request.headers,
      body,
      arrivedAtMs: performance.now(),
      arrivedAt: Date.now(),
      id: String(request.headers['webhook-id'] ?? ''),
      number,
      forged: verdict(this.#secrets.get(path), body, request.headers),
    }
    if (this.#observer === undefined) this.#requests.push(received)
    return received
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }
}

function verdict(
  webhook: Webhook | undefined,
  body: Buffer,
  headers: IncomingHttpHeaders,
): string | undefined {
  if (webhook === undefined) return undefined
  try {
    webhook.verify(body, headers as Record<string, string>, { jsonParse: false })
    return undefined
  } catch (error) {
    return String(error)
  }
}

/** The peer may be gone at any moment, which is its own affair: nothing here throws for it. */
async function carryOut(reply: Reply, response: ServerResponse): Promise<void> {
  const { socket } = response
  switch (reply.kind) {
    case 'respond':
      if (reply.delayMs !== undefined) await delay(reply.delayMs)
      response.writeHead(reply.status, reply.headers)
      response.end(reply.body)
      return
    case 'hang':
      return
    case 'reset':
      if (reply.after === 'headers') {
        response.writeHead(200, { 'content-length': '1000' })
        await new Promise((resolve) => response.write('{', resolve))
      }
      socket?.resetAndDestroy()
      return
    case 'drip':
      response.writeHead(200, { 'content-length': String(reply.bytes) })
      for (let sent = 0; sent < reply.bytes && !response.destroyed; sent++) {
        response.write('.')
        await delay(reply.everyMs)
      }
      response.end()
      return
    case 'flood':
      response.writeHead(200, reply.headers)
      await flood(response, reply.bytes)
      return
    case 'raw':
      socket?.end(reply.bytes)
      return
    case 'hold':
      await reply.until.catch(() => undefined)
      await carryOut(reply.reply, response)
      return
  }
}

async function flood(response: ServerResponse, bytes: number): Promise<void> {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  for (let left = bytes; left > 0 && !response.destroyed; left -= chunk.length) {
    if (response.write(left < chunk.length ? chunk.subarray(0, left) : chunk)) continue
    const { promise, resolve } = Promise.withResolvers<void>()
    response.once('drain', resolve).once('close', resolve)
    await promise
    response.off('drain', resolve).off('close', resolve)
  }
  response.end()
}
