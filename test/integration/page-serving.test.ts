/** How the page is handed out: its files and nothing else, under a policy that lets nothing else run. */
import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { apiAt } from '../support/api.ts'
import { test } from '../support/fixtures.ts'

test('the page is served as it lies, under a strict policy, and nothing beside it', async ({ sidecar }) => {
  const { url } = await sidecar()
  const get = (path: string) => apiAt(url)('GET', path)

  for (const path of ['/ui/', '/ui/deliveries/12?state=dead']) {
    const page = await get(path)
    expect(page).toMatchObject({ status: 200, body: expect.stringContaining('<title>Walhook</title>') })
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self';")
    expect(policy).toContain("require-trusted-types-for 'script'; trusted-types 'none'")
    expect(policy).not.toMatch(/unsafe|https?:|\*/)
    expect(page.headers.get('x-content-type-options')).toBe('nosniff')
  }
  for (const path of ['/', '/ui']) {
    const elsewhere = await get(path)
    expect([elsewhere.status, elsewhere.headers.get('location')]).toEqual([302, '/ui/'])
  }

  const module = await get('/ui/assets/main.js')
  expect(module.body).toBe(readFileSync('src/dashboard/page/main.js', 'utf8'))
  expect(module.headers.get('content-type')).toMatch(/^(text|application)\/javascript/)
  expect(module.headers.get('cache-control')).toBe('no-cache')
  // A browser's own question; fetch would say no-cache, and get it anew.
  const again = await apiAt(url)('GET', '/ui/assets/main.js', {
    headers: { 'if-none-match': module.headers.get('etag') ?? '', 'cache-control': 'max-age=0' },
  })
  expect(again.status).toBe(304)

  const none = [
    '/ui/assets/shapes.ts',
    '/ui/assets/tsconfig.json',
    '/ui/assets/',
    '/ui/assets/../serve-page.ts',
    '/ui/assets/..%2fserve-page.ts',
    '/ui/assets/%2e%2e/%2e%2e/config.ts',
    '/ui/assets/views',
  ]
  for (const path of none) {
    const answer = await get(path)
    expect(String(answer.body), path).not.toMatch(/export |import |"extends"/)
    expect([400, 403, 404, 200], path).toContain(answer.status)
    if (path.endsWith('s.ts') || path.endsWith('.json')) expect(answer.status).toBe(404)
  }
  const { files } = JSON.parse(readFileSync('package.json', 'utf8')) as { files: string[] }
  expect(files).toContain('src/dashboard/page')
})
