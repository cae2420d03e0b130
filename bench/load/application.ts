/** The application, in a process of its own: commits events as fast as it can, or at a steady rate. */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { answer, clock } from './answering.ts'
import { type EventShape, namesOf, payloadOf } from './events.ts'

export interface Paced {
  /** Unix milliseconds at which the commit returned, by event id. */
  readonly committedAt: ReadonlyMap<string, number>
  /** How long each INSERT, with its commit, took its caller: milliseconds. */
  readonly statementMs: Float64Array
  /** Events a second that were in fact committed. */
  readonly perSecond: number
}

export type ApplicationAnswers = {
  open: undefined
  commit: undefined
  commitBulk: undefined
  pace: Paced
}

const CONNECTIONS = 16

const INSERT = {
  name: 'bench_insert',
  text: 'insert into walhook.outbox (type, key, tenant, payload) values ($1, $2, $3, $4) returning id',
}

const INSERT_MANY = {
  name: 'bench_insert_many',
  text: `insert into walhook.outbox (type, payload) select 'bench.event', $1::json from generate_series(1, $2::int)`,
}

let clients: pg.Client[] = []

async function open(url: string): Promise<void> {
  clients = Array.from(
    { length: CONNECTIONS },
    () => new pg.Client({ connectionString: url, application_name: 'bench application' }),
  )
  await Promise.all(clients.map((client) => client.connect()))
}

/** One event a transaction, over all connections. */
async function commit(events: number, shape: EventShape): Promise<void> {
  const payload = payloadOf(shape)
  let next = 0
  await Promise.all(
    clients.map(async (client) => {
      while (next < events) await client.query({ ...INSERT, values: [...namesOf(next++, shape), payload] })
    }),
  )
}

/** So many events a transaction, over two connections. */
async function commitBulk(events: number, perTransaction: number, shape: EventShape): Promise<void> {
  const payload = payloadOf(shape)
  let left = events
  await Promise.all(
    clients.slice(0, 2).map(async (client) => {
      while (left > 0) {
        const count = Math.min(left, perTransaction)
        left -= count
        await client.query({ ...INSERT_MANY, values: [payload, count] })
      }
    }),
  )
}

/** One event a transaction, each at its moment; late where every connection is busy. */
async function pace(perSecond: number, seconds: number, shape: EventShape): Promise<Paced> {
  const payload = payloadOf(shape)
  const total = perSecond * seconds
  const committedAt = new Map<string, number>()
  const statementMs = new Float64Array(total)
  const idle = [...clients]
  const running = new Set<Promise<void>>()
  const startedAt = clock()
  for (let n = 0; n < total; n++) {
    const dueInMs = startedAt + (n / perSecond) * 1000 - clock()
    if (dueInMs > 0) await sleep(dueInMs)
    while (idle.length === 0) await Promise.race(running)
    const client = idle.pop()
    if (client === undefined) throw new Error('no connection is idle')
    const sentAt = clock()
    const one: Promise<void> = client
      .query<{ id: string }>({ ...INSERT, values: [...namesOf(n, shape), payload] })
      .then(({ rows }) => {
        const at = clock()
        committedAt.set(rows[0]?.id ?? '', at)
        statementMs[n] = at - sentAt
        idle.push(client)
        running.delete(one)
      })
    running.add(one)
  }
  await Promise.all(running)
  return { committedAt, statementMs, perSecond: total / ((clock() - startedAt) / 1000) }
}

answer({ open, commit, commitBulk, pace })
