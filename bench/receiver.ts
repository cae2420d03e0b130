/** The endpoint, in a process of its own: answers 204, counts, and remembers when each event came. Talks over IPC. */
import { createServer } from 'node:http'

export interface ReceiverReport {
  readonly received: number
  readonly distinct: number
  /** Unix milliseconds, by event id; the first time each. */
  readonly receivedAt: Readonly<Record<string, number>>
  readonly lastAt: number
}

const receivedAt = new Map<string, number>()
let received = 0
let lastAt = 0

const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => {
    lastAt = performance.timeOrigin + performance.now()
    received++
    const id = request.headers['webhook-id']
    if (typeof id === 'string' && !receivedAt.has(id)) receivedAt.set(id, lastAt)
    response.writeHead(204).end()
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send?.(server.address()))

process.on('message', (message) => {
  if (message === 'count') process.send?.({ received, distinct: receivedAt.size })
  if (message === 'report') {
    const report: ReceiverReport = {
      received,
      distinct: receivedAt.size,
      receivedAt: Object.fromEntries(receivedAt),
      lastAt,
    }
    process.send?.(report)
    receivedAt.clear()
    received = 0
  }
})
