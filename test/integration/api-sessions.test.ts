/** The page's sessions and the links that open it: who gets one, what it opens, and when it ends. */
import { expect } from 'vitest'
import { type Api, apiAt } from '../support/api.ts'
import { test } from '../support/fixtures.ts'

const ADMIN_TOKEN = 'admin-token-for-tests-0123456789'

/** What a browser would send from then on. */
function sessionOf(headers: Headers): string {
  const cookie = headers.get('set-cookie') ?? ''
  expect(cookie).toMatch(/^walhook_session=[^;]+; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict$/)
  return cookie.slice(0, cookie.indexOf(';'))
}

const browser = (api: Api, cookie: string, origin: string): Api => {
  const headers = { cookie, origin, 'sec-fetch-site': 'same-origin' }
  return (method, path, call = {}) => api(method, path, { ...call, headers: { ...headers, ...call.headers } })
}

test('an administrator logs in to the page with the token, and out again', async ({ sidecar }) => {
  const { url } = await sidecar({ WALHOOK_ADMIN_TOKEN: ADMIN_TOKEN })
  const nobody = apiAt(url)
  expect((await nobody('GET', '/v1/me')).status).toBe(401)
  expect((await nobody('POST', '/ui/session', { json: { token: `${ADMIN_TOKEN}x` } })).status).toBe(401)
  const elsewhere = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
  const tricked = await nobody('POST', '/ui/session', { json: { token: ADMIN_TOKEN }, headers: elsewhere })
  expect(tricked.status).toBe(403)

  const opened = await nobody('POST', '/ui/session', { json: { token: ADMIN_TOKEN } })
  expect(opened).toMatchObject({
    status: 200,
    body: { scope: 'admin', tenant: null, key_id: null, by: 'session' },
  })
  const page = browser(nobody, sessionOf(opened.headers), url)
  expect((await page('GET', '/v1/me')).body).toMatchObject({ scope: 'admin', by: 'session' })
  expect((await page('POST', '/v1/keys', { json: { scope: 'read' } })).status).toBe(201)
  for (const headers of [elsewhere, { origin: 'http://127.0.0.1:1', 'sec-fetch-site': 'same-site' }])
    expect((await page('POST', '/v1/keys', { json: { scope: 'read' }, headers })).status).toBe(403)
  const silent = { cookie: sessionOf(opened.headers) }
  expect((await nobody('POST', '/v1/keys', { json: { scope: 'read' }, headers: silent })).status).toBe(403)

  const closed = await page('DELETE', '/ui/session')
  expect(closed.status).toBe(204)
  expect(closed.headers.get('set-cookie')).toMatch(/^walhook_session=; .*Max-Age=0/)
})

test('a portal link opens the page for one tenant, until it or its key ends', async ({ db, sidecar }) => {
  const { url } = await sidecar()
  const key = (await apiAt(url)('POST', '/v1/keys', { json: { scope: 'operate' } })).body
  const operator = apiAt(url, key.key)
  const nobody = apiAt(url)
  const made = await operator('POST', '/v1/portal-links', { json: { tenant: 'acme', expires_in: '2h' } })
  expect(made).toMatchObject({ status: 201, body: { tenant: 'acme', scope: 'read' } })
  const link = new URL(made.body.url)
  expect(link.origin).toBe(url)

  const entered = await nobody('GET', link.pathname)
  expect(entered).toMatchObject({ status: 303 })
  expect(entered.headers.get('location')).toBe('/ui/')
  const page = browser(nobody, sessionOf(entered.headers), url)
  expect((await page('GET', '/v1/me')).body).toEqual({
    scope: 'read',
    tenant: 'acme',
    key_id: key.id,
    by: 'session',
  })
  expect((await page('POST', '/v1/portal-links', { json: { tenant: 'acme' } })).status).toBe(403)

  const changed = link.pathname.replace(/.(?=\.)/, (char) => (char === 'A' ? 'B' : 'A'))
  expect((await nobody('GET', changed)).headers.get('location')).toBe('/ui/?link=expired')
  // The one is not to be had for the other.
  const asSession = { cookie: `walhook_session=${link.pathname.split('/').at(-1)}` }
  expect((await nobody('GET', '/v1/me', { headers: asSession })).status).toBe(401)

  const [past] = (
    await operator('POST', '/v1/portal-links', { json: { tenant: 'acme', expires_in: '1ms' } })
  ).body.url
    .split('/')
    .slice(-1)
  await expect
    .poll(async () => (await nobody('GET', `/ui/portal/${past}`)).headers.get('location'))
    .toBe('/ui/?link=expired')

  await db.query('select walhook.revoke_api_key($1)', [key.id])
  expect((await page('GET', '/v1/me')).status).toBe(401)
  expect((await nobody('GET', link.pathname)).headers.get('location')).toBe('/ui/?link=expired')
})

test('a tenant’s key makes links of that tenant, and of no more than it may do itself', async ({
  sidecar,
}) => {
  const { url } = await sidecar({ WALHOOK_ADMIN_TOKEN: ADMIN_TOKEN })
  const admin = apiAt(url, ADMIN_TOKEN)
  const { key } = (await admin('POST', '/v1/keys', { json: { scope: 'operate', tenant: 'acme' } })).body
  const acme = apiAt(url, key)
  const link = (api: Api, json: unknown) => api('POST', '/v1/portal-links', { json })
  expect(await link(acme, { tenant: 'acme', scope: 'operate' })).toMatchObject({ status: 201 })
  expect(await link(acme, { tenant: 'other' })).toMatchObject({ status: 403 })
  expect(await link(admin, { tenant: 'other', expires_in: '31d' })).toMatchObject({
    status: 422,
    body: { errors: [{ field: 'expires_in' }] },
  })
  expect(await link(admin, { tenant: 'other', expires_in: 'soon', scope: 'admin' })).toMatchObject({
    status: 400,
    body: { errors: [{ field: 'expires_in' }, { field: 'scope' }] },
  })
})
