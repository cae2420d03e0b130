/** The application: commits events, one a transaction, as fast as it can or at a steady rate, of so many keys or none. */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

export const PAYLOAD = JSON.stringify({
  order: 12_345,
  customer: 'c-42',
  total: 129.9,
  currency: 'EUR',
  lines: [
    { sku: 'A-1', quantity: 2 },
    { sku: 'B-7', quantity: 1 },
  ],
  note: 'leave at the door',
})

const INSERT = {
  name: 'insert',
  text: `insert into walhook.outbox (type, payload, key) values ('bench.event', $1, $2) returning id`,
}

export async function commitMany(
  url: string,
  count: number,
  connections: number,
  keys: number,
  progress: (done: number) => void,
): Promise<void> {
  await using pool = await openPool(url, connections)
  let done = 0
  await Promise.all(
    pool.clients.map(async (client) => {
      while (done < count) {
        done++
        await client.query({ ...INSERT, values: [PAYLOAD, keyOf(done, keys)] })
        if (done % 5_000 === 0) progress(done)
      }
    }),
  )
}

/** Unix milliseconds at which the commit returned, by event id. */
export async function commitSteadily(
  url: string,
  perSecond: number,
  seconds: number,
  keys: number,
): Promise<ReadonlyMap<string, number>> {
  await using pool = await openPool(url, 16)
  const committedAt = new Map<string, number>()
  const startedAt = performance.now()
  const total = perSecond * seconds
  const idle = [...pool.clients]
  const running = new Set<Promise<void>>()
  for (let i = 0; i < total; i++) {
    const dueInMs = startedAt + (i / perSecond) * 1000 - performance.now()
    if (dueInMs > 0) await sleep(dueInMs)
    while (idle.length === 0) await Promise.race(running)
    const client = idle.pop()
    if (client === undefined) continue
    const one: Promise<void> = client
      .query<{ id: string }>({ ...INSERT, values: [PAYLOAD, keyOf(i, keys)] })
      .then((result) => {
        committedAt.set(result.rows[0]?.id ?? '', performance.timeOrigin + performance.now())
        idle.push(client)
        running.delete(one)
      })
    running.add(one)
  }
  await Promise.all(running)
  return committedAt
}

function keyOf(n: number, keys: number): string | null {
  return keys === 0 ? null : `key ${n % keys}`
}

async function openPool(
  url: string,
  connections: number,
): Promise<{ clients: pg.Client[] } & AsyncDisposable> {
  const clients = Array.from({ length: connections }, () => new pg.Client(url))
  await Promise.all(clients.map((client) => client.connect()))
  return {
    clients,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(clients.map((client) => client.end()))
    },
  }
}
