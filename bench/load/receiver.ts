/**
 * The endpoints, in a process of their own. The path says how one behaves: `/ok/…` answers 204 at once, `/slow/5000`
 * after so many milliseconds, `/hang` never. It counts, and remembers when each event first came to each path.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answer, clock } from './answering.ts'

/** What came since it was asked to begin. */
export interface Count {
  readonly requests: number
  /** Different events, each endpoint's counted for itself. */
  readonly distinct: number
  readonly firstAt: number
  readonly lastAt: number
}

export type ReceiverAnswers = {
  port: number
  begin: undefined
  count: Count
  /** Unix milliseconds of an event's first arrival, by its id; where several endpoints got it, that of the last to. */
  receivedAt: ReadonlyMap<string, number>
  close: undefined
  reopen: undefined
}

class Arrivals {
  requests = 0
  distinct = 0
  firstAt = NaN
  lastAt = NaN
  readonly at = new Map<string, number>()
  readonly #seen = new Map<string, Set<string>>()

  add(path: string, id: string): void {
    this.requests++
    this.lastAt = clock()
    if (this.requests === 1) this.firstAt = this.lastAt
    let seen = this.#seen.get(path)
    if (seen === undefined) this.#seen.set(path, (seen = new Set()))
    if (seen.has(id)) return
    seen.add(id)
    this.distinct++
    this.at.set(id, this.lastAt)
  }

  count(): Count {
    const { requests, distinct, firstAt, lastAt } = this
    return { requests, distinct, firstAt, lastAt }
  }
}

let arrivals = new Arrivals()

function receive(request: IncomingMessage, response: ServerResponse): void {
  const path = request.url ?? ''
  const counted = arrivals
  request.resume()
  request.on('end', () => {
    if (path === '/hang') return
    const slow = /^\/slow\/(\d+)$/.exec(path)?.[1]
    if (slow !== undefined) {
      setTimeout(() => response.writeHead(204).end(), Number(slow))
      return
    }
    const id = request.headers['webhook-id']
    if (typeof id === 'string') counted.add(path, id)
    response.writeHead(204).end()
  })
}

const server = createServer(receive)
server.keepAliveTimeout = 60_000
let port = 0

async function open(): Promise<void> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
}

await open()
answer({
  port: () => port,
  begin: () => void (arrivals = new Arrivals()),
  count: () => arrivals.count(),
  receivedAt: () => arrivals.at,
  close: () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    }),
  reopen: open,
})
