/**
 * Endpoints that mean harm (G8, G9): an attempt to one ends in time and is told for what it was, costs bounded memory, and
 * costs the others nothing.
 */
import { readFile } from 'node:fs/promises'
import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished } from 'vitest'
import { parseNetwork } from '../../src/core/address-policy.ts'
import { WebhookClient } from '../../src/delivery/webhook-client.ts'
import { EVIL_ENDPOINTS, openEvil, urlOf } from '../support/evil-endpoints.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { RawEndpoint, response } from '../support/raw-endpoint.ts'
import type { Receiver } from '../support/receiver.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

const MIB = 1024 * 1024
const AUTHORITY = new URL('../support/certificates/authority.pem', import.meta.url).pathname
const GRACE_MS = 1000

function openClient(): WebhookClient {
  const network = parseNetwork('127.0.0.1/32')
  const client = new WebhookClient({
    policy: { allowHttp: true, allowNetworks: network === undefined ? [] : [network] },
  })
  onTestFinished(() => client[Symbol.asyncDispose]())
  return client
}

const post = (url: string) => ({ url, method: 'POST' as const, headers: {}, body: Buffer.from('{}') })

describe('an attempt', () => {
  test.for(EVIL_ENDPOINTS)('to an endpoint that $what', async (evil) => {
    const endpoint = await openEvil(evil)
    onTestFinished(() => endpoint[Symbol.asyncDispose]())
    const client = openClient()
    const request = post(urlOf(evil, endpoint))
    const timeoutMs = 600
    // The first may be answered by those that only break what was kept.
    if (evil.what.includes('once')) await client.send(request, { timeoutMs })
    const startedAt = performance.now()
    const outcome = await client.send(request, { timeoutMs })
    expect(performance.now() - startedAt).toBeLessThan(timeoutMs + GRACE_MS)
    const { status, error } = evil
    expect(outcome).toMatchObject(
      status === undefined
        ? { kind: 'failed', error }
        : { kind: 'answered', status, ...(error !== undefined && { bodyError: error }) },
    )
    if (outcome.kind === 'answered') expect(outcome.body.length).toBeLessThanOrEqual(4096)
    // What misbehaved is closed; what answered, however oddly, may be kept.
    if (error !== undefined) await eventually(() => expect(endpoint.openSockets).toBe(0))
  })
})

describe('a connection', () => {
  test('is told of each answer by itself, however much it has carried', async () => {
    const endpoint = await RawEndpoint.open((socket) => socket.write(response(200, 'x'.repeat(60_000))))
    onTestFinished(() => endpoint[Symbol.asyncDispose]())
    const client = openClient()
    for (let n = 0; n < 5; n++) {
      const outcome = await client.send(post(endpoint.url()), { timeoutMs: 20_000 })
      expect(outcome).toMatchObject({ status: 200, body: 'x'.repeat(4096) })
      expect(outcome).not.toHaveProperty('bodyError')
      // It can be used again a turn of the event loop later.
      await setImmediate()
      await setImmediate()
    }
    expect(endpoint.sockets).toHaveLength(1)
  })

  test('that is poured into while it is idle is closed', async () => {
    const endpoint = await RawEndpoint.open((socket) => {
      socket.write(response(200))
      socket.write(`HTTP/1.1 200 ${'O'.repeat(500_000)}`)
    })
    onTestFinished(() => endpoint[Symbol.asyncDispose]())
    expect(await openClient().send(post(endpoint.url()), { timeoutMs: 20_000 })).toMatchObject({
      status: 200,
    })
    await eventually(() => expect(endpoint.openSockets).toBe(0))
  })
})

const ROUNDS = 5
/** To either half, in each turn: six to each endpoint, so that no circuit opens and spares the sidecar anything. */
const EVENTS = 6 * EVIL_ENDPOINTS.length
/** A pace that the machine keeps up with: at its limit, whatever costs anything delays everything. */
const EVERY_MS = 15
const TIMEOUT_MS = 1000

/**
 * Publishes one event after the other, to one endpoint each, by turns of the half that is measured and of the other;
 * milliseconds from the commit to the arrival at the former.
 */
async function latenciesMs(db: TestDatabase, receiver: Receiver, others: string): Promise<number[]> {
  const committedAt = new Map<string, number>()
  const startedAt = performance.now()
  for (let n = 0; n < EVENTS; n++) {
    await delay(startedAt + n * EVERY_MS - performance.now())
    const which = n % EVIL_ENDPOINTS.length
    await publish(db, { type: `${others}.${which}` })
    committedAt.set(await publish(db, { type: `measured.${which}` }), performance.now())
  }
  const mine = () => receiver.requests().filter(({ id }) => committedAt.has(id))
  await receiver.waitFor(() => mine().length >= EVENTS, { withinMs: 30_000 })
  return mine().map(({ id, arrivedAtMs }) => arrivedAtMs - (committedAt.get(id) ?? Infinity))
}

function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Infinity
}

