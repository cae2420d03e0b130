/**
 * How names are looked up, against a real name server: what is asked, what is remembered, and that names whose servers do
 * not answer keep no other name waiting.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseNetwork } from '../../src/core/address-policy.ts'
import { NameCache, type Resolve } from '../../src/delivery/name-cache.ts'
import { SystemNames } from '../../src/delivery/system-names.ts'
import { WebhookClient } from '../../src/delivery/webhook-client.ts'
import { NameServer } from '../support/name-server.ts'
import { RawEndpoint, response } from '../support/raw-endpoint.ts'

/** Far more names than the process has threads. */
const DEAD_NAMES = 200

interface Host {
  readonly server: NameServer
  readonly names: SystemNames
  readonly write: (file: 'hosts' | 'resolv.conf', text: string) => Promise<void>
}

/** A host with files of its own, whose name server is the test's. */
async function openHost(resolvConf = '', hosts = ''): Promise<Host> {
  const folder = await mkdtemp(path.join(tmpdir(), 'walhook-names-'))
  const write = (file: string, text: string): Promise<void> => writeFile(path.join(folder, file), text)
  await write('resolv.conf', resolvConf)
  await write('hosts', hosts)
  const server = await NameServer.start()
  const names = new SystemNames({
    hostsFile: path.join(folder, 'hosts'),
    resolverFile: path.join(folder, 'resolv.conf'),
    servers: [server.address],
  })
  onTestFinished(async () => {
    names[Symbol.dispose]()
    await server[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })
  return { server, names, write }
}

const addressesOf = async (resolve: Resolve, name: string): Promise<string[]> =>
  (await resolve(name)).map(({ address }) => address)

describe('a name', () => {
  test('has the addresses of both families, and they may be kept as long as DNS says', async () => {
    const { server, names } = await openHost()
    server.on('hooks.example', ['2606:4700::1111', '8.8.8.8', '8.8.4.4'], 7)
    expect(await names.resolve('hooks.example')).toEqual([
      { address: '8.8.8.8', family: 4, ttlMs: 7000 },
      { address: '8.8.4.4', family: 4, ttlMs: 7000 },
      { address: '2606:4700::1111', family: 6, ttlMs: 7000 },
    ])
  })

  test('of one family alone is found', async () => {
    const { server, names } = await openHost()
    server.on('four.example', ['8.8.8.8'])
    server.on('six.example', ['2606:4700::1111'])
    expect(await addressesOf(names.resolve, 'four.example')).toEqual(['8.8.8.8'])
    expect(await addressesOf(names.resolve, 'six.example')).toEqual(['2606:4700::1111'])
  })

  test.for(['silence', 'failure', 'absent'] as const)(
    'is found by one family where the other meets %s',
    async (answer) => {
      const { server, names } = await openHost()
      server.on('hooks.example', ['8.8.8.8'])
      server.on('hooks.example AAAA', answer)
      const askedAt = performance.now()
      expect(await addressesOf(names.resolve, 'hooks.example')).toEqual(['8.8.8.8'])
      // A silent server is asked three times, for 7 s in all.
      expect(performance.now() - askedAt).toBeLessThan(3000)
    },
  )

  test('that the hosts file has is not asked for, from the moment that it is written there', async () => {
    const { server, names, write } = await openHost()
    server.on('hooks.example', ['8.8.8.8'])
    expect(await addressesOf(names.resolve, 'hooks.example')).toEqual(['8.8.8.8'])
    await write('hosts', '10.0.0.5 hooks.example\n')
    expect(await addressesOf(names.resolve, 'hooks.example')).toEqual(['10.0.0.5'])
    expect(server.questions).toHaveLength(2)
  })

  test('that is short is looked for below the search domains, as in a cluster', async () => {
    const { server, names } = await openHost(
      'search shop.svc.cluster.local svc.cluster.local\noptions ndots:5',
    )
    server.on('receiver.shop.svc.cluster.local', ['10.0.0.9'])
    // The public name of the same letters is not the one that is meant.
    server.on('receiver.shop', ['8.8.8.8'])
    expect(await addressesOf(names.resolve, 'receiver')).toEqual(['10.0.0.9'])
    expect(await addressesOf(names.resolve, 'receiver.shop')).toEqual(['10.0.0.9'])
    expect(await addressesOf(names.resolve, 'receiver.shop.')).toEqual(['8.8.8.8'])
  })

  test('is found past a search domain whose server fails, and is not said to be absent because of it', async () => {
    const { server, names } = await openHost('search broken.example fine.example')
    server.on('a.broken.example', 'failure')
    server.on('b.broken.example', 'failure')
    server.on('a.fine.example', ['10.0.0.9'])
    expect(await addressesOf(names.resolve, 'a')).toEqual(['10.0.0.9'])
    await expect(names.resolve('b')).rejects.toMatchObject({ code: 'ESERVFAIL' })
  })

  test('follows a search list that changes', async () => {
    const { server, names, write } = await openHost('search old.example')
    server.on('hooks.old.example', ['10.0.0.1'])
    server.on('hooks.new.example', ['10.0.0.2'])
    expect(await addressesOf(names.resolve, 'hooks')).toEqual(['10.0.0.1'])
    await write('resolv.conf', 'search new.example')
    expect(await addressesOf(names.resolve, 'hooks')).toEqual(['10.0.0.2'])
  })

  test('that DNS does not have is asked of the C library, which may know it from elsewhere', async () => {
    const { server, names } = await openHost()
    // Not in this host's files, but in those that the C library reads.
    expect(await addressesOf(names.resolve, 'localhost')).toContain('127.0.0.1')
    expect(server.questions).toContain('localhost A')
    await expect(names.resolve('nobody.invalid')).rejects.toMatchObject({ code: 'ENOTFOUND' })
  })
})

describe('what was answered', () => {
  function cacheOver(...answers: readonly (readonly [address: string, ttlMs?: number] | Error)[]): {
    resolve: Resolve
    asked: () => number
    pass: (ms: number) => void
  } {
    let asked = 0
    let now = 0
    const cache = new NameCache({
      now: () => now,
      resolve: async () => {
        const answer = answers[Math.min(asked++, answers.length - 1)] ?? new Error('no answer')
        if (answer instanceof Error) throw answer
        const [address, ttlMs] = answer
        return [{ address, family: 4, ...(ttlMs !== undefined && { ttlMs }) }]
      },
    })
    return { resolve: cache.resolve, asked: () => asked, pass: (ms) => (now += ms) }
  }

  test('is remembered for as long as it may be, and asked for anew after that', async () => {
    const { resolve, asked, pass } = cacheOver(['8.8.8.8', 5000], ['8.8.4.4', 5000])
    expect(await addressesOf(resolve, 'hooks.example')).toEqual(['8.8.8.8'])
    pass(4999)
    expect(await addressesOf(resolve, 'hooks.example')).toEqual(['8.8.8.8'])
    expect(asked()).toBe(1)
    pass(1)
    expect(await addressesOf(resolve, 'hooks.example')).toEqual(['8.8.4.4'])
  })

  test('for a day is forgotten after half a minute', async () => {
    const { resolve, pass } = cacheOver(['8.8.8.8', 86_400_000], ['8.8.4.4', 86_400_000])
    await resolve('hooks.example')
    pass(29_999)
    expect(await addressesOf(resolve, 'hooks.example')).toEqual(['8.8.8.8'])
    pass(1)
    expect(await addressesOf(resolve, 'hooks.example')).toEqual(['8.8.4.4'])
  })

  test.for([[['8.8.8.8', 0]], [['8.8.8.8']]] as const)(
    'without time to live is not remembered',
    async ([answer]) => {
      const { resolve, asked } = cacheOver(answer)
      await resolve('hooks.example')
      await resolve('hooks.example')
      expect(asked()).toBe(2)
    },
  )

  test('with a failure holds for a second, and a name that comes back is found', async () => {
    const { resolve, asked, pass } = cacheOver(new Error('no'), ['8.8.8.8'])
    await expect(resolve('hooks.example')).rejects.toThrow('no')
    pass(999)
    await expect(resolve('hooks.example')).rejects.toThrow('no')
    expect(asked()).toBe(1)
    pass(1)
    expect(await addressesOf(resolve, 'hooks.example')).toEqual(['8.8.8.8'])
  })

  test('without any address holds for a second too', async () => {
    let asked = 0
    let now = 0
    const cache = new NameCache({ now: () => now, resolve: async () => (asked++, []) })
    expect(await cache.resolve('hooks.example')).toEqual([])
    now = 999
    await cache.resolve('hooks.example')
    expect(asked).toBe(1)
    now = 1000
    await cache.resolve('hooks.example')
    expect(asked).toBe(2)
  })

  test('is kept of the last ten thousand names', async () => {
    const { resolve, asked } = cacheOver(['8.8.8.8', 5000])
    for (let n = 0; n <= 10_000; n++) await resolve(`${n}.example`)
    await resolve('10000.example')
    expect(asked()).toBe(10_001)
    await resolve('0.example')
    expect(asked()).toBe(10_002)
  })
})

describe('names whose servers do not answer', () => {
  function clientOf(names: SystemNames, connectTimeoutMs?: number): WebhookClient {
    const network = parseNetwork('127.0.0.1/32')
    const client = new WebhookClient({
      policy: { allowHttp: true, allowNetworks: network === undefined ? [] : [network] },
      resolve: names.resolve,
      ...(connectTimeoutMs !== undefined && { connectTimeoutMs }),
    })
    onTestFinished(() => client[Symbol.asyncDispose]())
    return client
  }
  const post = (url: string) => ({ url, method: 'POST' as const, headers: {}, body: Buffer.from('{}') })

  test('delay no other, and fail by the connection’s deadline', async () => {
    const { server, names } = await openHost()
    const endpoint = await RawEndpoint.open((socket) => socket.end(response(200, '', ['connection: close'])))
    onTestFinished(() => endpoint[Symbol.asyncDispose]())
    server.on('healthy.example', ['127.0.0.1'])
    const connectTimeoutMs = 2000
    const client = clientOf(names, connectTimeoutMs)
    const startedAt = performance.now()
    const hanging = Array.from({ length: DEAD_NAMES }, (_, n) => {
      server.on(`${n}.dead.example`, 'silence')
      return client.send(post(`http://${n}.dead.example/`), { timeoutMs: 20_000 })
    })
    const latenciesMs: number[] = []
    for (let n = 0; n < 50; n++) {
      const sentAt = performance.now()
      const outcome = await client.send(post(`http://healthy.example:${endpoint.port}/`), {
        timeoutMs: 20_000,
      })
      expect(outcome).toMatchObject({ status: 200 })
      latenciesMs.push(performance.now() - sentAt)
    }
    // A thread for each would have held the first of these up until the dead names had failed.
    expect(performance.now() - startedAt).toBeLessThan(connectTimeoutMs)
    expect(Math.max(...latenciesMs)).toBeLessThan(connectTimeoutMs / 2)
    expect(await Promise.all(hanging)).toEqual(
      Array(DEAD_NAMES).fill({ kind: 'failed', error: 'connect_timeout' }),
    )
    expect(performance.now() - startedAt).toBeLessThan(connectTimeoutMs + 1000)
  })

  test('are found when they answer again', async () => {
    const { server, names } = await openHost()
    const endpoint = await RawEndpoint.open((socket) => socket.write(response(200)))
    onTestFinished(() => endpoint[Symbol.asyncDispose]())
    server.on('hooks.example', 'failure')
    const client = clientOf(names)
    const url = `http://hooks.example:${endpoint.port}/`
    expect(await client.send(post(url), { timeoutMs: 20_000 })).toEqual({ kind: 'failed', error: 'dns' })
    server.on('hooks.example', ['127.0.0.1'])
    await expect
      .poll(() => client.send(post(url), { timeoutMs: 20_000 }), { timeout: 10_000 })
      .toMatchObject({ status: 200 })
  })
})
