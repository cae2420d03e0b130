/** `walhook deliveries`, `events` and `tail`, as a shell runs them; and the curl lines of docs/api.md. */
import { execFile, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { apiAt } from '../support/api.ts'
import { walhookHere } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { deliveries, publish, subscribe, untilSettled } from '../support/sql-surface.ts'

const run = promisify(execFile)
const ROOT = path.join(import.meta.dirname, '..', '..')

test('deliveries and events are found, explained, resent and cancelled on the command line', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar()
  const env = { DATABASE_URL: db.url }
  const json = async (...args: string[]) => {
    const { code, stdout, stderr } = await walhookHere([...args, '--json'], env)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return JSON.parse(stdout) as Record<string, unknown>
  }
  receiver.on('/hook', [respond(503), respond(204)])
  const { id: subscription } = await subscribe(db, receiver.url('/hook'), { retrySchedule: ['1h'] })

  const payload = '{"n": 1.50,  "a": 12345678901234567890}'
  const publishing = [
    'events',
    'publish',
    'order.created',
    payload,
    '--id',
    'order 17',
    '--key',
    'k',
  ] as const
  const event = String((await json(...publishing))['id'])
  expect(await json(...publishing)).toEqual({ id: event })
  expect(await walhookHere([...publishing.slice(0, 3), '1', ...publishing.slice(4)], env)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`event ${event} is there already`),
  })
  const shown = await walhookHere(['events', 'show', event, '--json'], env)
  expect(shown.stdout).toContain(`"payload":${payload}}`)
  expect((await walhookHere(['events', 'show', event], env)).stdout).toContain(`\n${payload}\n`)
  expect(await json('events', 'list', '--type', 'order.*', '--since', '1h')).toMatchObject({
    events: [{ id: event, key: 'k' }],
    until: null,
  })
  await eventually(async () =>
    expect((await deliveries(db))[0]).toMatchObject({ waits_as: 'retry scheduled' }),
  )
  expect(await json('events', 'matches', event)).toMatchObject({
    matches: [{ subscription_id: subscription, matches: true, delivery_state: 'pending' }],
  })

  const listed = await json(
    'deliveries',
    'list',
    '--status',
    '5xx',
    '--key',
    'k',
    '--event',
    event,
    '--since',
    '10m',
  )
  expect(listed).toMatchObject({ deliveries: [{ state: 'pending', last_status: 503 }], before: null })
  expect(await json('deliveries', 'list', '--error', 'timeout')).toEqual({ deliveries: [], before: null })
  expect(await json('deliveries', 'cancel', '1')).toEqual({ cancelled: ['1'] })
  expect(
    await json('deliveries', 'resend', '--subscription', subscription, '--state', 'cancelled', '--dry-run'),
  ).toMatchObject({
    replays: [{ id: null, total: 1 }],
  })
  expect((await walhookHere(['deliveries', 'resend', '1', '--key', 'k'], env)).code).toBe(2)
  const line = await walhookHere(['deliveries', 'curl', '1'], env)
  await run('/bin/sh', ['-c', line.stdout])
  expect((await receiver.waitFor(2))[1]?.id).toBe(event)
  expect(await json('deliveries', 'resend', '1')).toMatchObject({ resent: [{ id: '1' }] })
  await untilSettled(db, 1)
  expect(await walhookHere(['deliveries', 'cancel', '1'], env)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('delivery 1 is delivered'),
  })
  for (const args of [
    ['events', 'show', crypto.randomUUID()],
    ['events', 'matches', crypto.randomUUID()],
    ['deliveries', 'curl', '404'],
    ['deliveries', 'cancel', '404'],
  ])
    expect({ args, code: (await walhookHere(args, env)).code }).toEqual({ args, code: 1 })
  for (const args of [
    ['deliveries', 'list', '--status', '6xx'],
    ['deliveries', 'list', '--since', 'noon?'],
  ])
    expect({ args, code: (await walhookHere(args, env)).code }).toEqual({ args, code: 2 })
})

test('tail follows deliveries until Ctrl-C, one line each', async ({ db, receiver, sidecar }) => {
  await sidecar()
  receiver.on('/hook', [respond(204), respond(500)])
  await subscribe(db, receiver.url('/hook'), { retrySchedule: [] })
  await publish(db)
  await untilSettled(db, 1)
  const child = spawn(
    process.execPath,
    [path.join(ROOT, 'src', 'main.ts'), 'tail', '--json', '--status', '5xx'],
    {
      env: { PATH: process.env['PATH'] ?? '', DATABASE_URL: db.url },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  try {
    await eventually(() => expect(said).toContain('Following'), { withinMs: 20_000 })
    await publish(db)
    await eventually(() => expect(output).not.toBe(''))
    child.kill('SIGINT')
    expect(await ended).toBe(0)
  } finally {
    child.kill('SIGKILL')
  }
  const lines = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(lines[0]).toMatchObject({
    status: 500,
    state: 'dead',
    attempt: 1,
    at: expect.stringMatching(/T.*Z$/),
  })
  // What came before is not told, and neither is what was accepted.
  expect(lines).toHaveLength(1)
})

test('the curl lines of docs/api.md say what they are said to', async ({ db, sidecar }) => {
  const { url } = await sidecar()
  await subscribe(db, 'https://example.com/hook')
  const key = (await apiAt(url)('POST', '/v1/keys', { json: { scope: 'admin' } })).body.key as string
  const page = readFileSync(path.join(ROOT, 'docs', 'api.md'), 'utf8')
  const scripts = [...page.matchAll(/^```sh\n([^]*?)^```/gm)].flatMap(([, script = '']) =>
    script.includes('$WALHOOK') ? [script] : [],
  )
  expect(scripts.length).toBeGreaterThanOrEqual(2)
  for (const script of scripts) {
    const { stdout } = await run('/bin/sh', ['-ec', script.replaceAll('curl ', 'curl --fail-with-body ')], {
      env: { PATH: process.env['PATH'] ?? '', TOKEN: key, WALHOOK: url },
    })
    expect(stdout).toMatch(/^\{/)
  }
  expect(await db.query('select payload::text as payload from walhook.outbox')).toEqual([
    { payload: '{"amount": 250.00}' },
  ])
})
