/** What arrives verifies by each scheme, with what its users verify with: libraries that are not ours, and openssl. */
import { execFile } from 'node:child_process'
import { createHmac, createPublicKey, randomBytes, verify as verifyBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { verify as githubVerifies } from '@octokit/webhooks-methods'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import Stripe from 'stripe'
import { Webhook as SvixWebhook } from 'svix'
import { expect } from 'vitest'
import { SIGNATURE_SCHEMES } from '../../src/core/signature.ts'
import { walhookHere as walhook } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { eachPlugin, test } from '../support/fixtures.ts'
import { confide } from '../support/leak-watch.ts'
import type { ReceivedRequest } from '../support/receiver.ts'
import { publish, untilSettled } from '../support/sql-surface.ts'
import { subscribeWith } from '../support/subscribe-with.ts'
import type { TestDatabase } from '../support/test-database.ts'

const run = promisify(execFile)
const WHSEC = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
/** What a receiver of another sender may have for a secret. */
const TEXT = 'correct horse: bättery staple'
const PAYLOAD = '{ "grüße": "🎉",  "n": 1e400 }'

const { webhooks: stripe } = new Stripe('sk_test_of_nobody')
const header = (request: ReceivedRequest, name: string): string => String(request.headers[name])

/** Standard Webhooks verifiers, which take the event's headers by these names. */
function standardVerifies(request: ReceivedRequest, secret: string, prefix = 'webhook-'): void {
  const headers = Object.fromEntries(
    ['id', 'timestamp', 'signature'].map((name) => [`webhook-${name}`, header(request, prefix + name)]),
  )
  new StandardWebhook(secret).verify(request.body.toString(), headers, { jsonParse: false })
  new SvixWebhook(secret).verify(request.body.toString(), headers)
}

/** By the published rule: Ed25519 over id, timestamp and body, with the public key alone. */
async function ed25519Verifies(request: ReceivedRequest, publicKey: string): Promise<boolean> {
  const base64 = /(?:^| )v1a,(\S+)/.exec(header(request, 'webhook-signature'))?.[1] ?? ''
  const signature = Buffer.from(base64, 'base64')
  const signed = Buffer.concat([
    Buffer.from(`${request.id}.${header(request, 'webhook-timestamp')}.`),
    request.body,
  ])
  const raw = Buffer.from(publicKey.replace(/^whpk_/, ''), 'base64')
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }
  const key = createPublicKey({ key: jwk, format: 'jwk' })
  const byNode = verifyBytes(null, signed, key, signature)
  expect(
    await opensslVerifies(key.export({ format: 'pem', type: 'spki' }).toString(), signed, signature),
  ).toBe(byNode)
  return byNode
}

