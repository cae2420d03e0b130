/**
 * Client certificates and authorities of a subscription's own: presented to its endpoint, trusted for it, and never for or with
 * another's. The endpoints listen on 127.0.0.1, for which an authority that no system knows has signed.
 */
import { setImmediate } from 'node:timers/promises'
import type { TlsOptions } from 'node:tls'
import { getCACertificates, setDefaultCACertificates, TLSSocket } from 'node:tls'
import { expect, onTestFinished } from 'vitest'
import { parseNetwork } from '../../src/core/address-policy.ts'
import { readTlsIdentity, type TlsIdentity } from '../../src/core/access.ts'
import { parseProxy } from '../../src/core/egress-proxy.ts'
import { WebhookClient } from '../../src/delivery/webhook-client.ts'
import { certificate, client, subscribeWith } from '../support/access.ts'
import { ConnectProxy } from '../support/connect-proxy.ts'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { type Answer, RawEndpoint, response } from '../support/raw-endpoint.ts'
import { attemptsOf, deliveries, publish, untilSettled } from '../support/sql-surface.ts'

const CA = certificate('authority.pem')
const SERVER = { cert: certificate('proxy.pem'), key: certificate('proxy.key') }
const MUTUAL: TlsOptions = {
  ...SERVER,
  ca: certificate('client-authority.pem'),
  requestCert: true,
  rejectUnauthorized: false,
}

/** Says whose certificate it was shown, and lets nobody else in. */
const whoIsIt: Answer = (socket) => {
  const who = socket instanceof TLSSocket && socket.authorized ? socket.getPeerCertificate().subject.CN : ''
  socket.write(response(who === '' ? 403 : 200, String(who)))
}

async function endpoint(answer: Answer = whoIsIt, tls: TlsOptions = MUTUAL): Promise<RawEndpoint> {
  const opened = await RawEndpoint.open(answer, { tls })
  onTestFinished(() => opened[Symbol.asyncDispose]())
  return opened
}

const urlOf = ({ port }: RawEndpoint): string => `https://127.0.0.1:${port}/hook`

function identity(tls: object): TlsIdentity {
  const read = readTlsIdentity(JSON.stringify(tls), Date.now())
  if (read.kind === 'fault') throw new Error(read.fault)
  return read.value
}

function openClient(): WebhookClient {
  const allowNetworks = [parseNetwork('127.0.0.1/32') ?? []].flat()
  const opened = new WebhookClient({ policy: { allowHttp: true, allowNetworks } })
  onTestFinished(() => opened[Symbol.asyncDispose]())
  return opened
}

const request = (url: string) => ({ url, method: 'POST' as const, headers: {}, body: Buffer.from('{}') })

eachPlugin(() => {
  test('each subscription shows its own certificate, and one without shows none', async ({ db, sidecar }) => {
    await sidecar()
    const partner = await endpoint()
    const wishes = [{ ca: CA, ...client('client-a') }, { ca: CA, ...client('client-b') }, { ca: CA }]
    for (const tls of wishes) await subscribeWith(db, urlOf(partner), { tls, retrySchedule: [] })
    const events = await Promise.all([publish(db), publish(db), publish(db)])
    await untilSettled(db, 9)
    for (const event of events)
      expect(
        (await attemptsOf(db, event)).map((made) => `${made.response_status} ${made.response_body}`).sort(),
      ).toEqual(['200 client-a', '200 client-b', '403 '])
  })
})

test('an authority is trusted by the subscription that brings it, for the name that it vouches for, and by no other', async ({
  db,
  sidecar,
}) => {
  await sidecar()
  const ok: Answer = (socket) => socket.write(response(200, 'ok'))
  const [good, otherName] = [
    await endpoint(ok, SERVER),
    await endpoint(ok, { cert: certificate('endpoint.pem'), key: certificate('endpoint.key') }),
  ]
  const trusting = await subscribeWith(db, urlOf(good), { tls: { ca: CA }, retrySchedule: [] })
  const another = await subscribeWith(db, urlOf(good), {
    tls: { ca: certificate('client-authority.pem') },
    retrySchedule: [],
  })
  const none = await subscribeWith(db, urlOf(good), { retrySchedule: [] })
  const misled = await subscribeWith(db, urlOf(otherName), { tls: { ca: CA }, retrySchedule: [] })
  await publish(db)
  await untilSettled(db, 4)
  const outcome = async (of: { readonly id: string }): Promise<unknown> =>
    (await deliveries(db, of)).map(({ state, last_error }) => [state, last_error])
  expect(await outcome(trusting)).toEqual([['delivered', null]])
  expect(await outcome(another)).toEqual([['dead', 'tls']])
  expect(await outcome(none)).toEqual([['dead', 'tls']])
  expect(await outcome(misled)).toEqual([['dead', 'tls']])
})

