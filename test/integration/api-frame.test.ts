/** The frame of the API: who is let in, what is refused and how, and pages that do not shift. */
import { expect } from 'vitest'
import { apiAt } from '../support/api.ts'
import { test } from '../support/fixtures.ts'

test('keys: made, told once, listed in pages, narrowed to a tenant, revoked', async ({ db, sidecar }) => {
  const { url } = await sidecar()
  const open = apiAt(url)
  expect((await open('GET', '/v1/me')).body).toEqual({
    scope: 'admin',
    tenant: null,
    key_id: null,
    by: 'loopback',
  })

  const made = await open('POST', '/v1/keys', { json: { name: 'first', scope: 'admin' } })
  expect(made).toMatchObject({
    status: 201,
    body: { scope: 'admin', tenant: null, key: expect.stringMatching(/^whk_/) },
  })
  expect((await open('GET', '/v1/me')).status).toBe(401)
  const admin = apiAt(url, made.body.key)
  expect((await admin('GET', '/v1/me')).body).toEqual({
    scope: 'admin',
    tenant: null,
    key_id: made.body.id,
    by: 'api_key',
  })
  const tenants = await admin('POST', '/v1/keys', { json: { scope: 'admin', tenant: 't' } })
  const list = await admin('GET', '/v1/keys?limit=1')
  expect(list.body).toMatchObject({
    data: [{ id: tenants.body.id, tenant: 't' }],
    next_cursor: expect.any(String),
  })
  expect(list.body.data[0]).not.toHaveProperty('key')
  const next = await admin('GET', `/v1/keys?limit=1&cursor=${list.body.next_cursor}`)
  expect(next.body).toMatchObject({ data: [{ id: made.body.id, name: 'first' }], next_cursor: null })

  const ofTenant = apiAt(url, tenants.body.key)
  expect((await ofTenant('GET', '/v1/keys')).body.data).toMatchObject([{ id: tenants.body.id }])
  expect((await ofTenant('POST', '/v1/keys', { json: { scope: 'read', tenant: 'u' } })).status).toBe(403)
  expect((await ofTenant('DELETE', `/v1/keys/${made.body.id}`)).status).toBe(404)
  expect((await admin('DELETE', `/v1/keys/${tenants.body.id}`)).status).toBe(204)
  expect((await ofTenant('GET', '/v1/me')).status).toBe(401)
  expect(await db.query('select from walhook.api_keys where revoked_at is not null')).toHaveLength(1)
})

test('what is wrong with a request is told field by field, as a problem', async ({ sidecar }) => {
  const { url } = await sidecar()
  const api = apiAt(url)
  const problem = async (status: number, ...call: Parameters<typeof api>) => {
    const answer = await api(...call)
    expect(answer).toMatchObject({ status, body: { status, request_id: answer.headers.get('x-request-id') } })
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    return answer
  }
  expect(
    (await problem(400, 'POST', '/v1/keys', { json: { scope: 'root', colour: 1 } })).body.errors,
  ).toEqual([
    { field: 'scope', detail: expect.any(String) },
    { field: 'colour', detail: 'is not known here' },
  ])
  expect((await problem(400, 'GET', '/v1/keys?limit=0&colour=blue')).body.errors).toMatchObject([
    { field: 'limit' },
    { field: 'colour' },
  ])
  await problem(400, 'GET', '/v1/keys?cursor=x')
  await problem(400, 'POST', '/v1/keys', { text: '{', headers: { 'content-type': 'application/json' } })
  // Nothing is as good as an empty object; null is something else.
  const id = '01a227b3-a6ed-7a55-84ce-6efb63a95cde'
  await problem(404, 'POST', `/v1/subscriptions/${id}/pause`)
  await problem(400, 'POST', `/v1/subscriptions/${id}/pause`, { json: null })
  await problem(415, 'POST', '/v1/keys', { text: 'a=b', headers: { 'content-type': 'text/plain' } })
  await problem(413, 'POST', '/v1/keys', { json: 'x'.repeat(1024 * 1024) })
  await problem(404, 'GET', '/v1/nothing')
  const wrong = await problem(405, 'PATCH', '/v1/keys', { json: {} })
  expect(wrong.headers.get('allow')).toBe('GET, HEAD, POST')
  // Beside a path with a parameter that would take it too.
  for (const method of ['PATCH', 'GET']) {
    const spelled = await problem(405, method, '/v1/deliveries/resend')
    expect(spelled.headers.get('allow')).toBe('POST')
  }
})

test('every answer says which request it is to, and how many are left', async ({ sidecar }) => {
  const { url } = await sidecar()
  const api = apiAt(url)
  const asked = await api('GET', '/v1/me', { headers: { 'x-request-id': 'mine-1' } })
  expect(asked.headers.get('x-request-id')).toBe('mine-1')
  const strange = await api('GET', '/v1/me', { headers: { 'x-request-id': 'a b\tc' } })
  expect(strange.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  const again = await api('GET', '/v1/me')
  for (const prefix of ['ratelimit', 'x-ratelimit']) {
    const of = ({ headers }: typeof again, name: string) => Number(headers.get(`${prefix}-${name}`))
    expect(of(again, 'limit')).toBeGreaterThan(of(again, 'remaining'))
    expect(of(again, 'remaining')).toBe(of(asked, 'remaining') - 2)
    expect(of(again, 'reset')).toBeGreaterThan(0)
  }
})

test('/docs shows the description, from this server alone', async ({ sidecar }) => {
  const { url } = await sidecar()
  const api = apiAt(url)
  const page = await api('GET', '/docs/')
  expect(page).toMatchObject({ status: 200, body: expect.stringContaining('swagger-ui') })
  expect(page.headers.get('content-security-policy')).toMatch(
    /^default-src 'none'; script-src 'self'; style-src 'self';/,
  )
  const sources = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source]) => source)
  expect(sources.length).toBeGreaterThan(3)
  for (const source of sources) {
    expect(source).not.toMatch(/^(https?:)?\/\//)
    expect((await api('GET', new URL(source, `${url}/docs/`).pathname)).status).toBe(200)
  }
  expect((await api('GET', '/docs/static/swagger-initializer.js')).body).toContain('"validatorUrl":null')
})

test('it describes itself', async ({ sidecar }) => {
  const { url } = await sidecar()
  const { status, body } = await apiAt(url)('GET', '/openapi.json')
  expect(status).toBe(200)
  expect(body).toMatchObject({ openapi: '3.1.0', paths: { '/v1/keys': { get: {}, post: {} } } })
})
