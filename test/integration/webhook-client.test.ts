/** What the client makes of whatever an endpoint answers, and of one that answers badly, too much or not at all. */
import { setImmediate } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseNetwork } from '../../src/core/address-policy.ts'
import { type OutgoingRequest, WebhookClient } from '../../src/delivery/webhook-client.ts'
import { eventually } from '../support/eventually.ts'
import { type Answer, RawEndpoint, response } from '../support/raw-endpoint.ts'

const HANGING_MS = 300
const GENEROUS = { timeoutMs: 20_000 }

async function openEndpoint(answer: Answer): Promise<RawEndpoint> {
  const endpoint = await RawEndpoint.open(answer)
  onTestFinished(() => endpoint[Symbol.asyncDispose]())
  return endpoint
}

/** Nothing but 127.0.0.1 may be called. */
function openClient(): WebhookClient {
  const network = parseNetwork('127.0.0.1/32')
  const client = new WebhookClient({
    policy: { allowHttp: true, allowNetworks: network === undefined ? [] : [network] },
  })
  onTestFinished(() => client[Symbol.asyncDispose]())
  return client
}

function post(url: string, more: Partial<OutgoingRequest> = {}): OutgoingRequest {
  return {
    url,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from('{"a":1}'),
    ...more,
  }
}

const never: Answer = () => {}

/** A connection can be used again a turn of the event loop after its response, not sooner. */
async function connectionsAreFree(): Promise<void> {
  await setImmediate()
  await setImmediate()
}

describe('an answer', () => {
  test('is the outcome, and the request arrives as it was given', async () => {
    const endpoint = await openEndpoint((socket) => socket.write(response(200, 'thanks')))
    const request = post(endpoint.url('/hooks?tenant=a'), {
      headers: { 'webhook-id': 'msg_1' },
      body: Buffer.from('{"ä":\0}'),
    })
    expect(await openClient().send(request, GENEROUS)).toEqual({
      kind: 'answered',
      status: 200,
      retryAfter: undefined,
      body: 'thanks',
    })
    const [received] = endpoint.requests
    expect(received?.body.equals(request.body)).toBe(true)
    expect(received?.head.split('\r\n')).toEqual([
      'POST /hooks?tenant=a HTTP/1.1',
      `host: 127.0.0.1:${endpoint.port}`,
      'connection: keep-alive',
      'accept-encoding: identity',
      'webhook-id: msg_1',
      `content-length: ${request.body.length}`,
    ])
  })

  test('may be to a PUT with nothing in it', async () => {
    const endpoint = await openEndpoint((socket) => socket.write('HTTP/1.1 204 No Content\r\n\r\n'))
    const request = post(endpoint.url(), { method: 'PUT', body: Buffer.alloc(0) })
    expect(await openClient().send(request, GENEROUS)).toMatchObject({
      kind: 'answered',
      status: 204,
      body: '',
    })
    expect(endpoint.requests[0]?.head).toMatch(/^PUT \/ .*content-length: 0$/s)
  })

  test.for([410, 500, 503] as const)('of %i is an answer', async (status) => {
    const endpoint = await openEndpoint((socket) =>
      socket.write(response(status, 'no', ['retry-after: 120'])),
    )
    expect(await openClient().send(post(endpoint.url()), GENEROUS)).toEqual({
      kind: 'answered',
      status,
      retryAfter: '120',
      body: 'no',
    })
  })

  test('that redirects is not followed', async () => {
    const endpoint = await openEndpoint((socket) => socket.write(response(302, '', ['location: /elsewhere'])))
    expect(await openClient().send(post(endpoint.url()), GENEROUS)).toMatchObject({
      kind: 'answered',
      status: 302,
    })
    expect(endpoint.requests).toHaveLength(1)
  })

  test('is kept to 4 KB, and a character at the cut is left out whole', async () => {
    const endpoint = await openEndpoint((socket) => socket.write(response(200, `a${'é'.repeat(5000)}`)))
    expect(await openClient().send(post(endpoint.url()), GENEROUS)).toEqual({
      kind: 'answered',
      status: 200,
      retryAfter: undefined,
      body: `a${'é'.repeat(2047)}`,
    })
  })

  test('becomes text that a database takes: invalid UTF-8 replaced, U+0000 taken out', async () => {
    const bytes = Buffer.concat([Buffer.from('a\0b'), Buffer.from([0xff, 0xc3]), Buffer.from('\0')])
    const endpoint = await openEndpoint((socket) => socket.write(response(200, bytes)))
    expect(await openClient().send(post(endpoint.url()), GENEROUS)).toMatchObject({ body: 'ab\ufffd\ufffd' })
  })

  test('that is compressed stays compressed', async () => {
    const bomb = gzipSync(Buffer.alloc(20_000_000))
    const endpoint = await openEndpoint((socket) =>
      socket.write(response(200, bomb, ['content-encoding: gzip'])),
    )
    const outcome = await openClient().send(post(endpoint.url()), GENEROUS)
    expect(outcome).toMatchObject({ kind: 'answered', status: 200 })
    expect(outcome).not.toHaveProperty('bodyError')
    expect('body' in outcome && outcome.body.length).toBeLessThanOrEqual(4096)
  })

  test('may be preceded by interim ones', async () => {
    const hints = 'HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n'
    const endpoint = await openEndpoint((socket) =>
      socket.write(hints + hints + response(200, 'ok').toString()),
    )
    expect(await openClient().send(post(endpoint.url()), GENEROUS)).toMatchObject({ status: 200, body: 'ok' })
  })
})

