/**
 * A forward proxy on a free port of 127.0.0.1 that makes tunnels (CONNECT) and nothing else. It resolves names itself: those
 * that the test gives it, to 127.0.0.1. What else it does with a request for a tunnel, the test says.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'

export type ProxyBehaviour =
  | 'tunnel'
  /** Takes the request and says nothing. */
  | 'hang'
  | 'reset'
  /** These bytes, and the end of the connection. */
  | { readonly answer: string }
  /** The tunnel is made, and hangs from its first byte on. */
  | 'dead tunnel'

export interface TunnelRequest {
  /** `host:port`, as it was asked for. */
  readonly target: string
  readonly headers: string
}

export class ConnectProxy implements AsyncDisposable {
  readonly requests: TunnelRequest[] = []
  behaviour: ProxyBehaviour = 'tunnel'
  readonly #server: Server
  readonly #authorization: string | undefined
  readonly #names: ReadonlySet<string>
  readonly #sockets = new Set<Socket>()
  readonly #protocol: 'http' | 'https'

  private constructor(
    server: Server,
    options: { credentials?: string; names?: readonly string[]; tls?: TlsOptions },
  ) {
    this.#server = server
    this.#protocol = options.tls === undefined ? 'http' : 'https'
    this.#names = new Set(options.names)
    this.#authorization = options.credentials === undefined ? undefined : btoa(options.credentials)
    server.on('connection', (socket: Socket) => this.#keep(socket))
    server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) =>
      this.#serve(socket),
    )
  }

  /** With `credentials` (`user:password`) it asks for them; with `tls` it is an https proxy. */
  static async start(
    options: { credentials?: string; names?: readonly string[]; tls?: TlsOptions } = {},
  ): Promise<ConnectProxy> {
    const server = options.tls === undefined ? createServer() : createTlsServer(options.tls)
    const proxy = new ConnectProxy(server, options)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', resolve)
    })
    return proxy
  }

  /** As `WALHOOK_PROXY` takes it. `userinfo` is `user:password`, escaped as URLs have it. */
  url(userinfo?: string): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the proxy is closed')
    return `${this.#protocol}://${userinfo === undefined ? '' : `${userinfo}@`}127.0.0.1:${address.port}`
  }

  get openSockets(): number {
    return this.#sockets.size
  }

  /** Resets every connection, to either side. New ones are served. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.#sockets.delete(socket))
  }

  #serve(socket: Socket): void {
    socket.on('error', () => socket.destroy())
    let received = ''
    const read = (chunk: Buffer): void => {
      received += chunk.toString('latin1')
      if (!received.includes('\r\n\r\n')) return
      socket.off('data', read)
      const [line = '', ...headers] = received.split('\r\n')
      const request = { target: line.split(' ')[1] ?? '', headers: headers.join('\n').toLowerCase() }
      this.requests.push({ ...request, headers: headers.join('\n') })
      this.#answer(socket, line, headers, request.target)
    }
    socket.on('data', read)
  }

  #answer(socket: Socket, line: string, headers: readonly string[], target: string): void {
    const { behaviour } = this
    const given = headers
      .find((header) => /^proxy-authorization:/i.test(header))
      ?.split(' ')
      .at(-1)
    if (behaviour === 'hang') return
    if (behaviour === 'reset') socket.resetAndDestroy()
    else if (typeof behaviour === 'object') socket.end(behaviour.answer)
    else if (!line.startsWith('CONNECT ')) socket.end('HTTP/1.1 405 Method Not Allowed\r\n\r\n')
    else if (this.#authorization !== undefined && given !== this.#authorization)
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n')
    else if (behaviour === 'dead tunnel') socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
    else this.#tunnel(socket, target)
  }

  #tunnel(socket: Socket, target: string): void {
    const { hostname, port } = new URL(`tunnel://${target}`)
    const host = this.#names.has(hostname) ? '127.0.0.1' : hostname.replace(/^\[|\]$/g, '')
    const endpoint = connect({ host, port: Number(port) })
    this.#keep(endpoint)
    const refuse = (): void => void socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\n\r\nnope\n')
    endpoint.once('error', refuse)
    endpoint.once('connect', () => {
      endpoint.off('error', refuse)
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.pipe(endpoint).pipe(socket)
    })
    socket.once('close', () => endpoint.destroy())
    endpoint.once('close', () => socket.destroySoon())
  }
}