test.for([
  [
    'that has expired',
    { cert: certificate('expired.pem'), key: certificate('expired.key') },
    'certificate_expired',
  ],
  [
    'with the key of another',
    { ...client('client-a'), key: certificate('client-b.key') },
    'key_of_another_certificate',
  ],
  [
    'that is PEM around nothing',
    {
      ...client('client-a'),
      cert: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    },
    'certificate_unreadable',
  ],
] as const)(
  'a certificate %s is not used: its deliveries wait, and go once there is a good one',
  async ([, tls, reason], { db, sidecar }) => {
    const { logs } = await sidecar()
    const partner = await endpoint()
    const { id } = await subscribeWith(db, urlOf(partner), { tls: { ca: CA, ...tls } })
    await publish(db)
    expect(await logs.waitFor('secret.unreadable')).toMatchObject({
      level: 'error',
      subscription_id: id,
      column: 'tls',
      reason,
    })
    await eventually(async () =>
      expect(await deliveries(db)).toMatchObject([{ state: 'pending', waits_as: 'waiting', attempts: 0 }]),
    )
    expect(partner.sockets).toHaveLength(0)
    await db.query('update walhook.subscriptions set tls = $1', [
      JSON.stringify({ ca: CA, ...client('client-a') }),
    ])
    await untilSettled(db, 1, { withinMs: 20_000 })
    expect(partner.requests).toHaveLength(1)
  },
)

test('what OpenSSL thinks too weak fails as tls', async () => {
  const partner = await endpoint()
  const weak = identity({ ca: CA, cert: certificate('weak.pem'), key: certificate('weak.key') })
  expect(await openClient().send(request(urlOf(partner)), { timeoutMs: 5_000, tls: weak })).toEqual({
    kind: 'failed',
    error: 'tls',
  })
  expect(partner.sockets).toHaveLength(0)
})

test('no connection carries requests of two identities, and one serves who has the same', async () => {
  const partner = await endpoint()
  const sender = openClient()
  const [a, sameAsA, b] = [
    identity({ ca: CA, ...client('client-a') }),
    identity({ ca: CA, ...client('client-a') }),
    identity({ ca: CA, ...client('client-b') }),
  ]
  const answers: unknown[] = []
  for (const tls of [a, b, sameAsA, b, a, identity({ ca: CA })]) {
    answers.push(await sender.send(request(urlOf(partner)), { timeoutMs: 5_000, tls }))
    // undici has the connection back a turn after the answer.
    await setImmediate()
    await setImmediate()
  }
  expect(answers).toMatchObject(
    ['client-a', 'client-b', 'client-a', 'client-b', 'client-a', ''].map((body) => ({ body })),
  )
  expect(partner.requests.map(({ connection }) => connection)).toEqual([1, 2, 1, 2, 1, 3])
})

test('connections of more identities than there is room for are closed, those that rested longest first', async () => {
  const partner = await endpoint()
  const sender = openClient()
  // The system trusts the endpoint here: an identity with an authority takes 10 ms.
  const trusted = getCACertificates('default')
  onTestFinished(() => setDefaultCACertificates(trusted))
  setDefaultCACertificates([...trusted, CA])
  const { cert, key } = client('client-a')
  const one = (n: number): TlsIdentity => identity({ cert: `${cert}\n# ${n}`, key })
  const send = (n: number): Promise<unknown> =>
    sender.send(request(urlOf(partner)), { timeoutMs: 5_000, tls: one(n) })
  for (let n = 0; n <= 128; n++) await send(n)
  expect(partner.sockets).toHaveLength(129)
  await eventually(() => expect(partner.sockets[0]?.closed).toBe(true), { withinMs: 2_000 })
  expect(await send(0)).toMatchObject({ body: 'client-a' })
  expect(partner.requests.at(-1)?.connection).toBe(130)
})

test.for(['TLSv1.2', 'TLSv1.3'] as const)(
  'no %s session of one identity is resumed by another, nor by whoever has none',
  async (maxVersion) => {
    const seen: (readonly [string, boolean])[] = []
    const partner = await endpoint(
      (socket) => {
        if (!(socket instanceof TLSSocket)) return
        seen.push([String(socket.getPeerCertificate().subject?.CN ?? ''), socket.isSessionReused()])
        socket.end(response(200, 'ok', ['connection: close']))
      },
      { ...MUTUAL, maxVersion },
    )
    const sender = openClient()
    const [a, b, nobody] = [
      identity({ ca: CA, ...client('client-a') }),
      identity({ ca: CA, ...client('client-b') }),
      identity({ ca: CA }),
    ]
    for (const tls of [a, a, b, nobody, b, undefined])
      await sender.send(request(urlOf(partner)), { timeoutMs: 5_000, tls })
    // The last, who trusts the system alone, does not get that far.
    expect(seen).toEqual([
      ['client-a', false],
      ['client-a', true],
      ['client-b', false],
      ['', false],
      ['client-b', true],
    ])
  },
)

test('through the operator’s proxy the endpoint sees the certificate', async () => {
  const partner = await endpoint()
  await using proxy = await ConnectProxy.start()
  const allowNetworks = [parseNetwork('127.0.0.1/32') ?? []].flat()
  await using sender = new WebhookClient({
    policy: { allowHttp: true, allowNetworks },
    proxy: parseProxy(proxy.url()),
  })
  const tls = identity({ ca: CA, ...client('client-a') })
  expect(await sender.send(request(urlOf(partner)), { timeoutMs: 5_000, tls })).toMatchObject({
    status: 200,
    body: 'client-a',
  })
})
