/** When a token server is asked, and when a token is used, over time that a test makes pass. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { OAuthClient } from '../../src/core/access.ts'
import type { WebhookResponse } from '../../src/core/attempt-outcome.ts'
import { AccessTokens, type TokenWish } from '../../src/delivery/access-tokens.ts'

const CLIENT: OAuthClient = {
  tokenUrl: 'https://login.example.com/token',
  id: 'a',
  secret: 'b',
  auth: 'basic',
  scope: undefined,
  audience: undefined,
}
const wish = (changes: Partial<TokenWish> = {}): TokenWish => ({
  subscriptionId: 's',
  client: CLIENT,
  tls: undefined,
  timeoutMs: 1_000,
  ...changes,
})

/** `server` is asked for each answer; unless a test says otherwise it gives token 1, 2, 3, … for an hour. */
class Scene {
  now = 1_000_000
  asked = 0
  readonly faults: string[] = []
  server: () => WebhookResponse | Promise<WebhookResponse> = () => this.token(this.asked, 3600)
  readonly tokens = new AccessTokens({
    send: async () => {
      this.asked += 1
      return this.server()
    },
    onFault: (id, fault) => void this.faults.push(`${id}: ${fault}`),
    userAgent: 'walhook/1.2.3',
    signal: new AbortController().signal,
    now: () => this.now,
  })

  token(n: number, expires_in: unknown): WebhookResponse {
    const body = JSON.stringify({ access_token: `token-${n}`, token_type: 'bearer', expires_in })
    return { kind: 'answered', status: 200, retryAfter: undefined, body }
  }

  async get(changes?: Partial<TokenWish>): Promise<string> {
    const answer = await this.tokens.get(wish(changes))
    return answer.kind === 'token' ? answer.token : answer.fault
  }
}

let scene: Scene
beforeEach(() => {
  scene = new Scene()
})

test('those who want one at the same time wait for one fetch', async () => {
  expect(await Promise.all(Array.from({ length: 50 }, () => scene.get()))).toEqual(Array(50).fill('token-1'))
  expect(scene.asked).toBe(1)
})

describe('a token', () => {
  test('is used until half a minute before its end, and renewed beside the requests from a minute before it', async () => {
    await scene.get()
    scene.now += 3_540_000 - 1
    expect(await scene.get()).toBe('token-1')
    expect(scene.asked).toBe(1)
    scene.now += 1
    expect(await Promise.all([scene.get(), scene.get()])).toEqual(['token-1', 'token-1'])
    expect(scene.asked).toBe(2)
    expect(await scene.get()).toBe('token-2')
  })

  test('that cannot be renewed serves to its end, and the server is left alone for a second in between', async () => {
    await scene.get()
    scene.server = () => ({ kind: 'failed', error: 'timeout' })
    scene.now += 3_550_000
    expect([await scene.get(), await scene.get()]).toEqual(['token-1', 'token-1'])
    expect(scene.asked).toBe(2)
    scene.now += 1_000
    expect(await scene.get()).toBe('token-1')
    expect(scene.asked).toBe(3)
    scene.now += 20_000
    expect(await scene.get()).toBe('timeout')
    expect(scene.faults).toEqual(['s: timeout', 's: timeout', 's: timeout'])
  })

  test.each([
    [undefined, 300_000],
    [null, 300_000],
    ['', 300_000],
    ['60', 60_000],
    [-5, 300_000],
    ['soon', 300_000],
    [1e12, 86_400_000],
  ])('that lives for %j lives %i ms', async (expiresIn, lifetimeMs) => {
    scene.server = () => scene.token(scene.asked, expiresIn)
    await scene.get()
    const marginMs = Math.min(lifetimeMs / 10, 30_000)
    scene.now += lifetimeMs - marginMs - 1
    expect(await scene.get()).toBe('token-1')
    expect(await scene.get()).toBe('token-2')
  })

  test('of no lifetime at all is bought for each attempt', async () => {
    scene.server = () => scene.token(scene.asked, 0)
    expect([await scene.get(), await scene.get()]).toEqual(['token-1', 'token-2'])
  })

  test.each([
    ['other credentials', { client: { ...CLIENT, secret: 'c' } }],
    ['other certificates', { tls: { id: 'x', ca: undefined, client: undefined } }],
  ])('does not serve for %s', async (_what, changes) => {
    await scene.get()
    expect(await scene.get(changes)).toBe('token-2')
  })

  test('serves no other subscription, be its credentials the same', async () => {
    await scene.get()
    expect(await scene.get({ subscriptionId: 't' })).toBe('token-2')
  })
})

describe('a token that the endpoint refused', () => {
  test('is dropped once, however many attempts it was refused for, and again a minute later', async () => {
    await scene.get()
    for (let n = 0; n < 64; n++) expect(scene.tokens.drop('s', 'token-1')).toBe(true)
    expect(await scene.get()).toBe('token-2')
    expect(scene.tokens.drop('s', 'token-1')).toBe(true)
    expect(scene.tokens.drop('s', 'token-2')).toBe(false)
    expect(await scene.get()).toBe('token-2')
    scene.now += 60_000
    scene.tokens.drop('s', 'token-2')
    expect(await scene.get()).toBe('token-3')
  })

  test('takes no newer one with it', async () => {
    await scene.get()
    scene.tokens.drop('s', 'token-0')
    scene.tokens.drop('t', 'token-1')
    expect(await scene.get()).toBe('token-1')
    expect(scene.asked).toBe(1)
  })
})

test('a server that has none is asked again after a second, and not sooner', async () => {
  scene.server = () => ({ kind: 'answered', status: 500, retryAfter: undefined, body: '' })
  expect([await scene.get(), await scene.get()]).toEqual(['status_500', 'status_500'])
  scene.now += 999
  await scene.get()
  expect(scene.asked).toBe(1)
  scene.now += 1
  await scene.get()
  expect(scene.asked).toBe(2)
})

test('what our own stop cut short is no fault of the server’s', async () => {
  scene.server = () => ({ kind: 'failed', error: 'aborted' })
  expect(await scene.get()).toBe('aborted')
  expect(scene.faults).toEqual([])
})

test('tokens of more subscriptions than there is room for are forgotten, the ones that rested longest first', async () => {
  for (let n = 0; n < 2_048; n++) await scene.get({ subscriptionId: String(n) })
  await scene.get({ subscriptionId: '0' })
  await scene.get({ subscriptionId: 'one more' })
  expect(scene.asked).toBe(2_049)
  await scene.get({ subscriptionId: '0' })
  expect(scene.asked).toBe(2_049)
  await scene.get({ subscriptionId: '1' })
  expect(scene.asked).toBe(2_050)
})
