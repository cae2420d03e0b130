/** What a newcomer types first: `demo` and `dev`, as they are, with nothing but this machine. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { expect, test } from 'vitest'
import { walhook, walhookJson } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { Receiver } from '../support/receiver.ts'
import { SidecarProcess } from '../support/sidecar-process.ts'

test('the demo tells a story that came true, and ends with the table that psql shows', async () => {
  const { code, stdout, stderr } = await walhook(['demo'], {
    // None of these reach it.
    DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nowhere',
    WALHOOK_ALLOW_NETWORKS: 'nonsense',
    WALHOOK_SLOTT: 'x',
    PGSSLMODE: 'require',
  })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/ROLLBACK +order 3/)
  expect(stdout).toMatch(
    /^postgres=# select id, state, .* from walhook\.delivery_status order by id limit 8;$/m,
  )
  expect(stdout).toMatch(/^ id \| +state +\| +event_type/m)
  expect(stdout).toMatch(
    /^ +\d \| delivered \| invoice\.issued \| order 2 \| http:\/\/127\.0\.0\.1:\d+\/accounting \| +3 \| +204 \|$/m,
  )
  expect(stdout).toMatch(/^\(8 rows\)$/m)
  expect(stdout).toMatch(/^ delivered \| +308 \| +310$/m)
  expect(stdout).toMatch(/p50 \d+\.\d ms, p99 \d+\.\d ms/)
  expect(stdout).not.toContain('✗')
  expect(stdout).not.toContain('\u001b')
})

test('for a program the demo is one document', async () => {
  const told = await walhookJson(['demo'])
  expect(told).toMatchObject({
    ok: true,
    counts: [{ state: 'delivered', deliveries: 308, attempts: 310 }],
    commit_to_receipt_ms: { p50: expect.any(Number), p99: expect.any(Number), samples: 300 },
  })
  expect(told).toHaveProperty('deliveries.length', 308)
})

interface Ready {
  readonly database_url: string
  readonly url: string
  readonly page_url: string
  readonly metrics_url: string
  readonly data_dir: string
}

/** `walhook dev --json`, once it says that it is ready. */
async function startDev(dataDir: string): Promise<{ dev: SidecarProcess; ready: Ready }> {
  const dev = SidecarProcess.spawn({}, ['dev', '--listen', '127.0.0.1:0', '--data-dir', dataDir, '--json'])
  const ready = await eventually(
    () => {
      const line = dev.logs.all().find(({ msg }) => msg.startsWith('{"kind":"ready"'))
      if (line === undefined) throw new Error(dev.output())
      return JSON.parse(line.msg) as Ready
    },
    { withinMs: 30_000 },
  )
  return { dev, ready }
}

async function ask(databaseUrl: string, sql: string, params: readonly unknown[] = []): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    return (await client.query(sql, [...params])).rows
  } finally {
    await client.end()
  }
}

test('dev delivers to this machine, ends on a signal, and finds its data again', async ({
  onTestFinished,
}) => {
  const parent = await mkdtemp(path.join(tmpdir(), 'walhook-dev-'))
  onTestFinished(() => rm(parent, { recursive: true, force: true }))
  // Root gives Postgres to another user, who has to get there.
  await chmod(parent, 0o755)
  const dataDir = path.join(parent, 'data')
  await using receiver = await Receiver.start()

  const first = await startDev(dataDir)
  await using _first = first.dev
  await ask(first.ready.database_url, 'select walhook.subscribe($1)', [receiver.url('/hook')])
  await ask(first.ready.database_url, `select walhook.publish('order.created', '{}')`)
  await receiver.waitFor(1)
  await first.dev.waitForLog('delivery.attempted')
  expect(await (await fetch(first.ready.metrics_url)).text()).toContain('walhook_attempts_total')
  expect(await (await fetch(first.ready.page_url)).text()).toContain('<title>Walhook</title>')
  await first.dev.kill('SIGINT')
  expect(await first.dev.exited).toEqual({ code: 0, signal: null })
  await expect(ask(first.ready.database_url, 'select 1')).rejects.toThrow('ECONNREFUSED')

  const second = await startDev(dataDir)
  await using _second = second.dev
  expect(second.ready.data_dir).toBe(dataDir)
  await ask(second.ready.database_url, `select walhook.publish('order.created', '{}')`)
  await receiver.waitFor(2)
  await second.dev.kill('SIGTERM')
  expect(await second.dev.exited).toEqual({ code: 0, signal: null })
})

test('dev tells a person how to go on, and shows each attempt in a line', async () => {
  await using receiver = await Receiver.start()
  await using dev = SidecarProcess.spawn({}, ['dev', '--listen', '127.0.0.1:0'])
  const shown = (): string =>
    dev.logs
      .all()
      .map(({ msg }) => msg)
      .join('\n')
  await eventually(() => expect(shown()).toMatch(/^data .*gone when this ends/m), { withinMs: 30_000 })
  const [, databaseUrl = ''] = /^connect +psql '(postgres:.*)'$/m.exec(shown()) ?? []
  expect(shown()).toMatch(/^metrics +http:\/\/127\.0\.0\.1:\d+\/metrics/m)
  expect(shown()).toMatch(/^subscribe .* subscribe http:/m)
  expect(shown()).toMatch(/^publish .* publish order\.created/m)

  const env = { DATABASE_URL: databaseUrl, WALHOOK_ALLOW_HTTP: 'true', WALHOOK_ALLOW_NETWORKS: '127.0.0.0/8' }
  expect(await walhook(['subscribe', receiver.url('/hook')], env)).toMatchObject({ code: 0, stderr: '' })
  expect(await walhook(['publish', 'order.created', '{"amount": 10}'], env)).toMatchObject({ code: 0 })
  await eventually(() =>
    expect(shown()).toMatch(/^[\d:.]{12} delivered order\.created, delivery 1, attempt 1: 204 in \d+ ms$/m),
  )
  await dev.kill('SIGINT')
})
