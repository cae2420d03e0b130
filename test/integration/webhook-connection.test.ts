/**
 * Whom the client connects to, and why it does not. Nothing but 127.0.0.1 is allowed here, and the rest of loopback
 * stands for the internal network that a webhook must never reach.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { getCACertificates, type SecureVersion, setDefaultCACertificates, TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type AddressPolicy, parseNetwork } from '../../src/core/address-policy.ts'
import { AddressResolver } from '../../src/delivery/address-resolver.ts'
import { Connector } from '../../src/delivery/connector.ts'
import type { Resolve } from '../../src/delivery/name-cache.ts'
import { type OutgoingRequest, WebhookClient } from '../../src/delivery/webhook-client.ts'
import { eventually } from '../support/eventually.ts'
import { type Answer, RawEndpoint, response } from '../support/raw-endpoint.ts'

const GENEROUS = { timeoutMs: 20_000 }
const ok: Answer = (socket) => socket.write(response(200, 'ok'))

const certificate = (name: string): string =>
  readFileSync(new URL(`../support/certificates/${name}`, import.meta.url), 'utf8')
const TRUSTED = { cert: certificate('endpoint.pem'), key: certificate('endpoint.key') }
const SELF_SIGNED = { cert: certificate('self-signed.pem'), key: certificate('self-signed.key') }

function allowing(...networks: string[]): AddressPolicy {
  return { allowHttp: true, allowNetworks: networks.flatMap((text) => parseNetwork(text) ?? []) }
}

async function openEndpoint(
  answer: Answer,
  options: Parameters<typeof RawEndpoint.open>[1] = {},
): Promise<RawEndpoint> {
  const endpoint = await RawEndpoint.open(answer, options)
  onTestFinished(() => endpoint[Symbol.asyncDispose]())
  return endpoint
}

function openClient(options: Partial<ConstructorParameters<typeof WebhookClient>[0]> = {}): WebhookClient {
  const client = new WebhookClient({ policy: allowing('127.0.0.1/32'), ...options })
  onTestFinished(() => client[Symbol.asyncDispose]())
  return client
}

function post(url: string): OutgoingRequest {
  return { url, method: 'POST', headers: {}, body: Buffer.from('{}') }
}

/** A name server: every name has these addresses, or the next ones each time it is asked. */
function resolvingTo(...answers: readonly string[][]): Resolve {
  let asked = 0
  return async () => {
    const addresses = answers[Math.min(asked++, answers.length - 1)] ?? []
    return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  }
}

const failed = (error: string): object => ({ kind: 'failed', error })

