/**
 * Webhooks through the operator's proxy: what passes it, what it cannot be made to reach, and that its failures are told from
 * those of an endpoint.
 */
import { readFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { beforeAll, describe, expect, onTestFinished } from 'vitest'
import { type AddressPolicy, parseNetwork } from '../../src/core/address-policy.ts'
import { type EgressProxy, parseProxy } from '../../src/core/egress-proxy.ts'
import { WebhookClient } from '../../src/delivery/webhook-client.ts'
import { ConnectProxy, type ProxyBehaviour } from '../support/connect-proxy.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { type Answer, RawEndpoint, response } from '../support/raw-endpoint.ts'
import { deliveries, publish, subscribe, untilSettled } from '../support/sql-surface.ts'

const GENEROUS = { timeoutMs: 20_000 }
const NAME = 'endpoint.example'
const ok: Answer = (socket) => socket.write(response(200, 'ok'))

const pem = (name: string): string =>
  readFileSync(new URL(`../support/certificates/${name}`, import.meta.url), 'utf8')
const certificate = (name: string) => ({ cert: pem(`${name}.pem`), key: pem(`${name}.key`) })

beforeAll(() => {
  setDefaultCACertificates([...getCACertificates('default'), pem('authority.pem')])
})

async function openEndpoint(answer: Answer, tls?: ReturnType<typeof certificate>): Promise<RawEndpoint> {
  const endpoint = await RawEndpoint.open(answer, tls === undefined ? {} : { tls })
  onTestFinished(() => endpoint[Symbol.asyncDispose]())
  return endpoint
}

async function openProxy(options: Parameters<typeof ConnectProxy.start>[0] = {}): Promise<ConnectProxy> {
  const proxy = await ConnectProxy.start({ names: [NAME], ...options })
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  return proxy
}

function proxyAt(url: string): EgressProxy {
  const proxy = parseProxy(url)
  if (proxy === undefined) throw new Error(`not a proxy: ${url}`)
  return proxy
}

function openClient(
  url: string,
  options: { networks?: string[]; connectTimeoutMs?: number } = {},
): WebhookClient {
  const { networks = [], ...more } = options
  const policy: AddressPolicy = {
    allowHttp: true,
    allowNetworks: networks.flatMap((text) => parseNetwork(text) ?? []),
  }
  const client = new WebhookClient({
    policy,
    proxy: proxyAt(url),
    resolve: () => Promise.reject(new Error('names are the proxy’s')),
    ...more,
  })
  onTestFinished(() => client[Symbol.asyncDispose]())
  return client
}

const post = (url: string) => ({ url, method: 'POST' as const, headers: {}, body: Buffer.from('{"a":1}') })
const failed = (error: string): object => ({ kind: 'failed', error })

describe('a webhook', () => {
  test('goes through a tunnel to an http endpoint, by its name, and the proxy sees no header of it', async () => {
    const endpoint = await openEndpoint(ok)
    const proxy = await openProxy()
    const client = openClient(proxy.url())
    expect(await client.send(post(`http://${NAME}:${endpoint.port}/hook`), GENEROUS)).toMatchObject({
      status: 200,
      body: 'ok',
    })
    expect(proxy.requests.map(({ target }) => target)).toEqual([`${NAME}:${endpoint.port}`])
    expect(endpoint.requests[0]?.head).toMatch(/^POST \/hook HTTP/)
    expect(endpoint.requests[0]?.body.toString()).toBe('{"a":1}')
    expect(endpoint.requests[0]?.head).not.toMatch(/proxy/i)
  })

  test.for(['http', 'https'] as const)(
    'goes through an %s proxy to an https endpoint, whose certificate is verified end to end',
    async (protocol) => {
      const endpoint = await openEndpoint(ok, certificate('endpoint'))
      const proxy = await openProxy(protocol === 'https' ? { tls: certificate('proxy') } : {})
      const client = openClient(proxy.url())
      const url = `https://${NAME}:${endpoint.port}/`
      expect(await client.send(post(url), GENEROUS)).toMatchObject({ status: 200 })
      await setImmediate()
      await setImmediate()
      expect(await client.send(post(url), GENEROUS)).toMatchObject({ status: 200 })
      // One tunnel, kept for the second.
      expect(proxy.requests).toHaveLength(1)
      expect(endpoint.requests.map(({ connection }) => connection)).toEqual([1, 1])
    },
  )

  test.for(['self-signed', 'expired', 'proxy'])(
    'does not go to an endpoint with the certificate %s, proxy or not',
    async (name) => {
      const endpoint = await openEndpoint(ok, certificate(name))
      const proxy = await openProxy()
      const client = openClient(proxy.url())
      expect(await client.send(post(`https://${NAME}:${endpoint.port}/`), GENEROUS)).toEqual(failed('tls'))
      expect(endpoint.requests).toHaveLength(0)
      await eventually(() => expect(proxy.openSockets).toBe(0))
    },
  )

  test('does not go through a proxy whose certificate is for another name', async () => {
    const endpoint = await openEndpoint(ok)
    const proxy = await openProxy({ tls: certificate('endpoint') })
    expect(await openClient(proxy.url()).send(post(`http://${NAME}:${endpoint.port}/`), GENEROUS)).toEqual(
      failed('proxy'),
    )
    expect(proxy.requests).toHaveLength(0)
  })

  test('is sent again once, through a new tunnel, when the kept one is gone', async () => {
    const endpoint = await openEndpoint(ok)
    const proxy = await openProxy()
    const client = openClient(proxy.url())
    const url = `http://${NAME}:${endpoint.port}/`
    for (let n = 0; n < 2; n++) {
      expect(await client.send(post(url), GENEROUS)).toMatchObject({ status: 200 })
      proxy.cut()
      await eventually(() => expect(proxy.openSockets).toBe(0))
    }
    expect(proxy.requests).toHaveLength(2)
  })

  test('goes to a literal address of an allowed network, also in IPv6', async () => {
    const endpoint = await openEndpoint(ok)
    const proxy = await openProxy()
    const client = openClient(proxy.url(), { networks: ['127.0.0.1/32', '::1'] })
    expect(await client.send(post(`http://127.0.0.1:${endpoint.port}/`), GENEROUS)).toMatchObject({
      status: 200,
    })
    // Nothing listens there: what counts is how the proxy was asked.
    expect(await client.send(post(`http://[::1]:${endpoint.port}/`), GENEROUS)).toEqual(failed('proxy'))
    expect(proxy.requests.map(({ target }) => target)).toEqual([
      `127.0.0.1:${endpoint.port}`,
      `[::1]:${endpoint.port}`,
    ])
  })
})

test.for([
  '127.0.0.1',
  '0x7f.1',
  '[::1]',
  '[::ffff:127.0.0.1]',
  '10.0.0.1',
  '169.254.169.254',
  '[2001:470::5efe:10.0.0.1]',
  'localhost',
  'api.localhost',
])('the proxy is never asked for %s', async (host) => {
  const proxy = await openProxy()
  expect(await openClient(proxy.url()).send(post(`http://${host}/`), GENEROUS)).toEqual(
    failed('address_denied'),
  )
  expect(proxy.requests).toHaveLength(0)
  expect(proxy.openSockets).toBe(0)
})

describe('a proxy', () => {
  test('gets the user and password of its URL, whatever characters they have', async () => {
    const endpoint = await openEndpoint(ok)
    const proxy = await openProxy({ credentials: 'us@er:p%ss:word' })
    const client = openClient(proxy.url(`us%40er:p%25ss%3Aword`))
    expect(await client.send(post(`http://${NAME}:${endpoint.port}/`), GENEROUS)).toMatchObject({
      status: 200,
    })
  })

  test.for([undefined, 'user:wrong'])('that wants another password than %s', async (userinfo) => {
    const endpoint = await openEndpoint(ok)
    const proxy = await openProxy({ credentials: 'user:right' })
    const client = openClient(proxy.url(userinfo))
    expect(await client.send(post(`http://${NAME}:${endpoint.port}/`), GENEROUS)).toEqual(failed('proxy'))
    expect(endpoint.sockets).toHaveLength(0)
  })

  test('that nothing listens at, or whose name does not exist', async () => {
    const proxy = await ConnectProxy.start()
    const url = proxy.url()
    await proxy[Symbol.asyncDispose]()
    expect(await openClient(url).send(post(`http://${NAME}/`), GENEROUS)).toEqual(failed('proxy'))
    expect(await openClient('http://nobody.invalid').send(post(`http://${NAME}/`), GENEROUS)).toEqual(
      failed('proxy'),
    )
  })

  test('that cannot reach the endpoint', async () => {
    const endpoint = await RawEndpoint.open(ok)
    const { port } = endpoint
    await endpoint[Symbol.asyncDispose]()
    const proxy = await openProxy()
    expect(await openClient(proxy.url()).send(post(`http://${NAME}:${port}/`), GENEROUS)).toEqual(
      failed('proxy'),
    )
  })

  test.for([
    ['403', { answer: 'HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n' }],
    ['a redirect', { answer: 'HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\n\r\n' }],
    ['410, which would disable a subscription', { answer: 'HTTP/1.1 410 Gone\r\n\r\n' }],
    ['no HTTP', { answer: 'SSH-2.0-OpenSSH_9.6\r\n' }],
    ['headers beyond measure', { answer: `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(100_000)}\r\n\r\n` }],
    [
      'a 200 with a page behind it, as if it were the endpoint’s',
      { answer: 'HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n' },
    ],
    ['nothing, and closes', { answer: '' }],
    ['a reset', 'reset'],
  ] as const satisfies [string, ProxyBehaviour][])('that answers with %s', async ([, behaviour]) => {
    const endpoint = await openEndpoint(ok)
    const proxy = await openProxy()
    proxy.behaviour = behaviour
    const client = openClient(proxy.url())
    for (const protocol of ['http', 'https'])
      expect(await client.send(post(`${protocol}://${NAME}:${endpoint.port}/`), GENEROUS)).toEqual(
        failed('proxy'),
      )
    expect(endpoint.sockets).toHaveLength(0)
    await eventually(() => expect(proxy.openSockets).toBe(0))
  })

  test.for([
    ['hangs: the connection’s deadline', 'hang', 'http', 'proxy', 100, 20_000],
    ['hangs: the attempt’s deadline', 'hang', 'http', 'timeout', 20_000, 100],
    ['makes a tunnel that hangs, in the handshake', 'dead tunnel', 'https', 'connect_timeout', 100, 20_000],
    ['makes a tunnel that hangs, before the answer', 'dead tunnel', 'http', 'timeout', 20_000, 100],
  ] as const satisfies [string, ProxyBehaviour, string, string, number, number][])(
    'that %s',
    async ([, behaviour, protocol, error, connectTimeoutMs, timeoutMs]) => {
      const proxy = await openProxy()
      proxy.behaviour = behaviour
      const client = openClient(proxy.url(), { connectTimeoutMs })
      const startedAt = performance.now()
      expect(await client.send(post(`${protocol}://${NAME}/`), { timeoutMs })).toEqual(failed(error))
      expect(performance.now() - startedAt).toBeLessThan(1100)
      await client[Symbol.asyncDispose]()
      await eventually(() => expect(proxy.openSockets).toBe(0))
    },
  )

  test('that dies in the middle of an exchange, or of the handshake', async () => {
    const endpoint = await openEndpoint(() => proxy.cut())
    const proxy = await openProxy()
    const client = openClient(proxy.url())
    expect(await client.send(post(`http://${NAME}:${endpoint.port}/`), GENEROUS)).toEqual(failed('reset'))
    proxy.behaviour = 'dead tunnel'
    const handshaking = client.send(post(`https://${NAME}:${endpoint.port}/`), GENEROUS)
    await eventually(() => expect(proxy.requests).toHaveLength(2))
    proxy.cut()
    expect(await handshaking).toEqual(failed('reset'))
  })

  test('that is being asked when the client is closed is left alone', async () => {
    const proxy = await openProxy()
    proxy.behaviour = 'hang'
    const client = openClient(proxy.url())
    const outcome = client.send(post(`http://${NAME}/`), GENEROUS)
    await eventually(() => expect(proxy.requests).toHaveLength(1))
    await client[Symbol.asyncDispose]()
    expect(await outcome).toEqual(failed('aborted'))
    await eventually(() => expect(proxy.openSockets).toBe(0))
  })
})

describe('the sidecar', () => {
  test('delivers through it, says at the start that it resolves names, and shows no password', async ({
    db,
    receiver,
    sidecarProcess,
  }) => {
    const proxy = await openProxy({ credentials: 'user:canary-of-the-proxy' })
    // Whoever obeyed the variables that others obey would end at a port where nobody listens.
    const elsewhere = 'http://127.0.0.1:9'
    const sidecar = await sidecarProcess({
      WALHOOK_PROXY: proxy.url('user:canary-of-the-proxy'),
      WALHOOK_LOG_LEVEL: 'trace',
      ...Object.fromEntries(
        ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy', 'ALL_PROXY'].map((name) => [
          name,
          elsewhere,
        ]),
      ),
      NODE_USE_ENV_PROXY: '1',
    })
    const { port } = new URL(receiver.url())
    await subscribe(db, `http://${NAME}:${port}/hook`)
    await publish(db)
    expect(await untilSettled(db, 1)).toMatchObject([{ state: 'delivered', attempts: 1 }])
    expect(proxy.requests.map(({ target }) => target)).toEqual([`${NAME}:${port}`])
    expect(sidecar.logs.all('proxy.resolves_names')).toMatchObject([{ level: 'warn', proxy: proxy.url() }])
    expect(sidecar.logs.all('sidecar.starting')).toMatchObject([{ proxy: proxy.url() }])
    const output = sidecar.logs
      .all()
      .map((line) => JSON.stringify(line))
      .join('\n')
    expect(output).not.toContain('canary-of-the-proxy')
    expect(output).not.toContain(btoa('user:canary-of-the-proxy'))
  })

  test('tries again where the proxy refuses, and the endpoint’s delivery is not dead for it', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const proxy = await openProxy()
    proxy.behaviour = { answer: 'HTTP/1.1 410 Gone\r\n\r\n' }
    await sidecar({ WALHOOK_PROXY: proxy.url() })
    const { port } = new URL(receiver.url())
    await subscribe(db, `http://${NAME}:${port}/hook`, {
      retrySchedule: ['100ms', '100ms', '100ms', '100ms', '100ms', '100ms'],
      retryOn: 'transient',
    })
    await publish(db)
    await eventually(async () =>
      expect(await deliveries(db)).toMatchObject([
        { state: 'pending', last_error: 'proxy', last_status: null },
      ]),
    )
    proxy.behaviour = 'tunnel'
    expect(await untilSettled(db, 1)).toMatchObject([{ state: 'delivered' }])
    expect(receiver.requests()).toHaveLength(1)
  })

  test('says nothing of a proxy where there is none', async ({ sidecar }) => {
    const { logs } = await sidecar()
    expect(logs.all('proxy.resolves_names')).toEqual([])
    expect(logs.all('sidecar.starting')).toMatchObject([{ proxy: 'none' }])
  })
})