describe('a body that is too long or too slow does not undo the status', () => {
  test.for(['keep-alive', 'close'])('70 KB over a connection: %s', async (connection) => {
    const endpoint = await openEndpoint((socket) => {
      socket.write(response(200, 'x'.repeat(70_000), [`connection: ${connection}`]))
    })
    expect(await openClient().send(post(endpoint.url()), GENEROUS)).toMatchObject({
      status: 200,
      body: 'x'.repeat(4096),
      bodyError: 'response_too_large',
    })
  })

  test('20 MB are not read', async () => {
    const endpoint = await openEndpoint((socket) =>
      socket.write(response(200, Buffer.alloc(20_000_000, 'x'))),
    )
    expect(await openClient().send(post(endpoint.url()), GENEROUS)).toMatchObject({
      status: 200,
      bodyError: 'response_too_large',
    })
    await eventually(() => expect(endpoint.openSockets).toBe(0))
    expect(endpoint.sockets[0]?.bytesWritten).toBeLessThanOrEqual(20_000_200)
  })

  test('a body that stops in the middle of a character', async () => {
    const beginning = Buffer.concat([
      Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npartial'),
      Buffer.from('é').subarray(0, 1),
    ])
    const endpoint = await openEndpoint((socket) => socket.write(beginning))
    expect(await openClient().send(post(endpoint.url()), { timeoutMs: HANGING_MS })).toMatchObject({
      status: 200,
      body: 'partial',
      bodyError: 'response_incomplete',
    })
    await eventually(() => expect(endpoint.openSockets).toBe(0))
  })

  test('a body that drips', async () => {
    const endpoint = await openEndpoint((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n')
      const drip = setInterval(() => socket.write('.'), 20)
      socket.once('close', () => clearInterval(drip))
    })
    const startedAt = performance.now()
    const outcome = await openClient().send(post(endpoint.url()), { timeoutMs: HANGING_MS })
    expect(outcome).toMatchObject({ status: 200, bodyError: 'response_incomplete' })
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(HANGING_MS - 5)
    await eventually(() => expect(endpoint.openSockets).toBe(0))
  })

  test.for([
    ['is reset', 'content-length: 9', (socket) => socket.resetAndDestroy()],
    ['ends early', 'content-length: 9', (socket) => socket.end()],
    ['breaks its chunks', 'transfer-encoding: chunked', (socket) => socket.write('not a length\r\n')],
  ] as const satisfies [string, string, (socket: Parameters<Answer>[0]) => void][])(
    'a body that %s',
    async ([, header, breakOff]) => {
      const endpoint = await openEndpoint((socket) => {
        socket.write(`HTTP/1.1 201 Created\r\n${header}\r\n\r\n`, () => breakOff(socket))
      })
      const outcome = await openClient().send(post(endpoint.url()), GENEROUS)
      expect(outcome).toMatchObject({ kind: 'answered', status: 201, bodyError: 'response_incomplete' })
    },
  )
})