/** The median of the rounds' own: one round in which the machine stood still decides nothing. */
function usualPercentile(rounds: readonly (readonly number[])[], share: number): number {
  return percentile(
    rounds.map((values) => percentile(values, share)),
    0.5,
  )
}

async function peakBytes(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]
  return kib === undefined ? undefined : Number(kib) * 1024
}

describe('a sidecar of whose endpoints half are evil', () => {
  test(
    'serves the other half as ever, within bounded memory, and records what each did',
    { timeout: 120_000 },
    async ({ db, receiver, sidecarProcess }) => {
      const urls = await Promise.all(
        EVIL_ENDPOINTS.map(async (evil) => {
          const endpoint = await openEvil(evil)
          onTestFinished(() => endpoint[Symbol.asyncDispose]())
          return urlOf(evil, endpoint)
        }),
      )
      const sidecar = await sidecarProcess({
        NODE_EXTRA_CA_CERTS: AUTHORITY,
        NODE_OPTIONS: '--max-old-space-size=192',
        WALHOOK_LOG_LEVEL: 'info',
        WALHOOK_SHUTDOWN_GRACE: '0ms',
      })
      for (const n of EVIL_ENDPOINTS.keys())
        for (const half of ['measured', 'healthy'])
          await subscribe(db, receiver.url(`/${half}/${n}`), { eventTypes: [`${half}.${n}`] })
      await latenciesMs(db, receiver, 'healthy')

      const evilOnes = new Map<string, (typeof EVIL_ENDPOINTS)[number]>()
      const before = await peakBytes(sidecar.pid)
      const calm: number[][] = []
      const among: number[][] = []
      // In turns, so that whatever else the machine does falls on both.
      for (let round = 0; round < ROUNDS; round++) {
        calm.push(await latenciesMs(db, receiver, 'healthy'))
        // New ones each time, whose circuits are closed.
        for (const [n, evil] of EVIL_ENDPOINTS.entries()) {
          const { id } = await subscribe(db, urls[n] ?? '', {
            eventTypes: [`evil.${round}.${n}`],
            timeout: `${TIMEOUT_MS}ms`,
            retrySchedule: [],
          })
          evilOnes.set(id, evil)
        }
        among.push(await latenciesMs(db, receiver, `evil.${round}`))
        // The next round begins with nothing under way.
        await untilSettled(db, 2 * EVENTS * (2 * round + 3), { withinMs: 30_000 })
      }
      const after = await peakBytes(sidecar.pid)

      const attempts = await db.query<{ subscription: string; outcome: string; longest: number }>(
        `select d.subscription_id::text as subscription, concat_ws(' ', a.response_status, a.error) as outcome,
              max(a.duration_ms)::float8 as longest
       from walhook.attempts as a join walhook.deliveries as d on d.id = a.delivery_id
       group by 1, 2`,
      )
      const ofEvil = attempts.flatMap((row) => {
        const evil = evilOnes.get(row.subscription)
        return evil === undefined ? [] : [{ ...row, evil }]
      })
      const p99 = { calm: usualPercentile(calm, 0.99), among: usualPercentile(among, 0.99) }
      const p50 = { calm: usualPercentile(calm, 0.5), among: usualPercentile(among, 0.5) }
      const figures = [
        `healthy p50 ${p50.calm.toFixed(1)} ms alone, ${p50.among.toFixed(1)} among the evil`,
        `p99 ${p99.calm.toFixed(1)} and ${p99.among.toFixed(1)} (ratio ${(p99.among / p99.calm).toFixed(2)})`,
        `longest evil attempt ${Math.max(...ofEvil.map(({ longest }) => longest)).toFixed(0)} ms of ${TIMEOUT_MS}`,
        `memory +${Math.round(((after ?? 0) - (before ?? 0)) / MIB)} MiB`,
      ]
      process.stdout.write(`evil endpoints: ${figures.join('; ')}\n`)

      expect(new Set(ofEvil.map(({ evil }) => evil.what)).size).toBe(EVIL_ENDPOINTS.length)
      const wrong = ofEvil.filter(({ evil, outcome }) => {
        const expected = [evil.status, evil.error].filter((part) => part !== undefined).join(' ')
        return outcome !== expected && !(evil.what.includes('once') && outcome === '200')
      })
      expect(wrong.map(({ evil, outcome }) => [evil.what, outcome])).toEqual([])
      expect(Math.max(...ofEvil.map(({ longest }) => longest))).toBeLessThan(TIMEOUT_MS + GRACE_MS)
      if (before !== undefined && after !== undefined) expect(after - before).toBeLessThan(150 * MIB)
      // Nobody waits for an evil endpoint's deadline. On a quiet machine both figures are of the size of a collection of
      // garbage in this very process, which plays the evil too: their ratio alone says little then.
      expect(p99.among).toBeLessThan(Math.max(2 * p99.calm, TIMEOUT_MS / 4))
      expect(p50.among).toBeLessThan(Math.max(2 * p50.calm, TIMEOUT_MS / 10))
    },
  )
})
