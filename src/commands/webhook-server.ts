/**
 * Receives webhooks: whole requests of bounded size, and an answer for each. What `listen` and the demo's endpoints
 * stand on. It trusts nobody: whatever can reach the port can send to it.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { errorCode, WalhookError } from '../lifecycle/errors.ts'
import type { ListenAddress } from './arguments.ts'

export interface ReceivedWebhook {
  /** The request's path, as it was sent. */
  readonly path: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** When the whole of it had arrived, by `performance.now()`. */
  readonly arrivedAtMs: number
}

export interface WebhookServer extends AsyncDisposable {
  /** `http://127.0.0.1:9000` */
  readonly url: string
}

/** An event's payload is 1 MiB at most, unless an operator allowed more. */
const BODY_LIMIT_BYTES = 8 * 1024 * 1024
/** Longer than senders keep idle connections, so that they and not we close them: no request meets a closed one. */
const KEEP_ALIVE_MS = 65_000

/** `answer` returns the status. Errors: `port_taken`. */
export async function serveWebhooks(
  listen: ListenAddress,
  answer: (webhook: ReceivedWebhook) => number,
): Promise<WebhookServer> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    receive(request, response, answer).catch(() => {
      // The sender broke off: there is nobody to answer.
      response.destroy()
    })
  })
  await open(server, listen)
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : listen.port
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host
  return {
    url: `http://${host}:${port}`,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

async function receive(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (webhook: ReceivedWebhook) => number,
): Promise<void> {
  if (request.method !== 'POST') {
    request.resume()
    // So that a person's browser, and a probe, see that somebody is here.
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    response.writeHead(isRead ? 200 : 405, { 'content-type': 'text/plain', allow: 'POST' })
    response.end('POST webhooks here.\n')
    return
  }
  const body = await readBody(request)
  if (body === undefined) {
    response.writeHead(413, { connection: 'close' })
    response.end(() => request.destroy())
    return
  }
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : (value ?? ''),
    ]),
  )
  const arrivedAtMs = performance.now()
  response.writeHead(answer({ path: request.url ?? '/', headers, body, arrivedAtMs }))
  response.end()
}

/** Undefined when it is longer than we take. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>()
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > BODY_LIMIT_BYTES) {
      request.pause()
      resolve(undefined)
    } else chunks.push(chunk)
  })
  request.on('end', () => resolve(Buffer.concat(chunks)))
  request.on('error', reject)
  return promise
}

async function open(server: Server, listen: ListenAddress): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(listen, resolve)
    })
  } catch (error) {
    const where = `${listen.host}:${listen.port}`
    if (errorCode(error) === 'EADDRINUSE')
      throw new WalhookError('port_taken', `${where} is in use by another process`, {
        remedy: 'End that process, or choose another port with --listen.',
        cause: error,
      })
    if (['EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND'].includes(errorCode(error) ?? ''))
      throw new WalhookError('port_taken', `cannot listen on ${where}`, {
        remedy: 'Choose an address of this machine and a port that this user may open, with --listen.',
        cause: error,
      })
    throw error
  }
}
