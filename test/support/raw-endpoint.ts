/**
 * An endpoint on loopback that reads whole HTTP requests and leaves the bytes of the answer, and what happens to the
 * connection, to the test. It counts connections, so that a test can show that nobody came.
 */
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'

export interface RawRequest {
  /** Which connection it came over, from 1. */
  readonly connection: number
  /** Which request of the endpoint it is, from 1. */
  readonly number: number
  /** Request line and headers as they came, without the blank line. */
  readonly head: string
  readonly body: Buffer
}

export type Answer = (socket: Socket, request: RawRequest) => void

export class RawEndpoint implements AsyncDisposable {
  readonly requests: RawRequest[] = []
  readonly sockets: Socket[] = []
  /** The address of this machine that each connection came to. */
  readonly reachedAt: string[] = []
  readonly #server: Server
  readonly #answer: Answer

  private constructor(server: Server, answer: Answer) {
    this.#server = server
    this.#answer = answer
  }

  /** `host` is the address to listen on, or `any`, which is every address of every family; with `tls` it speaks TLS. */
  static async open(answer: Answer, options: { host?: string; tls?: TlsOptions } = {}): Promise<RawEndpoint> {
    const server = options.tls === undefined ? createTcpServer() : createTlsServer(options.tls)
    const endpoint = new RawEndpoint(server, answer)
    server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      endpoint.#serve(socket)
    })
    const listening = Promise.withResolvers<void>()
    server.on('error', listening.reject)
    const host = options.host ?? '127.0.0.1'
    // Without a host Node takes IPv4 alone where the machine has no IPv6.
    server.listen({ port: 0, ...(host !== 'any' && { host }) }, listening.resolve)
    await listening.promise
    return endpoint
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  url(path = '/'): string {
    return `http://127.0.0.1:${this.port}${path}`
  }

  /** Connections that are still open. */
  get openSockets(): number {
    return this.sockets.filter((socket) => !socket.closed).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = Promise.withResolvers<void>()
    this.#server.close(() => closed.resolve())
    for (const socket of this.sockets) socket.destroy()
    await closed.promise
  }

  #serve(socket: Socket): void {
    const connection = this.sockets.push(socket)
    this.reachedAt.push((socket.localAddress ?? '').replace(/^::ffff:/, '')) // IPv4 comes mapped where both are listened for
    let received = Buffer.alloc(0)
    socket.on('error', () => socket.destroy()) // a client that hangs up is what many tests are about
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      const headEnd = received.indexOf('\r\n\r\n')
      if (headEnd === -1) return
      const head = received.toString('latin1', 0, headEnd)
      const bodyEnd = headEnd + 4 + Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
      if (received.length < bodyEnd) return
      const body = received.subarray(headEnd + 4, bodyEnd)
      received = received.subarray(bodyEnd)
      const request = { connection, number: this.requests.length + 1, head, body }
      this.requests.push(request)
      this.#answer(socket, request)
    })
  }
}

/** A whole response with its content-length. */
export function response(
  status: number,
  body: string | Buffer = '',
  headers: readonly string[] = [],
): Buffer {
  const bytes = Buffer.from(body)
  const lines = [`HTTP/1.1 ${status} Whatever`, `content-length: ${bytes.length}`, ...headers]
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), bytes])
}
