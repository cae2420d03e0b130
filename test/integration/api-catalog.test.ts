/** /v1/event-types: the catalog over HTTP is the one that psql and the commands have. */
import { expect } from 'vitest'
import { type Api, apiAt } from '../support/api.ts'
import { walhookHere } from '../support/command-line.ts'
import { test } from '../support/fixtures.ts'

const ADMIN_TOKEN = 'admin-token-for-tests-0123456789'

async function keyFor(admin: Api, json: object): Promise<string> {
  return (await admin('POST', '/v1/keys', { json })).body.key
}

test('types are made, read, changed under If-Match, listed and taken out', async ({ db, sidecar }) => {
  const { url } = await sidecar({ WALHOOK_ADMIN_TOKEN: ADMIN_TOKEN })
  const api = apiAt(url, ADMIN_TOKEN)
  const path = '/v1/event-types/order.created'
  const text = '{"schema": {"maximum": 12345678901234567890}, "example": 1.50, "description": "One"}'
  const made = await api('PUT', path, { text, headers: { 'content-type': 'application/json' } })
  expect(made).toMatchObject({
    status: 201,
    body: { name: 'order.created', description: 'One', deprecated: false, example: 1.5 },
  })
  expect(await db.query('select schema::text, example::text from walhook.event_types')).toEqual([
    { schema: '{"maximum": 12345678901234567890}', example: '1.50' },
  ])

  const read = await api('GET', path)
  const tag = read.headers.get('etag') ?? ''
  expect(tag).toBe(made.headers.get('etag'))
  const changed = await api('PUT', path, { json: { deprecated: true }, headers: { 'if-match': tag } })
  expect(changed).toMatchObject({ status: 200, body: { deprecated: true, schema: null, description: null } })
  const stale = await api('PUT', path, { json: {}, headers: { 'if-match': tag } })
  expect(stale).toMatchObject({ status: 412, body: { type: 'urn:walhook:problem:precondition_failed' } })
  expect((await api('DELETE', path, { headers: { 'if-match': tag } })).status).toBe(412)
  expect(
    (await api('PUT', '/v1/event-types/not.there', { json: {}, headers: { 'if-match': '*' } })).status,
  ).toBe(412)
  expect(
    (await walhookHere(['event-types', 'show', 'order.created', '--json'], { DATABASE_URL: db.url })).stdout,
  ).toContain('"deprecated":true')

  for (const name of ['a', 'b', 'Z']) await api('PUT', `/v1/event-types/${name}`, { json: {} })
  const names: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const page: { data: { name: string }[]; next_cursor: string | null } = (
      await api('GET', `/v1/event-types?limit=2${cursor && `&cursor=${cursor}`}`)
    ).body
    names.push(...page.data.map(({ name }) => name))
    cursor = page.next_cursor
    // What comes before the place where it stands shifts nothing.
    if (names.length === 2) await api('PUT', '/v1/event-types/A', { json: {} })
  }
  expect(names).toEqual(['Z', 'a', 'b', 'order.created'])
  const [key] = (await api('GET', '/v1/keys?limit=1')).body.data
  expect(key).toBeUndefined()
  const elsewhere = (await api('GET', '/v1/event-types?limit=1')).body.next_cursor
  expect((await api('GET', `/v1/keys?cursor=${elsewhere}`)).status).toBe(400)

  const fresh = (await api('GET', path)).headers.get('etag') ?? ''
  expect((await api('DELETE', path, { headers: { 'if-match': `"x", ${fresh}` } })).status).toBe(204)
  expect((await api('GET', path)).status).toBe(404)
  expect((await api('DELETE', path)).status).toBe(404)
})

test('what cannot be a type is refused by field, and a tenant’s key changes nothing', async ({
  db,
  sidecar,
}) => {
  const { url } = await sidecar({ WALHOOK_ADMIN_TOKEN: ADMIN_TOKEN })
  const api = apiAt(url, ADMIN_TOKEN)
  const path = '/v1/event-types/order.created'
  const refused: readonly (readonly [status: number, field: string, json: unknown])[] = [
    [400, 'schema', { schema: 'object' }],
    [400, 'description', { description: 'a\0b' }],
    [400, 'description', { description: '\ud800' }],
    [400, 'deprecated', { deprecated: 'yes' }],
    [400, 'colour', { colour: 1 }],
    [422, 'schema', { schema: { type: 'thing' } }],
    [422, 'schema', { schema: { $schema: 'http://json-schema.org/draft-07/schema#' } }],
    [422, 'schema', { schema: { description: 'x'.repeat(70_000) } }],
    [422, 'example', { schema: { type: 'string' }, example: 1 }],
    [422, 'example', { example: 'x'.repeat(70_000) }],
  ]
  for (const [status, field, json] of refused) {
    const answer = await api('PUT', path, { json })
    expect({ json, answer }).toMatchObject({ answer: { status, body: { errors: [{ field }] } } })
  }
  const deep = `{"example": ${'['.repeat(600)}${']'.repeat(600)}}`
  const nested = await api('PUT', path, { text: deep, headers: { 'content-type': 'application/json' } })
  expect(nested).toMatchObject({ status: 400, body: { errors: [{ field: 'body' }] } })
  expect((await api('PUT', '/v1/event-types/not%20a%20type', { json: {} })).body.errors).toMatchObject([
    { field: 'name' },
  ])

  const tenant = apiAt(url, await keyFor(api, { scope: 'admin', tenant: 't' }))
  expect((await tenant('PUT', path, { json: {} })).status).toBe(403)
  expect((await tenant('DELETE', path)).status).toBe(403)
  expect((await tenant('GET', '/v1/event-types')).status).toBe(200)
  const reader = apiAt(url, await keyFor(api, { scope: 'read' }))
  expect((await reader('PUT', path, { json: {} })).status).toBe(403)
  expect(await db.query('select from walhook.event_types')).toEqual([])
})
