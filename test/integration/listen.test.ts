/** `walhook listen`: what it makes of webhooks that are genuine, forged, unsigned, huge, or no webhooks at all. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { SidecarProcess } from '../support/sidecar-process.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const OTHER_SECRET = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'
const ID = '01a20428-5bbc-7031-b8d1-cc41798ac9cf'

interface Listening extends AsyncDisposable {
  readonly url: string
  /** What it printed, a line each. */
  lines(): readonly string[]
  stop(): Promise<unknown>
}

async function listen(...args: readonly string[]): Promise<Listening> {
  const child = SidecarProcess.spawn({}, ['listen', '--listen', '127.0.0.1:0', ...args])
  const url = await eventually(() => {
    const said =
      child.stderr +
      child.logs
        .all()
        .map(({ msg }) => msg)
        .join('\n')
    const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0]
    if (found === undefined) throw new Error(`it has not said where it listens:\n${said}`)
    return found
  })
  return {
    url,
    lines: () => child.logs.all().map(({ msg }) => msg),
    stop: async () => {
      await child.kill('SIGTERM')
      return child.exited
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  }
}

/** Sends a webhook as Walhook does; resolves to the status of the answer. */
async function send(
  url: string,
  body: string,
  {
    secret = SECRET,
    headers = {},
  }: { readonly secret?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<number> {
  const now = new Date()
  const response = await fetch(url, {
    method: 'POST',
    body,
    headers: {
      'webhook-id': ID,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign(ID, now, body),
      'walhook-event-type': 'order.created',
      'walhook-attempt': '2',
      ...headers,
    },
  })
  await response.arrayBuffer()
  return response.status
}

test('a genuine webhook is accepted and a forged one refused, in a line each', async () => {
  await using listening = await listen('--secret', OTHER_SECRET, '--secret', SECRET, '--secret', OTHER_SECRET)
  const body = '{ "id": 1,\n "data": {"n": 12345678901234567890, "s": "a  \\" b\u009b"} }'
  expect(await send(listening.url, body)).toBe(204)
  expect(await send(listening.url, body, { secret: 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' })).toBe(401)
  expect(await send(listening.url, body, { headers: { 'webhook-timestamp': '1' } })).toBe(401)
  await eventually(() => expect(listening.lines()).toHaveLength(3))
  const shown = String.raw`order.created  ${ID}  attempt 2  {"id":1,"data":{"n":12345678901234567890,"s":"a  \" b\u009b"}}`
  expect(listening.lines().map((line) => line.slice(14))).toEqual([
    `✓ verified  ${shown}`,
    `✗ No matching signature found  ${shown}`,
    `✗ Message timestamp too old  ${shown}`,
  ])
  expect(await listening.stop()).toEqual({ code: 0, signal: null })
})

test('without a secret it says of each that nobody checked', async () => {
  await using listening = await listen('--status', '202')
  expect(await send(listening.url, 'not\u001b[2J json', { headers: { 'walhook-event-type': 'a' } })).toBe(202)
  await eventually(() => expect(listening.lines()).toHaveLength(1))
  expect(listening.lines()[0]?.slice(14)).toBe(
    String.raw`? unverified  a  ${ID}  attempt 2  not\u001b[2Jjson`,
  )
})

test('for a program it prints a line of JSON each, with the body as it came', async () => {
  await using listening = await listen('--json', '--secret', SECRET)
  const body = `{"n":   1, "filler": "${'x'.repeat(5000)}"}`
  await send(`${listening.url}/some/path`, body)
  await send(listening.url, '', { secret: OTHER_SECRET })
  await eventually(() => expect(listening.lines()).toHaveLength(3))
  const [first, ...rest] = listening.lines().map((line): unknown => JSON.parse(line))
  expect(first).toEqual({ kind: 'listening', url: listening.url })
  expect(rest).toEqual([
    {
      kind: 'webhook',
      time: expect.stringMatching(/T.*Z$/),
      verified: true,
      status: 204,
      path: '/some/path',
      event_type: 'order.created',
      id: ID,
      attempt: 2,
      body,
    },
    expect.objectContaining({
      verified: false,
      reason: 'No matching signature found',
      status: 401,
      body: '',
    }),
  ])
})

test('a body without end is cut off, and who only looks is answered', async () => {
  await using listening = await listen('--secret', SECRET)
  expect(await (await fetch(listening.url)).text()).toContain('POST')
  expect((await fetch(listening.url, { method: 'DELETE' })).status).toBe(405)
  // Answered before it was read: the client sees the answer, or only that the connection is gone.
  const status = await send(listening.url, 'x'.repeat(20 * 1024 * 1024)).catch(() => 413)
  expect(status).toBe(413)
  expect(await send(listening.url, '{}')).toBe(204)
  await eventually(() => expect(listening.lines()).toHaveLength(1))
})

test('once nobody reads what it prints, it ends, and quietly', async () => {
  const main = path.join(import.meta.dirname, '..', '..', 'src', 'main.ts')
  const script = '{ "$0" "$1" listen --listen 127.0.0.1:0 --json; echo "ended with $?" >&2; } | head -n 1'
  const shell = spawn('/bin/sh', ['-c', script, process.execPath, main], { env: {} })
  const stderr = text(shell.stderr)
  const [line] = (await once(shell.stdout, 'data')) as [Buffer]
  const { url } = JSON.parse(line.toString()) as { readonly url: string }
  // `head` has what it wanted, and is gone: the next line goes nowhere.
  await eventually(async () => expect(await send(url, '{}').catch(() => 'gone')).toBe('gone'))
  expect(await stderr).toBe('ended with 0\n')
})
