/** What the other tests stand on: a receiver, a proxy or a wait that lies would let them pass. */
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { Webhook } from 'standardwebhooks'
import { eventually } from '../support/eventually.ts'
import { CANARY, confide, confideEnvironment, confideSecretsIn, leaksIn } from '../support/leak-watch.ts'
import { hang, Receiver, reset, respond } from '../support/receiver.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

/** A request whose connection is not kept: the next one cannot meet what this one left. */
function post(url: string, body = '', headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    body,
    headers: { ...headers, connection: 'close' },
    signal: AbortSignal.timeout(5000),
  })
}

test('eventually waits until the assertion holds, and gives what it returned', async () => {
  let tries = 0
  const value = await eventually(() => {
    if (++tries < 3) throw new Error('not yet')
    return tries
  })
  expect(value).toBe(3)
})

test('eventually gives up with the last reason, also where a try never ends', async () => {
  const refuses = eventually(() => Promise.reject(new Error('no such row')), { withinMs: 50 })
  await expect(refuses).rejects.toThrow('not so within 50 ms: no such row')
  const never = eventually(() => new Promise<void>(() => undefined), { withinMs: 50 })
  await expect(never).rejects.toThrow('the first try did not end')
})

test('a receiver answers by its script, then repeats the last line, and remembers the bytes', async () => {
  await using receiver = await Receiver.start()
  receiver.on('/a', [respond(500, { body: 'no', headers: { 'retry-after': '1' } }), respond(202)])
  const first = await post(receiver.url('/a'), '{"é": 1 }', { 'webhook-id': 'x' })
  expect([first.status, first.headers.get('retry-after'), await first.text()]).toEqual([500, '1', 'no'])
  expect((await post(receiver.url('/a'))).status).toBe(202)
  expect((await post(receiver.url('/a'))).status).toBe(202)
  expect((await post(receiver.url('/elsewhere'))).status).toBe(204)
  const [request] = await receiver.waitFor(3, { path: '/a' })
  expect(request).toMatchObject({ method: 'POST', id: 'x', number: 1 })
  expect(request?.body).toEqual(Buffer.from('{"é": 1 }'))
})

test('a receiver that waits in vain says what it got', async () => {
  await using receiver = await Receiver.start()
  await post(receiver.url('/a'), '', { 'webhook-id': 'evt_1' })
  await expect(receiver.waitFor(2, { withinMs: 50 })).rejects.toThrow(
    /not 2 requests within 50 ms, but 1:\n {2}POST \/a evt_1/,
  )
})

test('a receiver tells a genuine signature from a forged one', async () => {
  await using receiver = await Receiver.start()
  receiver.verify('/signed', SECRET)
  const now = new Date()
  const signed = {
    'webhook-id': 'evt_1',
    'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
    'webhook-signature': new Webhook(SECRET).sign('evt_1', now, 'genuine'),
  }
  await post(receiver.url('/signed'), 'genuine', signed)
  await post(receiver.url('/signed'), 'altered', signed)
  const [genuine, altered] = receiver.requests()
  expect(genuine?.forged).toBeUndefined()
  expect(altered?.forged).toContain('No matching signature')
})

test('a receiver can hang, reset, drip, flood, and speak something else than HTTP', async () => {
  await using receiver = await Receiver.start()
  receiver.on('/hang', [hang()])
  receiver.on('/reset', [reset(), reset('headers')])
  receiver.on('/drip', [{ kind: 'drip', bytes: 3, everyMs: 1 }])
  receiver.on('/flood', [{ kind: 'flood', bytes: 300_000 }])
  receiver.on('/raw', [{ kind: 'raw', bytes: 'gibberish\r\n\r\n' }])
  const abort = new AbortController()
  const hanging = fetch(receiver.url('/hang'), { signal: abort.signal })
  await receiver.waitFor(1, { path: '/hang' })
  abort.abort()
  await expect(hanging).rejects.toThrow('aborted')
  await expect(post(receiver.url('/reset'))).rejects.toThrow('fetch failed')
  const broken = await post(receiver.url('/reset'))
  expect(broken.status).toBe(200)
  await expect(broken.text()).rejects.toThrow('terminated')
  expect(await (await post(receiver.url('/drip'))).text()).toBe('...')
  expect((await (await post(receiver.url('/flood'))).arrayBuffer()).byteLength).toBe(300_000)
  await expect(post(receiver.url('/raw'))).rejects.toThrow('fetch failed')
})

