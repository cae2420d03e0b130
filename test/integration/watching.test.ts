/** What an operator watches: the slot, who streams it, statistics and metrics say the same in the API, the commands and psql. */
import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { ERROR_CLASSES } from '../../src/core/attempt-outcome.ts'
import { DISABLE_REASONS } from '../../src/core/endpoint-health.ts'
import { MISFITS } from '../../src/core/event-type.ts'
import { SLOT_STATES } from '../../src/core/slot-health.ts'
import { GAPS } from '../../src/core/slot-plan.ts'
import { ATTEMPT_OUTCOMES, DELIVERY_ENDS, WAITS } from '../../src/telemetry/delivery-metrics.ts'
import { apiAt } from '../support/api.ts'
import { walhookHere, walhookJson } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { sidecarEnvironment, test } from '../support/fixtures.ts'
import { reset, respond } from '../support/receiver.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'

test('who runs, who streams and how the slot is: the same over HTTP, in the command and in psql', async ({
  db,
  sidecar,
}) => {
  const first = await sidecar()
  await first.logs.waitFor('relay.streaming')
  const second = await sidecar()
  const api = apiAt(second.url)
  const replicas = await eventually(async () => {
    const { body } = await api('GET', '/v1/replicas')
    expect(body).toMatchObject({
      data: [
        { role: 'streaming', streams: true, is_gone: false },
        { role: 'standby', streams: false, is_gone: false },
      ],
      next_cursor: null,
    })
    return body.data
  })

  const { status, body: slot } = await eventually(async () => {
    const answer = await api('GET', '/v1/slot')
    expect(answer.body.active).toBe(true)
    return answer
  })
  expect(status).toBe(200)
  expect(slot).toMatchObject({
    slot_name: db.slot,
    state: 'reserved',
    risk: 'none',
    cause: null,
    streamed_by: replicas[0].id,
    streamed_by_host: replicas[0].host,
    unconfirmed_wal_bytes: expect.any(Number),
  })
  const told = (await walhookJson(['slot', '--json'], sidecarEnvironment(db, 'auto'))) as {
    slot: Record<string, unknown>
    replicas: unknown[]
  }
  expect(told.slot).toMatchObject({ slot_name: db.slot, risk: 'none', streamed_by: slot.streamed_by })
  expect(told.replicas).toHaveLength(2)
  expect((await walhookHere(['slot'], sidecarEnvironment(db, 'auto'))).stdout).toContain('retained_wal_bytes')

  // One that stops is forgotten at once; one whose session has ended, some time later.
  await first.stop()
  await eventually(async () => {
    const rows = await db.query('select role, streams from walhook.replica_status')
    expect(rows).toEqual([{ role: 'streaming', streams: true }])
  })
  await second.stop()
  await db.query(
    `insert into walhook.replicas (id, host, version, role) values (gen_random_uuid(), 'h', '1', 'streaming')`,
  )
  expect(await db.query('select streams, is_gone from walhook.replica_status')).toEqual([
    { streams: false, is_gone: true },
  ])
  // Whoever runs notes since when it is gone, and forgets it.
  await sidecar()
  const goneAt = async (): Promise<unknown[]> =>
    db.query(`select gone_at is not null as noted from walhook.replicas where host = 'h'`)
  await eventually(async () => expect(await goneAt()).toEqual([{ noted: true }]))
  await db.query(`update walhook.replicas set gone_at = now() - interval '11 minutes' where host = 'h'`)
  await eventually(async () => expect(await goneAt()).toEqual([]), { withinMs: 20_000 })
})

test('statistics: of all, of a subscription and of a tenant, which sees no others', async ({
  db,
  receiver,
  sidecar,
}) => {
  const { url } = await sidecar()
  const mine = await subscribe(db, receiver.url('/mine'), { tenant: 'acme' })
  const others = await subscribe(db, receiver.url('/others'), { retrySchedule: [] })
  receiver.on('/others', () => respond(503))
  await publish(db, { tenant: 'acme' })
  await untilSettled(db, 2)
  const admin = apiAt(
    url,
    (await apiAt(url)('POST', '/v1/keys', { json: { scope: 'admin' } })).body.key as string,
  )
  const tenants = (await admin('POST', '/v1/keys', { json: { scope: 'read', tenant: 'acme' } })).body.key
  const tenant = apiAt(url, tenants as string)

  const all = await eventually(async () => {
    const { body } = await admin('GET', '/v1/stats?window=1h')
    expect(body.counts).toEqual({ attempts: 2, failed_attempts: 1, delivered: 1, dead: 1, cancelled: 0 })
    return body
  })
  expect(all).toMatchObject({
    window: '1h',
    failure_rate: 0.5,
    latency: { attempt: { p50: expect.any(Number) }, delivered: { p99: expect.any(Number) } },
    backlog: { pending: 0, oldest_at: null, drained_in: null },
  })
  expect(all.series).toHaveLength(60)
  expect((await admin('GET', `/v1/subscriptions/${others.id}/stats`)).body).toMatchObject({
    window: '24h',
    counts: { dead: 1, delivered: 0 },
    latency: { delivered: { p50: null } },
  })
  expect((await tenant('GET', '/v1/stats?window=7d')).body).toMatchObject({
    counts: { attempts: 1, delivered: 1, dead: 0 },
    failure_rate: 0,
  })
  expect((await tenant('GET', `/v1/subscriptions/${mine.id}/stats`)).body.counts).toMatchObject({
    delivered: 1,
  })
  expect((await tenant('GET', `/v1/subscriptions/${others.id}/stats`)).status).toBe(404)
  expect((await tenant('GET', '/v1/slot')).status).toBe(403)
  expect((await tenant('GET', '/v1/replicas')).status).toBe(403)
  expect((await admin('GET', '/v1/stats?window=2h')).body.errors).toMatchObject([{ field: 'window' }])

  const env = { DATABASE_URL: db.url }
  expect(await walhookJson(['stats', '--window', '1h', '--json'], env)).toMatchObject({
    stats: { attempts: 2, failure_rate: 0.5, dead: 1 },
    series: expect.objectContaining({ length: 60 }),
  })
  const printed = await walhookHere(['stats', '--subscription', others.id, '--series'], env)
  expect(printed.stdout).toMatch(/failure_rate +\| 1\n/)
  expect(printed.stdout).toContain('(96 rows)')
})

