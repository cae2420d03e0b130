/** `walhook api-keys` and `walhook portal-link`: what they make opens the API, and what they end does not any more. */
import { expect } from 'vitest'
import { apiAt } from '../support/api.ts'
import { walhookHere } from '../support/command-line.ts'
import { sidecarEnvironment, test } from '../support/fixtures.ts'

test('keys: created, listed, used, revoked', async ({ db, sidecar }) => {
  const { url } = await sidecar()
  const env = { DATABASE_URL: db.url }
  const run = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await walhookHere(['api-keys', ...args], env)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return JSON.parse(stdout)
  }
  const { api_key: made } = await run(
    'create',
    '--scope',
    'read',
    '--tenant',
    't',
    '--name',
    'x',
    '--expires-in',
    '1h',
    '--json',
  )
  expect(made).toMatchObject({ name: 'x', scope: 'read', tenant: 't', revoked_at: null })
  const api = apiAt(url, made.key)
  expect((await api('GET', '/v1/me')).body).toMatchObject({ key_id: made.id, tenant: 't', scope: 'read' })

  const { api_keys: listed } = await run('list', '--json')
  expect(listed).toMatchObject([{ id: made.id, last_used_at: expect.stringMatching(/Z$/) }])
  expect(JSON.stringify(listed)).not.toContain(made.key)
  expect(await run('revoke', made.id, '--json')).toEqual({ revoked: made.id })
  expect((await api('GET', '/v1/me')).status).toBe(401)

  const shown = await walhookHere(['api-keys', 'create', '--scope', 'publish'], env)
  expect(shown.stdout).toMatch(/^id {3}[0-9a-f-]{36}\nkey {2}whk_[A-Za-z0-9_-]{43}\n$/)
  expect(await walhookHere(['api-keys', 'revoke', crypto.randomUUID()], env)).toMatchObject({ code: 1 })
  for (const args of [
    ['create'],
    ['create', '--scope', 'root'],
    ['create', '--scope', 'read', '--expires-in', 'soon'],
    ['revoke', '7'],
  ])
    expect(await walhookHere(['api-keys', ...args], env)).toMatchObject({ code: 2 })
  expect(await walhookHere(['api-keys', 'create', '--scope', 'read', '--tenant', ''], env)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('tenant has to be 1 to 255 characters'),
  })
})

test('a portal link that the command prints opens the page, with a token and without', async ({
  db,
  sidecar,
}) => {
  for (const more of [{}, { WALHOOK_ADMIN_TOKEN: 'admin-token-for-tests-0123456789' }]) {
    const running = await sidecar(more)
    const { url } = running
    const env = { ...sidecarEnvironment(db, 'auto'), ...more }
    const args = ['portal-link', '--tenant', 'acme', '--scope', 'operate', '--url', url, '--json']
    const { portal_link: link } = JSON.parse((await walhookHere(args, env)).stdout)
    expect(link).toMatchObject({ tenant: 'acme', scope: 'operate' })
    const entered = await apiAt(url)('GET', link.url)
    expect(entered.headers.get('location')).toBe('/ui/')
    const cookie = entered.headers.get('set-cookie')?.split(';')[0] ?? ''
    expect((await apiAt(url)('GET', '/v1/me', { headers: { cookie } })).body).toMatchObject({
      tenant: 'acme',
      scope: 'operate',
    })
    await running.stop()
  }
  const late = ['portal-link', '--tenant', 'acme', '--expires-in', '31d']
  expect(await walhookHere(late, { DATABASE_URL: db.url })).toMatchObject({ code: 2 })
})