describe('an address that is not allowed is not connected to', () => {
  test.for([
    '127.0.0.2',
    '127.2',
    '0x7f.2',
    '0177.0.0.2',
    '2130706434',
    '０x7f000002',
    '0.0.0.0',
    '[::1]',
    '[::ffff:127.0.0.2]',
    '[::ffff:7f00:2]',
    '[::127.0.0.1]',
    '[::]',
  ])('as a literal: %s', async (host) => {
    const endpoint = await openEndpoint(ok, { host: 'any' })
    expect(await openClient().send(post(`http://${host}:${endpoint.port}/`), GENEROUS)).toEqual(
      failed('address_denied'),
    )
    expect(endpoint.sockets).toHaveLength(0)
  })

  test.for([
    ['one', ['127.0.0.2']],
    ['a mapped one', ['::ffff:127.0.0.2']],
    ['a forbidden one after an allowed one', ['127.0.0.1', '127.0.0.2']],
    ['a forbidden one before an allowed one', ['::1', '127.0.0.1']],
    ['what is no address', ['127.1']],
  ] as const)('behind a name that resolves to %s', async ([, addresses]) => {
    const endpoint = await openEndpoint(ok, { host: 'any' })
    const client = openClient({ resolve: resolvingTo([...addresses]) })
    expect(await client.send(post(`http://endpoint.example:${endpoint.port}/`), GENEROUS)).toEqual(
      failed('address_denied'),
    )
    expect(endpoint.sockets).toHaveLength(0)
  })

  test('behind a name that changes its mind between two connections', async () => {
    const endpoint = await openEndpoint((socket) => socket.end(response(200, '', ['connection: close'])), {
      host: '::',
    })
    const client = openClient({ resolve: resolvingTo(['127.0.0.1'], ['127.0.0.2']) })
    const url = `http://endpoint.example:${endpoint.port}/`
    expect(await client.send(post(url), GENEROUS)).toMatchObject({ status: 200 })
    await eventually(() => expect(endpoint.openSockets).toBe(0))
    expect(await client.send(post(url), GENEROUS)).toEqual(failed('address_denied'))
    expect(endpoint.sockets).toHaveLength(1)
  })

  test('by a redirect', async () => {
    const inner = await openEndpoint(ok, { host: '127.0.0.2' })
    const outer = await openEndpoint((socket) => {
      socket.write(response(307, '', [`location: http://127.0.0.2:${inner.port}/`]))
    })
    expect(await openClient().send(post(outer.url()), GENEROUS)).toMatchObject({ status: 307 })
    expect(inner.sockets).toHaveLength(0)
  })

  test('by the connector, even if nobody judged the URL before', async () => {
    const endpoint = await openEndpoint(ok, { host: 'any' })
    using connector = new Connector({ policy: allowing('127.0.0.1/32'), connectTimeoutMs: 5000 })
    const connect = (hostname: string): Promise<unknown> => {
      const result = Promise.withResolvers<unknown>()
      connector.connect({ protocol: 'http:', hostname, port: String(endpoint.port) }, (...[error]) =>
        result.resolve(error),
      )
      return result.promise
    }
    expect(await connect('127.0.0.2')).toMatchObject({ code: 'address_denied' })
    expect(await connect('::ffff:127.0.0.2')).toMatchObject({ code: 'address_denied' })
    expect(await connect('::1')).toMatchObject({ code: 'address_denied' })
    expect(endpoint.sockets).toHaveLength(0)
  })

  test('nor by http where that is not allowed', async () => {
    const endpoint = await openEndpoint(ok)
    const client = openClient({ policy: { ...allowing('127.0.0.1/32'), allowHttp: false } })
    expect(await client.send(post(endpoint.url()), GENEROUS)).toEqual(failed('invalid_url'))
    expect(endpoint.sockets).toHaveLength(0)
  })
})

describe('an address that is allowed', () => {
  test.for(['127.0.0.1', '0x7f.1', '[::ffff:127.0.0.1]'])('is reached as the literal %s', async (host) => {
    const endpoint = await openEndpoint(ok)
    expect(await openClient().send(post(`http://${host}:${endpoint.port}/`), GENEROUS)).toMatchObject({
      status: 200,
    })
  })

  test('is reached through a name, and the request bears the name', async () => {
    const endpoint = await openEndpoint(ok)
    const client = openClient({ resolve: resolvingTo(['127.0.0.1']) })
    expect(await client.send(post(`http://endpoint.example:${endpoint.port}/`), GENEROUS)).toMatchObject({
      status: 200,
    })
    expect(endpoint.requests[0]?.head).toContain(`host: endpoint.example:${endpoint.port}`)
  })

  test('is reached when the name’s other addresses refuse', async () => {
    const endpoint = await openEndpoint(ok)
    const client = openClient({
      policy: allowing('127.0.0.0/8'),
      resolve: resolvingTo(['127.0.0.2', '127.0.0.3', '127.0.0.1']),
    })
    expect(await client.send(post(`http://endpoint.example:${endpoint.port}/`), GENEROUS)).toMatchObject({
      status: 200,
    })
  })

  test.for(['localhost', 'endpoint.localhost', 'localhost.'])(
    'is reached as %s, whatever the name server says',
    async (name) => {
      const endpoint = await openEndpoint(ok)
      const client = openClient({ resolve: resolvingTo(['127.0.0.2']) })
      expect(await client.send(post(`http://${name}:${endpoint.port}/`), GENEROUS)).toMatchObject({
        status: 200,
      })
    },
  )

  test('is not reached as localhost where no loopback address is allowed', async () => {
    const endpoint = await openEndpoint(ok)
    const client = openClient({ policy: allowing() })
    expect(await client.send(post(`http://localhost:${endpoint.port}/`), GENEROUS)).toEqual(
      failed('address_denied'),
    )
    expect(endpoint.sockets).toHaveLength(0)
  })
})

