/** Signatures that verifiers which are not ours accept, for any event and each scheme. */
import { createHmac, createPublicKey, verify as verifyBytes } from 'node:crypto'
import { verify as githubVerifies } from '@octokit/webhooks-methods'
import fc from 'fast-check'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import { Webhook as SvixWebhook } from 'svix'
import Stripe from 'stripe'
import { describe, expect, test } from 'vitest'
import { ed25519PublicKey } from '../../src/core/ed25519-key.ts'
import { headerNames } from '../../src/core/header-names.ts'
import type { SignatureScheme, SigningKeys, SigningWish } from '../../src/core/signature.ts'
import { aSignature } from './a-subscription.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const secretOf = (key: Uint8Array): string => `whsec_${Buffer.from(key).toString('base64')}`
const keys = fc.uint8Array({ minLength: 1, maxLength: 75 })
const nowSeconds = (): number => Math.floor(Date.now() / 1000)

/** The headers that sign a message, with these schemes; `webhook-signature` of the secrets, where none is named. */
function signed(
  message: { readonly id?: string; readonly timestamp?: number; readonly body: string },
  keys: Partial<SigningKeys>,
  schemes: readonly SignatureScheme[] = ['standard'],
  wish: Partial<SigningWish> = {},
): Record<string, string> {
  const { id = 'id', timestamp = nowSeconds(), body } = message
  return Object.fromEntries(
    aSignature(keys, { schemes, ...wish }).map(({ header, sign }) => [
      header,
      sign({ id, timestamp, body: Buffer.from(body) }),
    ]),
  )
}

function standard(secrets: readonly string[], id: string, timestamp: number, body: string): string {
  return signed({ id, timestamp, body }, { secrets })['webhook-signature'] ?? ''
}

test("the specification's own example gives its signature", () => {
  expect(standard([SECRET], 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, '{"test": 2432232314}')).toBe(
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  )
})

test.each(['', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'WHSEC_AQID', 'whpk_AQID', ' whsec_AQID'])(
  'a standard secret needs its prefix: %j, which is not repeated in the error',
  (secret) => {
    expect(() => standard([secret], 'id', 1, '')).toThrow(
      new TypeError('a Standard Webhooks secret begins with whsec_'),
    )
  },
)

describe('the header', () => {
  test('has one signature a key, in order, separated by a space', () => {
    const secrets = ['whsec_AQ==', 'whsec_Ag==']
    const alone = secrets.map((secret) => standard([secret], 'id', 1, '{}'))
    expect(standard(secrets, 'id', 1, '{}')).toBe(alone.join(' '))
    expect(alone[0]).not.toBe(alone[1])
    expect(alone.join(' ')).toMatch(/^v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}=$/)
  })

  test('changes with id, timestamp, body and key', () => {
    const headers = [
      standard(['whsec_kw=='], 'id', 1, 'x'),
      standard(['whsec_lw=='], 'id', 1, 'x'),
      standard(['whsec_kw=='], 'ie', 1, 'x'),
      standard(['whsec_kw=='], 'id', 2, 'x'),
      standard(['whsec_kw=='], 'id', 1, 'y'),
    ]
    expect(new Set(headers).size).toBe(headers.length)
  })
})

/** Any secret that a person may have: a `whsec_` too, whose whole text is the key then. */
const texts = fc.oneof(fc.string({ unit: 'grapheme', minLength: 16, maxLength: 64 }), keys.map(secretOf))

describe('@octokit/webhooks-methods', () => {
  // It takes no empty body, and JSON never is.
  test('accepts X-Hub-Signature-256 of the newest secret, whatever its text, and no other', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(texts, { minLength: 2, maxLength: 2 }),
        fc.json(),
        async (secrets, body) => {
          const { 'X-Hub-Signature-256': header = '' } = signed({ body }, { secrets }, ['github'])
          expect(await githubVerifies(secrets[0] ?? '', body, header)).toBe(true)
          expect(await githubVerifies(secrets[1] ?? '', body, header)).toBe(false)
          expect(await githubVerifies(secrets[0] ?? '', `${body} `, header)).toBe(false)
        },
      ),
    )
  })

  test("GitHub's own example gives its signature", () => {
    expect(
      signed({ body: 'Hello, World!' }, { secrets: ["It's a Secret to Everybody"] }, ['github']),
    ).toEqual({
      'X-Hub-Signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
    })
  })
})

describe('stripe', () => {
  const { webhooks } = new Stripe('sk_test_of_nobody')

  test('accepts Stripe-Signature with each of the live secrets, whatever its text, and no other', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(texts, { minLength: 2, maxLength: 3 }),
        fc.json().map((json) => `{"data":${json}}`),
        ([other = '', ...secrets], body) => {
          const { 'Stripe-Signature': header = '' } = signed({ body }, { secrets }, ['stripe'])
          for (const secret of secrets) {
            expect(() => webhooks.constructEvent(body, header, secret)).not.toThrow()
            expect(() => webhooks.constructEvent(`${body} `, header, secret)).toThrow('No signatures found')
          }
          expect(() => webhooks.constructEvent(body, header, other)).toThrow('No signatures found')
        },
      ),
    )
  })

  test('finds it in the form that Stripe documents', () => {
    const header = signed(
      { timestamp: 1_492_774_577, body: '{}' },
      { secrets: ['a'.repeat(16), 'b'.repeat(16)] },
      ['stripe'],
    )
    expect(header['Stripe-Signature']).toMatch(/^t=1492774577,v1=[0-9a-f]{64},v1=[0-9a-f]{64}$/)
  })
})

