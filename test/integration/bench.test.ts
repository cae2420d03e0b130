/** The benchmark as somebody runs it: it gives its figures, or says why there are none. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import pg from 'pg'
import { expect } from 'vitest'
import { results } from '../../bench/results.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'

const RUN = new URL('../../bench/run.ts', import.meta.url).pathname
const SMALL = ['--scenario', 'drain', '--scale', '0.01', '--rounds', '1']

/** The benchmark's process, once it is under way. */
type OnStart = (pid: number) => Promise<void>

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function bench(
  databaseUrl: string,
  args: readonly string[],
  onStart?: OnStart,
): Promise<Ended & { readonly files: string[]; readonly chart: string }> {
  const output = await mkdtemp(path.join(tmpdir(), 'walhook-bench-'))
  try {
    const child = spawn(process.execPath, [RUN, ...args, '--output', output], {
      env: { PATH: process.env['PATH'] ?? '', DATABASE_URL: databaseUrl },
    })
    const ended = once(child, 'close')
    const [stdout, stderr] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      onStart?.(child.pid ?? expect.fail('it was not started')),
    ])
    const [code] = (await ended) as [number | null]
    const files = (await readdir(output)).toSorted()
    const svg = files.find((file) => file.endsWith('.svg'))
    const chart = svg === undefined ? '' : await readFile(path.join(output, svg), 'utf8')
    return { code, stdout, stderr, files, chart }
  } finally {
    await rm(output, { recursive: true })
  }
}

test('a drain has its figures, the cost of each process, a file of results and a chart, and leaves nothing on the server', async ({
  db,
}) => {
  const { code, stdout, stderr, files, chart } = await bench(db.url, [...SMALL, '--beside-others', '--json'])

  expect(code, stderr).toBe(0)
  const { scenarios, besideOthers, command } = results.parse(JSON.parse(stdout))
  expect(besideOthers).toBe(true)
  expect(command).toContain('npm run bench -- --scenario drain')
  const [round] = scenarios[0]?.rounds ?? []
  expect(round?.['deliveries']).toBeGreaterThan(0)
  expect(round?.['ofCeiling']).toBeCloseTo((round?.['deliveries'] ?? 0) / (round?.['ceiling'] ?? 0))
  expect(round?.['duplicates']).toBe(0)
  const [measured] = scenarios[0]?.measurements[0] ?? []
  expect(measured).toMatchObject({ label: 'drain', deliveries: 1_000 })
  expect(measured?.walhookPeakMiB).toBeGreaterThan(50)
  expect(files.map((file) => path.extname(file))).toEqual(['.json', '.svg'])
  expect(chart).toContain('<svg')
  expect(stderr).toMatch(/received \d+ of 1000/)
  expect(await leftOn(db.url)).toEqual([])
})

test('where other work has the machine it says so, and gives no figure', async ({ db }) => {
  const busy = Array.from({ length: Math.ceil(availableParallelism() / 2) }, () =>
    spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
  )
  try {
    const { code, stdout, stderr } = await bench(db.url, SMALL)

    expect(code).toBe(1)
    expect(stderr).toMatch(/drain: no figure: drain: other work had \d+ % of the machine meanwhile/)
    expect(stdout).toContain('no figure')
    expect(stdout).not.toContain('/s')
  } finally {
    for (const child of busy) child.kill('SIGKILL')
  }
})

test('where the database holds other deliveries than the endpoints accepted, it gives no figure', async ({
  db,
}) => {
  const [{ code, stderr }] = await Promise.all([
    bench(db.url, [...SMALL, '--beside-others']),
    loseADelivery(db.url),
  ])

  expect(code).toBe(1)
  expect(stderr).toContain(
    'no figure: the endpoints accepted 1000 events in 1000 requests, and recorded are 999 in 999',
  )
})

test('interrupted, it leaves neither its database nor its slot behind', async ({ db }) => {
  const { code, stdout } = await bench(db.url, ['--scenario', 'drain', '--beside-others'], async (pid) => {
    await eventually(async () => expect(await leftOn(db.url)).toHaveLength(2))
    process.kill(pid, 'SIGINT')
  })

  expect(code).toBe(130)
  expect(stdout).toBe('')
  expect(await leftOn(db.url)).toEqual([])
})

test('a database that cannot be reached is told, with what to do', async () => {
  const { code, stdout, stderr } = await bench('postgres://postgres@127.0.0.1:1/postgres', SMALL)

  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr).toMatch(
    /^no figure: the Postgres of DATABASE_URL cannot be reached: .*ECONNREFUSED.*: correct it, or unset it/,
  )
})

test('a login that may not create databases is told, with what to do, and nothing waits for it', async ({
  db,
}) => {
  const url = new URL(db.url)
  const name = `bench_${process.pid}`
  url.username = name
  url.password = name
  await db.query(`create role ${name} login password '${name}'`)
  try {
    const { code, stderr } = await bench(url.href, SMALL)

    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^no figure: the login of DATABASE_URL may not create databases, .*: ALTER ROLE … CREATEDB/,
    )
  } finally {
    await db.query(`drop role ${name}`)
  }
})

/** A scenario, a rate or a share that is none is refused before anything starts. */
test.for([
  ['--scenario', 'drian', 'Allowed choices are drain'],
  ['--scale', 'much', 'It has to be a positive number.'],
] as const)('%s %s is refused', async ([option, value, why]) => {
  const { code, stderr } = await bench('postgres://nobody@127.0.0.1:1/none', [option, value])

  expect(code).toBe(1)
  expect(stderr).toContain(why)
})

/** In the benchmark's own database, once there are deliveries in it. */
async function loseADelivery(serverUrl: string): Promise<void> {
  const database = await eventually(async () => {
    const [found] = await leftOn(serverUrl)
    return found ?? expect.fail('it has made no database yet')
  })
  const url = new URL(serverUrl)
  url.pathname = database
  const client = new pg.Client(url.href)
  await client.connect()
  try {
    await eventually(async () => {
      const { rows } = await client.query(`select to_regclass('walhook.deliveries') as table`)
      expect(rows).not.toEqual([{ table: null }])
      const { rowCount } = await client.query(
        `delete from walhook.deliveries where id = (select min(id) from walhook.deliveries where state = 'delivered')`,
      )
      expect(rowCount).toBe(1)
    })
  } finally {
    await client.end()
  }
}

/** Databases first, then slots. */
async function leftOn(serverUrl: string): Promise<string[]> {
  const client = new pg.Client(serverUrl)
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string }>(
      `select datname as name from pg_database where datname like 'walhook_bench_%'
       union all
       select slot_name from pg_replication_slots where database like 'walhook_bench_%'`,
    )
    return rows.map(({ name }) => name)
  } finally {
    await client.end()
  }
}