describe('a name', () => {
  test('that does not exist', async () => {
    const client = openClient({
      resolve: () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })),
    })
    expect(await client.send(post('http://endpoint.example/'), GENEROUS)).toEqual(failed('dns'))
  })

  test('that has no address', async () => {
    expect(
      await openClient({ resolve: resolvingTo([]) }).send(post('http://endpoint.example/'), GENEROUS),
    ).toEqual(failed('dns'))
  })

  test('that nothing answers for costs the connect timeout, and one question for all who wait', async () => {
    let asked = 0
    const resolve: Resolve = () => {
      asked++
      return new Promise(() => {})
    }
    const client = openClient({ resolve, connectTimeoutMs: 100 })
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, () => client.send(post('http://endpoint.example/'), GENEROUS)),
    )
    expect(outcomes).toEqual(Array(10).fill(failed('connect_timeout')))
    expect(asked).toBe(1)
  })

  test('is answered with all its addresses or with the first, as net.connect asks', async () => {
    const resolver = new AddressResolver({
      policy: allowing(),
      timeoutMs: 1000,
      resolve: resolvingTo(['8.8.8.8', '2606:4700::1111']),
    })
    const judged = new Set<string>()
    const lookUp = (all: boolean): Promise<unknown[]> => {
      const answer = Promise.withResolvers<unknown[]>()
      resolver.lookup(judged)('endpoint.example', { all }, (...results) => answer.resolve(results))
      return answer.promise
    }
    expect(await lookUp(false)).toEqual([null, '8.8.8.8', 4])
    expect(await lookUp(true)).toEqual([
      null,
      [
        { address: '8.8.8.8', family: 4 },
        { address: '2606:4700::1111', family: 6 },
      ],
    ])
    expect(judged).toEqual(new Set(['8.8.8.8', '2606:4700::1111']))
  })
})

describe('a connection', () => {
  test('that is refused', async () => {
    const endpoint = await RawEndpoint.open(ok)
    const url = endpoint.url()
    await endpoint[Symbol.asyncDispose]()
    expect(await openClient().send(post(url), GENEROUS)).toEqual(failed('connect_refused'))
  })

  test('that every address of the name refuses', async () => {
    const endpoint = await RawEndpoint.open(ok)
    const { port } = endpoint
    await endpoint[Symbol.asyncDispose]()
    const client = openClient({
      policy: allowing('127.0.0.0/8'),
      resolve: resolvingTo(['127.0.0.1', '127.0.0.2']),
    })
    expect(await client.send(post(`http://endpoint.example:${port}/`), GENEROUS)).toEqual(
      failed('connect_refused'),
    )
  })

  test('that does not get through its handshake costs the connect timeout', async () => {
    const endpoint = await openEndpoint(() => {})
    const client = openClient({ connectTimeoutMs: 100 })
    expect(await client.send(post(endpoint.url().replace('http:', 'https:')), GENEROUS)).toEqual(
      failed('connect_timeout'),
    )
    await eventually(() => expect(endpoint.openSockets).toBe(0))
  })

  test('that stands only after the deadline carries nothing', async () => {
    const endpoint = await openEndpoint(ok)
    const resolved = Promise.withResolvers<Awaited<ReturnType<Resolve>>>()
    const client = openClient({ resolve: () => resolved.promise })
    const url = `http://endpoint.example:${endpoint.port}/`
    expect(await client.send(post(url), { timeoutMs: 50 })).toEqual(failed('timeout'))
    resolved.resolve([{ address: '127.0.0.1', family: 4 }])
    await eventually(() => expect([endpoint.sockets.length, endpoint.openSockets]).toEqual([1, 0]))
    expect(endpoint.requests).toHaveLength(0)
  })

  test('that is still opening when the client is closed is abandoned', async () => {
    const endpoint = await openEndpoint(() => {})
    const client = openClient({ connectTimeoutMs: 60_000 })
    const outcome = client.send(post(endpoint.url().replace('http:', 'https:')), GENEROUS)
    await eventually(() => expect(endpoint.sockets).toHaveLength(1))
    await client[Symbol.asyncDispose]()
    expect(await outcome).toEqual(failed('aborted'))
    await eventually(() => expect(endpoint.openSockets).toBe(0))
  })
})