test('a proxy forwards, cuts, and serves again', async () => {
  await using receiver = await Receiver.start()
  await using proxy = await TcpProxy.before(receiver.url())
  const release = Promise.withResolvers<void>()
  receiver.on('/held', [{ kind: 'hold', until: release.promise, reply: respond(200) }])
  expect((await post(proxy.through(receiver.url('/a')))).status).toBe(204)
  const held = post(proxy.through(receiver.url('/held')))
  await receiver.waitFor(1, { path: '/held' })
  proxy.cut()
  await expect(held).rejects.toThrow('fetch failed')
  release.resolve()
  expect((await post(proxy.through(receiver.url('/b')))).status).toBe(204)
  await eventually(() => expect(proxy.connections).toBe(0))
})

test('a black hole swallows nothing: what heals goes on, in order', async () => {
  await using receiver = await Receiver.start()
  await using proxy = await TcpProxy.before(receiver.url())
  proxy.blackhole()
  const stuck = post(proxy.through(receiver.url('/a')), 'x'.repeat(1_000_000))
  await expect(receiver.waitFor(1, { withinMs: 100 })).rejects.toThrow('but 0')
  proxy.heal()
  expect((await stuck).status).toBe(204)
  expect(receiver.requests()[0]?.body.length).toBe(1_000_000)
})

test('a black hole hides that the other side left, until it heals', async () => {
  await using receiver = await Receiver.start()
  await using proxy = await TcpProxy.before(receiver.url())
  const client = connect(proxy.port, '127.0.0.1')
  await eventually(() => expect(receiver.connections).toBe(1))
  proxy.blackhole()
  let closed = false
  client.on('close', () => (closed = true)).on('error', () => undefined)
  await receiver[Symbol.asyncDispose]()
  await expect(eventually(() => expect(closed).toBe(true), { withinMs: 100 })).rejects.toThrow('not so')
  proxy.heal()
  await eventually(() => expect(closed).toBe(true))
})

test('a slow proxy delays every piece and keeps the order', async () => {
  await using receiver = await Receiver.start()
  await using proxy = await TcpProxy.before(receiver.url())
  proxy.delay(80)
  const body = Array.from({ length: 50_000 }, (_, i) => i).join(',')
  const startedAtMs = performance.now()
  await post(proxy.through(receiver.url('/a')), body)
  expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(155)
  expect(receiver.requests()[0]?.body.toString()).toBe(body)
})

test('the search for leaks finds each secret however it is spelt, and does not tell it', () => {
  const password = `it's "secret" \\ 100%`
  confideEnvironment({
    DATABASE_URL: `postgres://walhook:${encodeURIComponent(password)}@127.0.0.1/x`,
    WALHOOK_ENCRYPTION_KEY: 'bmV3LWtleS1uZXcta2V5,b2xkLWtleS1vbGQta2V5',
    WALHOOK_SLOT: 'not_a_secret_at_all',
  })
  confide('an-admin-token', 'WALHOOK_ADMIN_TOKEN')
  confideSecretsIn(`id 1\nsecret  ${SECRET}`)
  const bytes = Buffer.from(SECRET.slice('whsec_'.length), 'base64')
  const leaking = [
    password,
    JSON.stringify(password),
    encodeURIComponent(password),
    'key bmV3LWtleS1uZXcta2V5',
    'key b2xkLWtleS1vbGQta2V5',
    `Authorization: ${Buffer.from('an-admin-token').toString('base64')}`,
    'authorization: Bearer some.other-token',
    SECRET.slice('whsec_'.length),
    bytes.toString('hex'),
    'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD',
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    'connect to postgres://a:b@host/',
    `{"msg":"x.y","payload":"${CANARY}"}`,
  ]
  for (const text of leaking) {
    const told = leaksIn(`first line\n${text}\nlast`)
    expect(told, text).not.toEqual([])
    for (const each of told) expect(each).toMatch(/ in line 2(, x\.y)?$/)
    expect(told.join('\n')).not.toContain(text)
  }
  const harmless =
    '{"msg":"sidecar.starting","slot":"not_a_secret_at_all","url":"postgres://user:password@host/db whsec_…"}'
  expect(leaksIn(`${harmless}\nSECRET`)).toEqual([])
})
