/** The stream of hints: what happens is told soon, a tenant is told of its own only, and who does not read is dropped. */
import { connect } from 'node:net'
import { expect } from 'vitest'
import { apiAt } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { LiveStream } from '../support/live-stream.ts'
import { publish, subscribe } from '../support/sql-surface.ts'

const ADMIN_TOKEN = 'admin-token-for-tests-0123456789'

test('deliveries and the slot are hinted at, to each tenant its own', async ({ db, receiver, sidecar }) => {
  const { url } = await sidecar({ WALHOOK_ADMIN_TOKEN: ADMIN_TOKEN })
  const admin = apiAt(url, ADMIN_TOKEN)
  const acme = (await admin('POST', '/v1/keys', { json: { scope: 'read', tenant: 'acme' } })).body.key
  const publisher = (await admin('POST', '/v1/keys', { json: { scope: 'publish' } })).body.key
  const [ofAcme, ofOther] = await Promise.all(
    ['acme', 'other'].map((tenant) => subscribe(db, receiver.url(`/${tenant}`), { tenant })),
  )
  await using none = await LiveStream.open(url)
  await using forbidden = await LiveStream.open(url, publisher)
  expect([none.status, forbidden.status]).toEqual([401, 403])

  await using all = await LiveStream.open(url, ADMIN_TOKEN)
  await using own = await LiveStream.open(url, acme)
  expect(own.headers.get('content-type')).toMatch(/^text\/event-stream/)
  expect(own.headers.get('content-security-policy')).toContain("default-src 'none'")
  await publish(db, { tenant: 'other' })
  await eventually(() => expect(all.seen).toContainEqual({ kind: 'delivery', subscription_id: ofOther?.id }))
  expect(own.seen).toEqual([])
  await publish(db, { tenant: 'acme' })
  await eventually(() => {
    expect(all.seen).toContainEqual({ kind: 'delivery', subscription_id: ofAcme?.id })
    expect(own.seen).toContainEqual({ kind: 'delivery', subscription_id: null })
    expect(all.seen).toContainEqual({ kind: 'stats' })
  })
  expect(own.seen.filter(({ kind }) => kind === 'slot')).toEqual([])
})

test('a stream that is open does not hold the end of the process up', async ({ sidecar }) => {
  const running = await sidecar()
  await using stream = await LiveStream.open(running.url)
  const { hostname, port } = new URL(running.url)
  const silent = connect(Number(port), hostname)
  silent.write('GET /v1/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n')
  await running.stop()
  expect(await stream.ends(5_000)).toBe(true)
  silent.destroy()
})