describe('without a status it is a failure', () => {
  test('when nothing comes before the deadline, and the connection is closed', async () => {
    const endpoint = await openEndpoint(never)
    expect(await openClient().send(post(endpoint.url()), { timeoutMs: HANGING_MS })).toEqual({
      kind: 'failed',
      error: 'timeout',
    })
    await eventually(() => expect(endpoint.openSockets).toBe(0))
    expect(endpoint.requests).toHaveLength(1)
  })

  test('when the headers drip', async () => {
    const endpoint = await openEndpoint((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nx: ')
      const drip = setInterval(() => socket.write('.'), 20)
      socket.once('close', () => clearInterval(drip))
    })
    expect(await openClient().send(post(endpoint.url()), { timeoutMs: HANGING_MS })).toEqual({
      kind: 'failed',
      error: 'timeout',
    })
  })

  test.for([
    ['a reset', 'reset', (socket) => socket.resetAndDestroy()],
    ['a closed connection', 'reset', (socket) => socket.end()],
    ['half a status line', 'reset', (socket) => socket.end('HTTP/1.1 2')],
    ['something that is not HTTP', 'invalid_response', (socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n')],
    [
      'headers beyond 16 KB',
      'invalid_response',
      (socket) => socket.write(response(200, '', [`x: ${'x'.repeat(20_000)}`])),
    ],
    [
      'many headers beyond 16 KB',
      'invalid_response',
      (socket) => socket.write(response(200, '', Array(2000).fill('x-header: 1'))),
    ],
    ['two lengths', 'invalid_response', (socket) => socket.write(response(200, 'a', ['content-length: 2']))],
    [
      'a protocol nobody asked for',
      'invalid_response',
      (socket) => socket.write('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
    ],
    ['a 100 nobody asked for', 'invalid_response', (socket) => socket.write('HTTP/1.1 100 Continue\r\n\r\n')],
    [
      'interim answers without end',
      'invalid_response',
      (socket) => socket.write('HTTP/1.1 103 Hints\r\n\r\n'.repeat(100)),
    ],
  ] as const satisfies [string, string, (socket: Parameters<Answer>[0]) => void][])(
    'when it is %s: %s, and the request is not sent again',
    async ([, error, misbehave]) => {
      const endpoint = await openEndpoint(misbehave)
      expect(await openClient().send(post(endpoint.url()), GENEROUS)).toEqual({ kind: 'failed', error })
      expect(endpoint.requests).toHaveLength(1)
    },
  )
})

describe('a connection that was kept and is gone', () => {
  const losses = [
    ['reset', (socket: Parameters<Answer>[0]) => socket.resetAndDestroy()],
    ['closed', (socket: Parameters<Answer>[0]) => socket.end()],
  ] as const

  test.for(losses)('(%s) costs one repetition, over a new connection', async ([, lose]) => {
    const endpoint = await openEndpoint((socket, { number }) => {
      if (number === 2) lose(socket)
      else socket.write(response(200, `answer ${number}`))
    })
    const client = openClient()
    await client.send(post(endpoint.url('/first')), GENEROUS)
    await connectionsAreFree()
    expect(await client.send(post(endpoint.url('/second')), GENEROUS)).toMatchObject({ body: 'answer 3' })
    expect(endpoint.requests.map(({ connection, head }) => [connection, head.split(' ')[1]])).toEqual([
      [1, '/first'],
      [1, '/second'],
      [2, '/second'],
    ])
    expect(endpoint.requests[2]?.body).toEqual(endpoint.requests[1]?.body)
  })

  test.for(losses)(
    '(%s) costs no second repetition, even where other kept connections are gone too',
    async ([, lose]) => {
      const held: (() => void)[] = []
      const endpoint = await openEndpoint((socket, { number }) => {
        // The first five wait for one another, so that five connections stand.
        if (number > 5) lose(socket)
        else held.push(() => socket.write(response(200)))
        if (held.length === 5) held.splice(0).forEach((release) => release())
      })
      const client = openClient()
      await Promise.all(Array.from({ length: 5 }, () => client.send(post(endpoint.url()), GENEROUS)))
      expect(endpoint.sockets).toHaveLength(5)
      await connectionsAreFree()
      expect(await client.send(post(endpoint.url()), GENEROUS)).toEqual({ kind: 'failed', error: 'reset' })
      expect(endpoint.requests).toHaveLength(7)
      expect(endpoint.requests[6]?.connection).toBe(6)
    },
  )

  test('costs none once a byte of the response has come', async () => {
    const endpoint = await openEndpoint((socket, { number }) => {
      if (number === 1) socket.write(response(200))
      else socket.end('H')
    })
    const client = openClient()
    await client.send(post(endpoint.url()), GENEROUS)
    await connectionsAreFree()
    expect(await client.send(post(endpoint.url()), GENEROUS)).toEqual({ kind: 'failed', error: 'reset' })
    expect(endpoint.requests).toHaveLength(2)
  })

  test('is within the one deadline', async () => {
    const endpoint = await openEndpoint((socket, { number }) => {
      if (number === 1) socket.write(response(200))
      else if (number === 2) socket.resetAndDestroy()
    })
    const client = openClient()
    await client.send(post(endpoint.url()), GENEROUS)
    await connectionsAreFree()
    expect(await client.send(post(endpoint.url()), { timeoutMs: HANGING_MS })).toEqual({
      kind: 'failed',
      error: 'timeout',
    })
    expect(endpoint.requests).toHaveLength(3)
    await eventually(() => expect(endpoint.openSockets).toBe(0))
  })

  test('while idle is not noticed at all', async () => {
    const endpoint = await openEndpoint((socket) => socket.end(response(200, 'ok')))
    const client = openClient()
    for (let i = 0; i < 5; i++) {
      await connectionsAreFree()
      expect(await client.send(post(endpoint.url()), GENEROUS)).toMatchObject({ status: 200 })
    }
    expect(endpoint.requests).toHaveLength(5)
  })
})

describe('giving up', () => {
  test('by the signal ends every request that shares it and is under way, and closes their connections', async () => {
    const held: (() => void)[] = []
    const endpoint = await openEndpoint((socket) => held.push(() => socket.write(response(200))))
    const client = openClient()
    const stop = new AbortController()
    let answered = 0
    const outcomes = Array.from({ length: 20 }, async () => {
      const outcome = await client.send(post(endpoint.url()), { ...GENEROUS, signal: stop.signal })
      if (outcome.kind === 'answered') answered++
      return outcome.kind === 'answered' ? outcome.kind : outcome.error
    })
    await eventually(() => expect(held).toHaveLength(20))
    held.filter((_, index) => index % 3 === 0).forEach((release) => release())
    await eventually(() => expect(answered).toBe(7))
    stop.abort()
    expect((await Promise.all(outcomes)).toSorted()).toEqual([
      ...Array(13).fill('aborted'),
      ...Array(7).fill('answered'),
    ])
    await eventually(() => expect(endpoint.openSockets).toBe(7))
  })

  test('by the signal leaves requests alone that have another or none, and those that have ended', async () => {
    const held: (() => void)[] = []
    const endpoint = await openEndpoint((socket, { number }) => {
      if (number === 1) socket.write(response(200))
      else held.push(() => socket.write(response(200)))
    })
    const client = openClient()
    const stop = new AbortController()
    const ended = await client.send(post(endpoint.url()), { ...GENEROUS, signal: stop.signal })
    const others = Promise.all([
      client.send(post(endpoint.url()), GENEROUS),
      client.send(post(endpoint.url()), { ...GENEROUS, signal: new AbortController().signal }),
    ])
    await eventually(() => expect(held).toHaveLength(2))
    stop.abort()
    held.forEach((release) => release())
    expect([ended, ...(await others)].map((outcome) => outcome.kind)).toEqual(Array(3).fill('answered'))
  })

  test('before it began sends nothing', async () => {
    const endpoint = await openEndpoint(never)
    const outcome = await openClient().send(post(endpoint.url()), {
      ...GENEROUS,
      signal: AbortSignal.abort(),
    })
    expect(outcome).toEqual({ kind: 'failed', error: 'aborted' })
    expect(endpoint.sockets).toHaveLength(0)
  })

  test('does not undo a status that has come', async () => {
    const written = Promise.withResolvers<void>()
    const endpoint = await openEndpoint((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart', () => written.resolve())
    })
    const stop = new AbortController()
    const outcome = openClient().send(post(endpoint.url()), { ...GENEROUS, signal: stop.signal })
    await written.promise
    // Both ends share this event loop: some turns later the client has read what the kernel has taken.
    for (let turn = 0; turn < 20; turn++) await setImmediate()
    stop.abort()
    expect(await outcome).toMatchObject({ status: 200, body: 'part', bodyError: 'response_incomplete' })
  })

  test('by closing the client ends what is under way, and it sends nothing after that', async () => {
    const endpoint = await openEndpoint(never)
    const client = openClient()
    const outcome = client.send(post(endpoint.url()), GENEROUS)
    await eventually(() => expect(endpoint.requests).toHaveLength(1))
    await client[Symbol.asyncDispose]()
    expect(await outcome).toEqual({ kind: 'failed', error: 'aborted' })
    expect(await client.send(post(endpoint.url()), GENEROUS)).toEqual({ kind: 'failed', error: 'aborted' })
    await eventually(() => expect(endpoint.openSockets).toBe(0))
    expect(endpoint.requests).toHaveLength(1)
  })
})

test('a header that cannot be written is the caller’s mistake, and its value is not repeated', async () => {
  const endpoint = await openEndpoint(never)
  const request = post(endpoint.url(), { headers: { authorization: 'Bearer s3cret\r\nx: y' } })
  const error: unknown = await openClient()
    .send(request, GENEROUS)
    .catch((rejected: unknown) => rejected)
  expect(error).toMatchObject({ code: 'invalid_input', message: expect.stringContaining('authorization') })
  expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('s3cret')
  expect(endpoint.sockets).toHaveLength(0)
})
