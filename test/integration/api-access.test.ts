/** Who is let in while nobody has made a key, and what the API does while the database is away. */
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect } from 'vitest'
import { apiAt } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

interface Raw {
  readonly status: number | undefined
  readonly body: string
}

/** As no browser sends it, and as curl would: any header, any method. */
function raw(
  url: string,
  path: string,
  method: string,
  headers: Readonly<Record<string, string>>,
): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const sent = request(new URL(path, url), { method, headers }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode, body }), reject)
    })
    sent.on('error', reject)
    sent.end(method === 'POST' ? '{"scope": "read"}' : undefined)
  })
}

test('without a token and without keys, the API is for this machine, and for nobody by way of it', async ({
  db,
  sidecar,
}) => {
  const { url, logs } = await sidecar()
  await logs.waitFor('api.open_to_this_machine')
  const { port } = new URL(url)
  const json = { 'content-type': 'application/json' }
  const refused: readonly (readonly [status: number, method: string, headers: Record<string, string>])[] = [
    [401, 'GET', { host: 'walhook.example.com' }],
    [401, 'GET', { host: `127.0.0.1.evil.example:${port}` }],
    [401, 'GET', { 'x-forwarded-for': '203.0.113.7' }],
    [401, 'GET', { forwarded: 'for=203.0.113.7' }],
    [401, 'GET', { authorization: 'Basic YTpi' }],
    [401, 'GET', { authorization: 'Bearer whk_wrong' }],
    [403, 'POST', { ...json, origin: 'https://evil.example' }],
    [403, 'POST', { ...json, origin: 'null' }],
    [403, 'POST', { ...json, origin: `http://localhost:${Number(port) + 1}` }],
    [403, 'POST', { ...json, 'sec-fetch-site': 'cross-site' }],
    [403, 'POST', { ...json, 'sec-fetch-site': 'same-site' }],
    [415, 'POST', { 'content-type': 'text/plain' }],
    [415, 'POST', { 'content-type': 'application/x-www-form-urlencoded' }],
    [415, 'POST', {}],
  ]
  for (const [status, method, headers] of refused) {
    const answer = await raw(url, '/v1/keys', method, headers)
    expect({ method, headers, ...answer }).toMatchObject({ method, headers, status })
    expect(JSON.parse(answer.body)).toMatchObject({
      status,
      type: expect.stringMatching(/^urn:walhook:problem:/),
    })
  }
  expect(await db.query('select from walhook.api_keys')).toEqual([])

  for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, '[::1]'])
    expect(await raw(url, '/v1/keys', 'GET', { host })).toMatchObject({ status: 200 })
  const own = {
    ...json,
    host: `localhost:${port}`,
    origin: `http://localhost:${port}`,
    'sec-fetch-site': 'same-origin',
  }
  expect(await raw(url, '/v1/keys', 'POST', own)).toMatchObject({ status: 201 })
  // From now on everyone needs one, even when that one is revoked.
  expect(await raw(url, '/v1/keys', 'GET', {})).toMatchObject({ status: 401 })
  await db.query('select walhook.revoke_api_key(id) from walhook.api_keys')
  expect(await raw(url, '/v1/keys', 'GET', {})).toMatchObject({ status: 401 })
  await logs.waitFor('relay.streaming')
  for (const open of ['/healthz', '/readyz', '/metrics', '/openapi.json', '/docs/'])
    expect(await raw(url, open, 'GET', { host: 'walhook.example.com' })).toMatchObject({ status: 200 })
})

test('a key that has expired is refused as any other', async ({ db, sidecar }) => {
  const { url } = await sidecar()
  const [made] = await db.query<{ key: string }>(
    `select key from walhook.create_api_key(scope => 'read', expires_at => now() + interval '1 hour')`,
  )
  const api = apiAt(url, made?.key)
  expect((await api('GET', '/v1/me')).status).toBe(200)
  await db.query(`update walhook.api_keys set expires_at = now() - interval '1 second'`)
  expect((await api('GET', '/v1/me')).status).toBe(401)
})

test('while the database is away the API says so at once, and the process lives', async ({ db, sidecar }) => {
  await using proxy = await TcpProxy.before(db.url)
  const { url } = await sidecar({ DATABASE_URL: proxy.through(db.url), WALHOOK_REPLICATION_URL: db.url })
  const api = apiAt(url)
  expect((await api('GET', '/v1/keys')).status).toBe(200)
  // Nobody listens there any more.
  await proxy[Symbol.asyncDispose]()
  await eventually(async () => {
    const answer = await api('GET', '/v1/keys')
    expect(answer).toMatchObject({ status: 503, body: { type: 'urn:walhook:problem:database_unavailable' } })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  })
  expect((await api('GET', '/healthz')).status).toBe(200)
  expect((await api('GET', '/readyz')).status).toBe(503)
  expect((await api('GET', '/openapi.json')).status).toBe(200)
})

test('a statement that takes too long is given up, and holds no others up', async ({ db, sidecar }) => {
  const { url } = await sidecar()
  const api = apiAt(url)
  const blocker = await db.application()
  await blocker.query('begin')
  await blocker.query('lock table walhook.event_types in access exclusive mode')
  const waiting = api('GET', '/v1/event-types')
  expect((await api('GET', '/v1/keys')).status).toBe(200)
  expect(await waiting).toMatchObject({
    status: 503,
    body: { detail: expect.stringContaining('took too long') },
  })
  await blocker.query('rollback')
})