/** Every label that there is, with every value that it may have. */
const LABELS: Readonly<Record<string, readonly string[]>> = {
  outcome: [...ATTEMPT_OUTCOMES, ...DELIVERY_ENDS, 'made', 'exported', 'failed'],
  error: ['', ...ERROR_CLASSES, 'other'],
  reason: [...MISFITS, ...DISABLE_REASONS, ...GAPS, 'audit'],
  waits_as: WAITS,
}
const ALSO = {
  state: [...SLOT_STATES, 'used', 'idle', 'awaited'],
  version: [expect.stringMatching(/^\d+\.\d+\.\d+/)],
  // Ours, and a number of ours.
  table: [expect.stringMatching(/^[a-z_]+$/)],
  le: [expect.stringMatching(/^(\d+(\.\d+)?|\+Inf)$/)],
}

test('metrics have no label of anybody’s choosing, whatever is published, subscribed and answered', async ({
  db,
  receiver,
  sidecar,
}) => {
  const { url, logs } = await sidecar({ WALHOOK_EVENT_TYPES: 'warn' })
  await subscribe(db, receiver.url('/hostile-path'), { tenant: 'hostile-tenant', retrySchedule: [] })
  await subscribe(db, receiver.url('/reset'), { retrySchedule: [] })
  await subscribe(db, receiver.url('/gone'), { retrySchedule: [] })
  receiver.on('/hostile-path', () =>
    respond(299, { headers: { 'x-hostile': 'hostile-header' }, body: 'hostile"}\nwalhook_hostile 1' }),
  )
  receiver.on('/reset', () => reset())
  receiver.on('/gone', () => respond(410))
  await publish(db, {
    type: 'hostile.type',
    tenant: 'hostile-tenant',
    key: 'hostile"key',
    headers: '{"traceparent": "hostile", "deliver_after": "hostile"}',
  })
  await untilSettled(db, 3)
  await logs.waitFor('delivery.attempted')

  const text = await eventually(async () => {
    const said = await (await fetch(`${url}/metrics`)).text()
    expect(said).toContain('walhook_attempts_total{outcome="dead",error="reset"} 1')
    expect(said).toContain('walhook_backlog_deliveries{waits_as="parked"} 0')
    expect(said).toMatch(/walhook_table_bytes\{table="outbox"\}/)
    return said
  })
  expect(text).not.toContain('hostile')
  expect(text).not.toMatch(/127\.0\.0\.1|order\.created/)
  const labels = [...text.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, name = '', value = '']) => ({
    name,
    value,
  }))
  expect(new Set(labels.map(({ name }) => name))).toEqual(
    new Set([...Object.keys(LABELS), ...Object.keys(ALSO)].filter((name) => text.includes(`${name}="`))),
  )
  for (const { name, value } of labels) {
    const allowed = { ...LABELS, ...ALSO }[name] ?? []
    expect(
      allowed.some((each) => each === value || isLike(each, value)),
      `${name}="${value}"`,
    ).toBe(true)
  }
  // What the dashboard and the alerts ask for is there, before anything has happened too.
  const wanted = ['alerts.yaml', 'walhook.json'].flatMap((file) => [
    ...readFileSync(`docs/grafana/${file}`, 'utf8').matchAll(/\bwalhook_[a-z_]+/g),
  ])
  const declared = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))
  expect(wanted.length).toBeGreaterThan(40)
  for (const [name] of wanted)
    expect(declared.has(name) || declared.has(name.replace(/_(?:bucket|sum|count)$/, '')), name).toBe(true)
  // The rows of histograms with something in them are those of this one event.
  expect(text).toContain('walhook_commit_to_delivered_seconds_count 0')
  expect(text).toMatch(/walhook_settlement_outcomes_count [1-3]\n/)
})

function isLike(pattern: unknown, value: string): boolean {
  return (
    typeof pattern === 'object' &&
    pattern !== null &&
    'asymmetricMatch' in pattern &&
    typeof pattern.asymmetricMatch === 'function' &&
    pattern.asymmetricMatch(value) === true
  )
}