async function opensslVerifies(pem: string, signed: Buffer, signature: Buffer): Promise<boolean> {
  const directory = await mkdtemp(path.join(tmpdir(), 'walhook-openssl-'))
  const file = (name: string): string => path.join(directory, name)
  try {
    await Promise.all([
      writeFile(file('key'), pem),
      writeFile(file('signed'), signed),
      writeFile(file('signature'), signature),
    ])
    const check = ['-verify', '-pubin', '-inkey', file('key'), '-rawin', '-in', file('signed')]
    const done = await run('openssl', ['pkeyutl', ...check, '-sigfile', file('signature')]).catch(
      (error: Error & { stdout?: string }) => error,
    )
    return done.stdout?.includes('Signature Verified Successfully') === true
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function publicKeyOf(db: TestDatabase, id: string): Promise<string> {
  return eventually(async () => {
    const [row] = await db.query<{ ed25519_public_key: string | null }>(
      'select ed25519_public_key from walhook.subscription_health where id = $1',
      [id],
    )
    if (row?.ed25519_public_key == null) throw new Error('it is not shown yet')
    return row.ed25519_public_key
  })
}

eachPlugin(() => {
  test('each scheme by itself verifies with the very text of the secret that its receiver has', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    for (const scheme of ['github', 'stripe', 'hex'])
      for (const [which, secret] of Object.entries({ text: TEXT, whsec: WHSEC }))
        await subscribeWith(db, receiver.url(`/${scheme}/${which}`), { signature: [scheme], secret })
    await subscribeWith(db, receiver.url('/none'), { signature: ['none'] })
    await publish(db, { payload: PAYLOAD })
    await untilSettled(db, 7)

    for (const [which, secret] of Object.entries({ text: TEXT, whsec: WHSEC })) {
      const [github, byStripe, hex] = ['github', 'stripe', 'hex'].map(
        (scheme) => receiver.requests(`/${scheme}/${which}`)[0],
      )
      if (github === undefined || byStripe === undefined || hex === undefined) throw new Error('none came')
      const body = github.body.toString()
      const signature = header(github, 'x-hub-signature-256')
      expect(await githubVerifies(secret, body, signature)).toBe(true)
      expect(await githubVerifies(secret, `${body} `, signature)).toBe(false)
      const stripeSignature = header(byStripe, 'stripe-signature')
      expect(stripe.constructEvent(byStripe.body, stripeSignature, secret)).toMatchObject({ id: byStripe.id })
      expect(() => stripe.constructEvent(`${body} `, stripeSignature, secret)).toThrow('No signatures found')
      const expected = createHmac('sha256', Buffer.from(secret)).update(hex.body).digest('hex')
      expect(header(hex, 'x-webhook-signature')).toBe(expected)
      for (const request of [github, byStripe, hex])
        expect(request.headers).not.toHaveProperty('webhook-signature')
    }
    const [unsigned] = receiver.requests('/none')
    expect(Object.keys(unsigned?.headers ?? {}).filter((name) => name.includes('signature'))).toEqual([])
    expect(unsigned?.headers).toHaveProperty('webhook-id')
  })

  test('several schemes sign the same request, each as if it were alone', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const { id } = await subscribeWith(db, receiver.url(), {
      signature: ['standard', 'standard-ed25519', 'github', 'stripe', 'hex'],
      signature_header: 'X-SmartDrop-Signature',
      secret: WHSEC,
    })
    await publish(db, { payload: PAYLOAD })
    const [request] = await receiver.waitFor(1)
    if (request === undefined) throw new Error('none came')
    const body = request.body.toString()
    standardVerifies(request, WHSEC)
    expect(await ed25519Verifies(request, await publicKeyOf(db, id))).toBe(true)
    expect(await githubVerifies(WHSEC, body, header(request, 'x-hub-signature-256'))).toBe(true)
    stripe.constructEvent(body, header(request, 'stripe-signature'), WHSEC)
    expect(header(request, 'x-smartdrop-signature')).toBe(
      createHmac('sha256', WHSEC).update(body).digest('hex'),
    )
    await untilSettled(db, 1)
  })

  test('while a rotation lasts, standard and Stripe verify with both secrets, and the others with the new one', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { id } = await subscribeWith(db, receiver.url('/texts'), {
      signature: ['github', 'stripe', 'hex'],
      secret: TEXT,
    })
    const fresh = 'another secret, that is new'
    confide(fresh, 'what a test brought to sign with')
    await db.query('select walhook.rotate_secret($1, $2)', [id, fresh])
    await sidecar()
    await publish(db)
    const [request] = await receiver.waitFor(1)
    if (request === undefined) throw new Error('none came')
    const body = request.body.toString()
    for (const secret of [TEXT, fresh])
      stripe.constructEvent(body, header(request, 'stripe-signature'), secret)
    expect(await githubVerifies(fresh, body, header(request, 'x-hub-signature-256'))).toBe(true)
    expect(await githubVerifies(TEXT, body, header(request, 'x-hub-signature-256'))).toBe(false)
    expect(header(request, 'x-webhook-signature')).toBe(
      createHmac('sha256', fresh).update(body).digest('hex'),
    )
    await untilSettled(db, 1)
  })

  test('an Ed25519 key is made where none is brought, its public key is shown, and sealed keys go on signing', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { logs } = await sidecar({ WALHOOK_ENCRYPTION_KEY: randomBytes(32).toString('base64') })
    const made = await subscribeWith(db, receiver.url('/made'), { signature: ['standard-ed25519'] })
    // RFC 8032, 7.1, test 1.
    const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')
    const publicKey = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex')
    const brought = await subscribeWith(db, receiver.url('/brought'), {
      signature: ['standard-ed25519'],
      ed25519_key: `whsk_${Buffer.concat([seed, publicKey]).toString('base64')}`,
    })
    expect(await publicKeyOf(db, brought.id)).toBe(`whpk_${publicKey.toString('base64')}`)
    const madeKey = await publicKeyOf(db, made.id)
    await eventually(async () => {
      const rows = await db.query<{ key: string }>('select ed25519_key as key from walhook.subscriptions')
      // Nothing of the key is shown in its place, not even its end.
      for (const { key } of rows) expect(key).toMatch(/^enc:v1:[0-9a-f]{8}::/)
    })

    await publish(db, { payload: PAYLOAD })
    await untilSettled(db, 2)
    const [byMade, byBrought] = [receiver.requests('/made')[0], receiver.requests('/brought')[0]]
    if (byMade === undefined || byBrought === undefined) throw new Error('none came')
    expect(await ed25519Verifies(byMade, madeKey)).toBe(true)
    expect(await ed25519Verifies(byMade, publicKey.toString('base64'))).toBe(false)
    expect(await ed25519Verifies(byBrought, publicKey.toString('base64'))).toBe(true)

    // Another key: its public half follows.
    await db.query('update walhook.subscriptions set ed25519_key = null where id = $1', [made.id])
    const another = await publicKeyOf(db, made.id)
    expect(another).not.toBe(madeKey)
    await eventually(async () => {
      await publish(db)
      const last = receiver.requests('/made').at(-1)
      if (last === undefined || !(await ed25519Verifies(last, another))) throw new Error('still the old key')
    })
    expect(logs.text()).not.toContain('whsk_')
  })

  /** The function that docs/signatures.md shows, as it stands there. */
  async function documentedVerifier(): Promise<DocumentedVerifier> {
    const page = await readFile(path.join(import.meta.dirname, '..', '..', 'docs', 'signatures.md'), 'utf8')
    const code = /^```js\n([^]*?)^```/m.exec(page)?.[1] ?? ''
    const url = `data:text/javascript,${encodeURIComponent(`${code}\nexport default isFromWalhook`)}`
    return ((await import(/* @vite-ignore */ url)) as { default: DocumentedVerifier }).default
  }
  type DocumentedVerifier = (publicKey: string, headers: ReceivedRequest['headers'], body: Buffer) => boolean

  test('the documented lines verify with the public key, beside a standard signature', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const { id } = await subscribeWith(db, receiver.url(), { signature: ['standard', 'standard-ed25519'] })
    const isFromWalhook = await documentedVerifier()
    const publicKey = await publicKeyOf(db, id)
    await publish(db, { payload: PAYLOAD })
    const [request] = await receiver.waitFor(1)
    if (request === undefined) throw new Error('none came')
    expect(isFromWalhook(publicKey, request.headers, request.body)).toBe(true)
    expect(isFromWalhook(publicKey, request.headers, Buffer.from('{}'))).toBe(false)
    expect(isFromWalhook(publicKey, { ...request.headers, 'webhook-id': 'x' }, request.body)).toBe(false)
    await untilSettled(db, 1)
  })

  test('with a prefix, names that a receiver knows can be kept', async ({ db, receiver, sidecar }) => {
    await sidecar()
    for (const [prefix, path_] of [
      ['X-SolFoundry-', '/solfoundry'],
      ['X-SentientFi-', '/sentientfi'],
    ] as const)
      await subscribeWith(db, receiver.url(path_), { header_prefix: prefix, secret: WHSEC })
    await subscribeWith(db, receiver.url('/smartdrop'), {
      header_prefix: 'X-SmartDrop-',
      signature: ['hex'],
      signature_header: 'X-SmartDrop-Signature',
      secret: TEXT,
    })
    const id = await publish(db)
    await untilSettled(db, 3)

    const [solfoundry] = receiver.requests('/solfoundry')
    const [sentientfi] = receiver.requests('/sentientfi')
    const [smartdrop] = receiver.requests('/smartdrop')
    expect(solfoundry?.headers).toMatchObject({
      'x-solfoundry-event': 'order.created',
      'x-solfoundry-event-type': 'order.created',
      'x-solfoundry-id': id,
      'x-solfoundry-attempt': '1',
    })
    expect(sentientfi?.headers).toMatchObject({ 'x-sentientfi-event-id': id })
    const names = Object.keys(solfoundry?.headers ?? {})
    expect(names.filter((name) => /^(webhook|walhook)-/.test(name))).toEqual([])
    if (solfoundry !== undefined) standardVerifies(solfoundry, WHSEC, 'x-solfoundry-')
    expect(smartdrop?.headers['x-smartdrop-signature']).toBe(
      createHmac('sha256', TEXT)
        .update(smartdrop?.body ?? '')
        .digest('hex'),
    )
  })

  test('a text that is a secret shows nothing of itself, plain or sealed, and its form is known all the same', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const { id } = await subscribeWith(db, receiver.url(), { signature: ['github'], secret: TEXT })
    const preview = async (): Promise<unknown> =>
      (
        await db.query<{ secret_preview: string }>('select secret_preview from walhook.subscription_health')
      )[0]
    expect(await preview()).toEqual({ secret_preview: '…' })
    await sidecar({ WALHOOK_ENCRYPTION_KEY: randomBytes(32).toString('base64') })
    await eventually(async () => {
      const [row] = await db.query<{ secret: string }>('select secret from walhook.subscriptions')
      expect(row?.secret).toMatch(/^enc:v1:[0-9a-f]{8}::/)
    })
    expect(await preview()).toEqual({ secret_preview: '…' })
    await publish(db)
    const [request] = await receiver.waitFor(1)
    if (request === undefined) throw new Error('none came')
    expect(await githubVerifies(TEXT, request.body.toString(), header(request, 'x-hub-signature-256'))).toBe(
      true,
    )
    await expect(
      db.query(`update walhook.subscriptions set signature = '{standard}' where id = $1`, [id]),
    ).rejects.toThrow('secret has to be whsec_ and the base64 of 24 to 64 bytes')
    // One that was sealed and is whsec_ may come to be used so.
    await db.query('select walhook.rotate_secret($1, $2, $3)', [id, WHSEC, '0'])
    await eventually(async () => {
      const [row] = await db.query<{ secret: string }>('select secret from walhook.subscriptions')
      expect(row?.secret).toMatch(/^enc:/)
    })
    await db.query(`update walhook.subscriptions set signature = '{standard,github}' where id = $1`, [id])
    await untilSettled(db, 1)
  })
})