describe('TLS', () => {
  beforeAll(() => {
    setDefaultCACertificates([...getCACertificates('default'), certificate('authority.pem')])
  })
  const resolve = resolvingTo(['127.0.0.1'])
  const versions: SecureVersion[] = ['TLSv1.2', 'TLSv1.3']

  test.for(versions)(
    '%s stands where the certificate is for the name, and is resumed',
    async (maxVersion) => {
      const resumed: boolean[] = []
      const endpoint = await openEndpoint(
        (socket) => {
          resumed.push(socket instanceof TLSSocket && socket.isSessionReused())
          socket.end(response(200, 'ok', ['connection: close']))
        },
        { tls: { ...TRUSTED, maxVersion } },
      )
      const client = openClient({ resolve })
      const url = `https://endpoint.example:${endpoint.port}/`
      expect(await client.send(post(url), GENEROUS)).toMatchObject({ status: 200, body: 'ok' })
      expect(await client.send(post(url), GENEROUS)).toMatchObject({ status: 200, body: 'ok' })
      expect(resumed).toEqual([false, true])
    },
  )

  test.for(versions)(
    '%s does not where it is for another name, the second time no more than the first',
    async (maxVersion) => {
      const endpoint = await openEndpoint(ok, { tls: { ...TRUSTED, maxVersion } })
      const client = openClient({ resolve })
      const url = `https://other.example:${endpoint.port}/`
      expect(await client.send(post(url), GENEROUS)).toEqual(failed('tls'))
      expect(await client.send(post(url), GENEROUS)).toEqual(failed('tls'))
      expect(await client.send(post(`https://127.0.0.1:${endpoint.port}/`), GENEROUS)).toEqual(failed('tls'))
      expect(endpoint.requests).toHaveLength(0)
    },
  )

  test('does not where nobody signed the certificate', async () => {
    const endpoint = await openEndpoint(ok, { tls: SELF_SIGNED })
    const client = openClient({ resolve })
    expect(await client.send(post(`https://endpoint.example:${endpoint.port}/`), GENEROUS)).toEqual(
      failed('tls'),
    )
    expect(endpoint.requests).toHaveLength(0)
  })

  test('does not with a server that speaks something else', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy())
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    })
    const listening = Promise.withResolvers<void>()
    server.listen(0, '127.0.0.1', listening.resolve)
    await listening.promise
    onTestFinished(() => void server.close())
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : undefined
    expect(await openClient().send(post(`https://127.0.0.1:${port}/`), GENEROUS)).toEqual(failed('tls'))
  })

  test('carries one repetition too when a kept connection is gone', async () => {
    const endpoint = await openEndpoint(
      (socket, { number }) => {
        if (number === 2) socket.destroy()
        else socket.write(response(200, `answer ${number}`))
      },
      { tls: TRUSTED },
    )
    const client = openClient({ resolve })
    const url = `https://endpoint.example:${endpoint.port}/`
    await client.send(post(url), GENEROUS)
    await setImmediate()
    await setImmediate()
    expect(await client.send(post(url), GENEROUS)).toMatchObject({ body: 'answer 3' })
    expect(endpoint.requests.map(({ connection }) => connection)).toEqual([1, 1, 2])
  })
})
