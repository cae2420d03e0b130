/**
 * `npm run bench`: the ceiling (signed POSTs to the same receiver, nothing else running), a drain of events that were
 * committed one a transaction, their ratio, and commit-to-receipt at a steady rate. One run, one machine, real processes.
 * With `--keys 100` the events are of so many keys, and the subscription is ordered by key.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { startEmbeddedPostgres } from '../src/commands/embedded-postgres.ts'
import { commitMany, commitSteadily, PAYLOAD } from './application.ts'
import { type Receiver, runCeiling, startReceiver, startWalhook } from './processes.ts'
import type { ReceiverReport } from './receiver.ts'

const { values: options } = parseArgs({
  options: {
    events: { type: 'string', default: '50000' },
    rate: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '20' },
    keys: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
})
const EVENTS = Number(options.events)
const KEYS = Number(options.keys)
const CONCURRENCY = 64

const progress = (text: string): void =>
  void process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`)

async function bench(databaseUrl: string): Promise<Record<string, number>> {
  await using receiver = await startReceiver()
  const environment = {
    DATABASE_URL: databaseUrl,
    WALHOOK_ALLOW_HTTP: 'true',
    WALHOOK_ALLOW_NETWORKS: '127.0.0.0/8',
    WALHOOK_LISTEN: '127.0.0.1:0',
    WALHOOK_MAX_IN_FLIGHT_PER_ENDPOINT: String(CONCURRENCY),
  }

  progress('ceiling: signed POSTs, nothing else running')
  await runCeiling(receiver.url, 5_000, CONCURRENCY, PAYLOAD)
  const ceiling = await runCeiling(receiver.url, 50_000, CONCURRENCY, PAYLOAD)
  await receiver.ask<ReceiverReport>('report')

  await withSubscription(databaseUrl, environment, receiver.url)
  await commitMany(databaseUrl, EVENTS, 16, KEYS, (done) => progress(`committing: ${done} of ${EVENTS}`))

  progress('drain')
  await using walhook = await startWalhook(environment, readUsage)
  const startedAt = performance.timeOrigin + performance.now()
  const drained = await untilReceived(receiver, EVENTS)
  const usage = walhook.usage()
  const drain = EVENTS / ((drained.lastAt - startedAt) / 1000)
  await assertRecorded(databaseUrl, drained)

  progress(`steady: ${options.rate} events/s for ${options.seconds} s`)
  const committedAt = await commitSteadily(databaseUrl, Number(options.rate), Number(options.seconds), KEYS)
  const steady = await untilReceived(receiver, committedAt.size)
  const latencies = [...committedAt]
    .map(([id, at]) => (steady.receivedAt[id] ?? Infinity) - at)
    .sort((a, b) => a - b)
  progress('')

  return {
    ceiling_per_second: Math.round(ceiling),
    keys: KEYS,
    drain_events: EVENTS,
    drain_per_second: Math.round(drain),
    drain_duplicates: drained.received - drained.distinct,
    ratio: round(drain / ceiling),
    walhook_cpu_ms_per_delivery: round(((usage?.cpuSeconds ?? NaN) * 1000) / EVENTS),
    walhook_rss_mib: Math.round(usage?.rssMiB ?? NaN),
    steady_rate: Number(options.rate),
    steady_events: committedAt.size,
    p50_ms: round(percentile(latencies, 0.5)),
    p99_ms: round(percentile(latencies, 0.99)),
  }
}

/** The slot and the subscription have to be there before the events are committed. */
async function withSubscription(
  databaseUrl: string,
  environment: Record<string, string>,
  url: string,
): Promise<void> {
  const walhook = await startWalhook(environment, readUsage)
  await query(databaseUrl, `select id from walhook.subscribe($1, ordering => $2)`, [
    url,
    KEYS === 0 ? 'none' : 'key',
  ])
  await walhook[Symbol.asyncDispose]()
}

async function untilReceived(receiver: Receiver, count: number): Promise<ReceiverReport> {
  for (let last = -1; ;) {
    const { distinct } = await receiver.ask<{ distinct: number }>('count')
    if (distinct >= count) return receiver.ask<ReceiverReport>('report')
    if (distinct !== last) progress(`received: ${distinct} of ${count}`)
    last = distinct
    await sleep(200)
  }
}

/** A run whose receiver counted other than what was recorded measured something else. */
async function assertRecorded(databaseUrl: string, report: ReceiverReport): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const [row] = await query<{ delivered: number; attempts: number }>(
      databaseUrl,
      `select count(*) filter (where state = 'delivered')::int as delivered, sum(attempts)::int as attempts from walhook.deliveries`,
    )
    if (row?.delivered === report.distinct && row.attempts === report.received) return
    await sleep(100)
  }
  throw new Error('the deliveries recorded are not those that the receiver counted: no figure')
}

async function query<Row extends pg.QueryResultRow>(
  url: string,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query<Row>(text, values)).rows
  } finally {
    await client.end()
  }
}

/** From /proc: clock ticks of 10 ms, pages of 4 KiB. */
function readUsage(pid: number): { cpuSeconds: number; rssMiB: number } | undefined {
  if (process.platform !== 'linux') return undefined
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
    rssMiB: (Number(fields[21]) * 4) / 1024,
  }
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

const external = process.env['DATABASE_URL']
const embedded = external === undefined ? await startEmbeddedPostgres() : undefined
try {
  const figures = await bench(external ?? embedded?.url ?? '')
  if (options.json) console.log(JSON.stringify(figures))
  else for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(30)} ${value}`)
} finally {
  await embedded?.[Symbol.asyncDispose]()
}