test('walhook subscribe prints the public key', async ({ db }) => {
  const environment = { DATABASE_URL: db.url }
  const args = ['subscribe', 'https://example.com/hooks', '--signature', 'standard,standard-ed25519']
  const json = await walhook([...args, '--json', '--if-missing'], environment)
  const [made] = [JSON.parse(json.stdout) as { id: string; ed25519_public_key: string }]
  expect(made.ed25519_public_key).toMatch(/^whpk_[A-Za-z0-9+/]{43}=$/)
  expect(await publicKeyOf(db, made.id)).toBe(made.ed25519_public_key)
  const again = await walhook([...args, '--json', '--if-missing'], environment)
  expect(JSON.parse(again.stdout)).toMatchObject({
    created: false,
    ed25519_public_key: made.ed25519_public_key,
  })
  const forPeople = await walhook(args, environment)
  expect(forPeople.stdout).toMatch(/^public {2}whpk_/m)
  const broken = await walhook([...args, '--headers', '{x-team: billing}'], environment)
  expect(broken).toMatchObject({ code: 2, stdout: '' })
  expect(broken.stderr).toContain('headers has to be JSON')
  const without = await walhook(['subscribe', 'https://example.com/hooks', '--json'], environment)
  expect(JSON.parse(without.stdout)).not.toHaveProperty('ed25519_public_key')
})