describe('a hex signature', () => {
  test('is the HMAC-SHA256 of the body with the whole text of the newest secret', () => {
    fc.assert(
      fc.property(texts, fc.json(), (secret, body) => {
        const expected = createHmac('sha256', Buffer.from(secret)).update(body).digest('hex')
        expect(signed({ body }, { secrets: [secret, 'another secret'] }, ['hex'])).toEqual({
          'X-Webhook-Signature': expected,
        })
      }),
    )
  })

  test('stands where one likes', () => {
    const headers = signed({ body: '{}' }, { secrets: [SECRET] }, ['hex'], {
      hexHeader: 'X-SmartDrop-Signature',
    })
    expect(Object.keys(headers)).toEqual(['X-SmartDrop-Signature'])
  })
})

describe('standard-ed25519', () => {
  /** RFC 8032, 7.1, test 2. */
  const SEED = '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'
  const PUBLIC = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'
  const privateKey = (hex: string): string => `whsk_${Buffer.from(hex, 'hex').toString('base64')}`

  test("the RFC's key has the RFC's public key, with the seed alone and with both halves", () => {
    const publicKey = `whpk_${Buffer.from(PUBLIC, 'hex').toString('base64')}`
    expect(ed25519PublicKey(privateKey(SEED))).toBe(publicKey)
    expect(ed25519PublicKey(privateKey(SEED + PUBLIC))).toBe(publicKey)
  })

  test.each([
    '',
    privateKey(SEED).replace('whsk', 'whpk'),
    privateKey(SEED.slice(2)),
    privateKey(`${SEED}00`),
  ])('a key is whsk_ and 32 or 64 bytes, and is not repeated in the error: %j', (key) => {
    expect(() => ed25519PublicKey(key)).toThrow(
      new TypeError('an Ed25519 key is whsk_ and the base64 of 32 or 64 bytes'),
    )
  })

  test('node:crypto verifies id, timestamp and body with the public key alone, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uuid(), fc.json(), (seed, id, body) => {
        const key = `whsk_${Buffer.from(seed).toString('base64')}`
        const x = Buffer.from(ed25519PublicKey(key).slice('whpk_'.length), 'base64').toString('base64url')
        const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
        const header = signed({ id, timestamp: 7, body }, { ed25519Key: key }, ['standard-ed25519'])
        const [version, base64 = ''] = (header['webhook-signature'] ?? '').split(',')
        expect(version).toBe('v1a')
        const verifies = (text: string): boolean =>
          verifyBytes(null, Buffer.from(text), publicKey, Buffer.from(base64, 'base64'))
        expect(verifies(`${id}.7.${body}`)).toBe(true)
        expect(verifies(`${id}.8.${body}`)).toBe(false)
        expect(verifies(`${id}.7.${body} `)).toBe(false)
      }),
    )
  })
})

describe('several schemes', () => {
  const ed25519Key = `whsk_${Buffer.alloc(32, 7).toString('base64')}`

  test('that share a header stand in it with a space between, and the others in headers of their own', () => {
    const headers = signed({ id: 'id', timestamp: 1, body: '{}' }, { secrets: [SECRET], ed25519Key }, [
      'standard',
      'standard-ed25519',
      'github',
      'stripe',
      'hex',
    ])
    expect(Object.keys(headers)).toEqual([
      'webhook-signature',
      'X-Hub-Signature-256',
      'Stripe-Signature',
      'X-Webhook-Signature',
    ])
    expect(headers['webhook-signature']).toMatch(/^v1,[A-Za-z0-9+/]{43}= v1a,[A-Za-z0-9+/]{86}==$/)
  })

  test('with a prefix the standard ones stand behind it', () => {
    const names = headerNames('X-Acme-')
    const headers = signed(
      { body: '{}' },
      { secrets: [SECRET], ed25519Key },
      ['standard', 'standard-ed25519'],
      { names },
    )
    expect(Object.keys(headers)).toEqual(['X-Acme-Signature'])
  })

  test('none is none', () => {
    expect(signed({ body: '{}' }, { secrets: [SECRET], ed25519Key }, ['none'])).toEqual({})
  })
})

describe.each([
  ['standardwebhooks', StandardWebhook],
  ['svix', SvixWebhook],
] as const)('%s', (_name, Verifier) => {
  // Verifiers refuse old timestamps and parse the body: any JSON text will do.
  const deliveries = fc.record({
    liveKeys: fc.array(keys, { minLength: 1, maxLength: 3 }),
    id: fc.uuid(),
    body: fc.json(),
  })

  test('accepts every id and body, with each of the live keys', () => {
    fc.assert(
      fc.property(deliveries, ({ liveKeys, id, body }) => {
        const timestamp = nowSeconds()
        const secrets = liveKeys.map(secretOf)
        const headers = {
          'webhook-id': id,
          'webhook-timestamp': String(timestamp),
          'webhook-signature': standard(secrets, id, timestamp, body),
        }
        for (const secret of secrets) {
          expect(() => new Verifier(secret).verify(body, headers)).not.toThrow()
        }
      }),
    )
  })

  test('refuses a body that was changed, and a key that is not among the live ones', () => {
    fc.assert(
      fc.property(deliveries, ({ liveKeys, id, body }) => {
        const timestamp = nowSeconds()
        const secrets = liveKeys.map(secretOf)
        const headers = {
          'webhook-id': id,
          'webhook-timestamp': String(timestamp),
          'webhook-signature': standard(secrets, id, timestamp, body),
        }
        const other = secretOf(Buffer.alloc(76, 1)) // longer than any of the live keys
        for (const secret of secrets) {
          expect(() => new Verifier(secret).verify(`${body} `, headers)).toThrow('No matching signature')
        }
        expect(() => new Verifier(other).verify(body, headers)).toThrow('No matching signature')
      }),
    )
  })
})
