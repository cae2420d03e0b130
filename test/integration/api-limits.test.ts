/** Who asks too much, or wrongly too often, keeps nobody else out. */
import { expect } from 'vitest'
import { apiAt } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'

test('whoever guesses keys is told to wait, and whoever has one is let in from the same address', async ({
  sidecar,
}) => {
  const token = 'an-admin-token-of-a-test-0123456789'
  const { url } = await sidecar({ WALHOOK_ADMIN_TOKEN: token })
  const admin = apiAt(url, token)
  const stranger = apiAt(url, `whk_${'x'.repeat(43)}`)
  // As behind a proxy: everybody comes from one address.
  const statuses: number[] = []
  for (let i = 0; i < 10; i++)
    statuses.push(
      ...(await Promise.all(Array.from({ length: 15 }, () => stranger('GET', '/v1/me')))).map(
        ({ status }) => status,
      ),
    )
  expect(new Set(statuses)).toEqual(new Set([401, 429]))
  const refused = await stranger('GET', '/v1/me')
  expect(refused.status).toBe(429)
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  expect((await admin('GET', '/v1/me')).status).toBe(200)
  expect((await apiAt(url)('POST', '/ui/session', { json: { token } })).status).toBe(200)
})

test('one key’s streams leave room for those of others', async ({ sidecar }) => {
  const { url } = await sidecar()
  const open = apiAt(url)
  const first = (await open('POST', '/v1/keys', { json: { scope: 'admin' } })).body.key as string
  const second = (await apiAt(url, first)('POST', '/v1/keys', { json: { scope: 'read', tenant: 't' } })).body
    .key as string
  const leaving = new AbortController()
  const watch = async (key: string): Promise<number> => {
    const headers = { authorization: `Bearer ${key}` }
    return (await fetch(`${url}/v1/live`, { headers, signal: leaving.signal })).status
  }
  const opened: number[] = []
  for (let i = 0; i < 60; i++) opened.push(await watch(first))
  expect(opened.filter((status) => status === 200).length).toBeLessThan(60)
  expect(opened.at(-1)).toBe(429)
  expect(await watch(second)).toBe(200)
  leaving.abort()
  await eventually(async () => {
    const again = new AbortController()
    const { status } = await fetch(`${url}/v1/live`, {
      headers: { authorization: `Bearer ${first}` },
      signal: again.signal,
    })
    again.abort()
    expect(status).toBe(200)
  })
})