test('what cannot sign is refused where it is written, and no secret is repeated', async ({ db }) => {
  const wishes = [
    [{ signature: [] }, 'signature has to be one or more of'],
    [{ signature: ['sha1'] }, 'signature has to be one or more of'],
    [{ signature: ['standard', 'none'] }, 'signature cannot have none beside others'],
    [{ signature: ['github', 'github'] }, 'signature has one of them twice'],
    [{ signature: ['github'], secret: 'fifteen letters' }, 'secret has to be 16 to 255 characters'],
    [{ signature: ['github'], secret: 'x'.repeat(256) }, 'secret has to be 16 to 255 characters'],
    [{ signature: ['stripe'], secret: `${TEXT}\n` }, 'secret has to be 16 to 255 characters'],
    [{ signature: ['hex'], secret: ` ${TEXT}` }, 'secret has to be 16 to 255 characters'],
    [{ signature: ['hex'], secret: `enc:v1:0123abcd::${'A'.repeat(60)}` }, 'secret has to be plain'],
    [{ signature: ['standard', 'github'], secret: TEXT }, 'secret has to be whsec_'],
    [{ secret: TEXT }, 'secret has to be whsec_'],
    [{ signature: ['standard-ed25519'], ed25519_key: WHSEC }, 'ed25519_key has to be whsk_'],
    [
      { ed25519_key: `whsk_${Buffer.alloc(33, 9).toString('base64')}` },
      'ed25519_key has to be whsk_ and the base64 of 32 or 64 bytes',
    ],
    [{ signature_header: 'X-Signature' }, 'signature_header is for signature hex'],
    [{ signature: ['hex'], signature_header: 'X Signature' }, 'signature_header has to be letters'],
    [{ signature: ['hex'], signature_header: 'X-A\r\nX-Evil' }, 'signature_header has to be letters'],
    [{ signature: ['hex'], signature_header: 'Webhook-Signature' }, 'cannot be Webhook-Signature'],
    [{ signature: ['hex'], signature_header: 'Authorization' }, 'credentials are for auth'],
    [{ signature: ['hex'], signature_header: 'Content-Length' }, 'it belongs to the connection'],
    [{ signature: ['hex'], signature_header: 'user-agent' }, 'it says who sends'],
    [{ signature: ['hex', 'github'], signature_header: 'x-hub-signature-256' }, 'has that name here'],
    [
      { signature: ['hex', 'standard'], header_prefix: 'X-Acme-', signature_header: 'X-Acme-Signature' },
      'has that name here',
    ],
    [{ signature: ['hex'], header_prefix: 'X-Acme-', signature_header: 'X-Acme-Id' }, 'has that name here'],
    [
      { signature: ['hex', 'standard'], header_prefix: 'X-Webhook-' },
      'header_prefix gives a header the name',
    ],
    [
      { signature: ['stripe', 'standard'], header_prefix: 'Stripe-' },
      'header_prefix gives a header the name',
    ],
    [{ header_prefix: 'X-Acme' }, 'header_prefix has to be letters'],
    [{ header_prefix: 'X-Acme:\r\n-' }, 'header_prefix has to be letters'],
    [{ header_prefix: '-' }, 'header_prefix has to be letters'],
  ] as const
  for (const [options, rule] of wishes) {
    const error: unknown = await subscribeWith(db, 'https://example.com', options).catch((e: unknown) => e)
    if (!(error instanceof Error)) throw new Error(`it was taken: ${JSON.stringify(options)}`)
    expect(error).toMatchObject({ code: '22023', detail: undefined })
    expect(error.message).toContain(rule)
    for (const secret of [TEXT, 'CQkJ', 'fifteen', 'AAAA']) expect(error.message).not.toContain(secret)
  }
  for (const scheme of SIGNATURE_SCHEMES)
    await subscribeWith(db, `https://example.com/${scheme}`, { signature: [scheme] })
})
