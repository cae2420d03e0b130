/** Every operation that the API's own description has, asked for with no key, with a key of each scope, and with another tenant's. */
import { expect } from 'vitest'
import { type Scope, allows, SCOPES } from '../../src/core/principal.ts'
import { type Api, type ApiAnswer, apiAt } from '../support/api.ts'
import { ApiDocument, type Operation } from '../support/api-document.ts'
import { test } from '../support/fixtures.ts'
import { CANARY } from '../support/leak-watch.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

const ADMIN_TOKEN = 'admin-token-for-tests-0123456789'

/** What acme has, by the first part of the path and by the members of bodies. */
interface Property {
  readonly paths: Readonly<Record<string, string>>
  readonly members: Readonly<Record<string, unknown>>
}

async function acmeProperty(db: TestDatabase, admin: Api, endpoint: string): Promise<Property> {
  const { id: subscription } = await subscribe(db, endpoint, { tenant: 'acme' })
  const event = await publish(db, { tenant: 'acme' })
  const [delivery] = await untilSettled(db, 1)
  const key = (await admin('POST', '/v1/keys', { json: { scope: 'read', tenant: 'acme' } })).body.id
  await db.query('select walhook.pause($1)', [subscription])
  const replay = (
    await admin('POST', '/v1/replays', { json: { subscription_id: subscription, states: ['delivered'] } })
  ).body.data[0].id
  await admin('PUT', '/v1/event-types/order.created', { json: {} })
  return {
    paths: {
      subscriptions: subscription,
      events: event,
      deliveries: delivery?.id ?? '',
      keys: key,
      replays: replay,
      'event-types': 'order.created',
    },
    members: {
      tenant: 'acme',
      subscription_id: subscription,
      event_id: event,
      ids: [delivery?.id],
      type: 'order.created',
      payload: {},
      scope: 'read',
      url: endpoint,
      filter: '$.a > 1',
    },
  }
}

/** With `{id}` and its like replaced. A resource that is not known here has to be made known. */
function pathOf({ path }: Operation, ids: Readonly<Record<string, string>>): string {
  const [, , resource = ''] = path.split('/')
  return path.replaceAll(/\{\w+\}/g, () => {
    const id = ids[resource]
    if (id === undefined) throw new Error(`this test knows no ${resource}`)
    return id
  })
}

/** Names acme's things wherever the body has a member for them. */
function bodyOf(
  { body }: Operation,
  document: ApiDocument,
  members: Property['members'],
): object | undefined {
  if (body === undefined) return undefined
  const schema = document.resolved(body) as { properties?: object; anyOf?: readonly object[] }
  const [first] = (schema.anyOf ?? [schema]).map((each) => document.resolved(each as typeof body))
  const names = Object.keys((first?.['properties'] as object | undefined) ?? {})
  return Object.fromEntries(names.flatMap((name) => (name in members ? [[name, members[name]]] : [])))
}

const ask = (api: Api, operation: Operation, path: string, json?: object): Promise<ApiAnswer> =>
  // The stream of hints has no end.
  api(operation.method, path, {
    ...(json !== undefined && { json }),
    ...(operation.path === '/v1/live' && { onlyHead: true }),
  })

const told = ({ status, body }: ApiAnswer): unknown => ({
  status,
  body: { ...body, request_id: '', instance: '' },
})

test('without a key, or with too little of one, every operation says no, and nothing of what there is', async ({
  db,
  receiver,
  sidecar,
}) => {
  const { url } = await sidecar({ WALHOOK_ADMIN_TOKEN: ADMIN_TOKEN })
  const admin = apiAt(url, ADMIN_TOKEN)
  const document = await ApiDocument.of(url)
  expect(document.operations.length).toBeGreaterThan(30)
  const { paths, members } = await acmeProperty(db, admin, receiver.url('/acme'))
  const nothing = {
    ...paths,
    subscriptions: crypto.randomUUID(),
    events: crypto.randomUUID(),
    keys: crypto.randomUUID(),
    deliveries: '999',
    replays: '999',
    'event-types': 'no.such',
  }
  const keys = await Promise.all(
    SCOPES.map(async (scope) => {
      const { key } = (await admin('POST', '/v1/keys', { json: { scope } })).body
      return { scope, api: apiAt(url, key) }
    }),
  )
  for (const operation of document.operations) {
    const real = pathOf(operation, paths)
    const unreal = pathOf(operation, nothing)
    const json = bodyOf(operation, document, members)
    const isOfOne = operation.path.includes('{')
    const nobody = await ask(apiAt(url), operation, real, json)
    expect({ operation: operation.operationId, ...nobody }).toMatchObject({
      operation: operation.operationId,
      status: 401,
      body: { type: 'urn:walhook:problem:unauthorized' },
    })
    for (const { scope, api } of keys) {
      if (operation.scope === 'any' || allows(scope, operation.scope as Scope)) {
        // Of what is not there, so that nothing is changed.
        const { status } = await ask(
          api,
          operation,
          unreal,
          isOfOne || json === undefined ? json : { unknown: 1 },
        )
        expect({ operation: operation.operationId, scope, status }).not.toMatchObject({
          status: expect.toSatisfy((got) => got === 401 || got === 403 || got >= 500),
        })
        continue
      }
      const refused = await ask(api, operation, real, json)
      expect({ operation: operation.operationId, scope, ...refused }).toMatchObject({ status: 403 })
      expect(told(await ask(api, operation, unreal, json))).toEqual(told(refused))
    }
  }
})

test('a key of another tenant, whatever it asks for, sees and changes nothing of this one’s', async ({
  db,
  receiver,
  sidecar,
}) => {
  const { url } = await sidecar({ WALHOOK_ADMIN_TOKEN: ADMIN_TOKEN })
  const admin = apiAt(url, ADMIN_TOKEN)
  const document = await ApiDocument.of(url)
  const { paths, members } = await acmeProperty(db, admin, receiver.url('/acme'))
  const { key } = (await admin('POST', '/v1/keys', { json: { scope: 'admin', tenant: 'other' } })).body
  const other = apiAt(url, key)
  const snapshot = () =>
    db.query(`select
      (select json_agg(s order by s.id) from walhook.subscriptions as s) as subscriptions,
      (select json_agg(o order by o.id) from walhook.outbox as o where tenant = 'acme') as events,
      (select json_agg(d order by d.id) from walhook.deliveries as d) as deliveries,
      (select json_agg(r order by r.id) from walhook.replays as r) as replays,
      (select json_agg(k order by k.id) from walhook.api_keys as k where tenant is distinct from 'other') as keys,
      (select json_agg(t order by t.name) from walhook.event_types as t) as event_types`)
  const before = await snapshot()
  const traces = [
    CANARY,
    'acme',
    ...Object.entries(paths).flatMap(([what, id]) => (what === 'event-types' || id.length < 30 ? [] : [id])),
  ]

  for (const operation of document.operations) {
    const { operationId, path, allTenants } = operation
    const answer = await ask(other, operation, pathOf(operation, paths), bodyOf(operation, document, members))
    const got = { operationId, status: answer.status }
    const isCatalog = path.startsWith('/v1/event-types')
    if (allTenants) expect(got).toEqual({ operationId, status: 403 })
    else if (path.includes('{') && !isCatalog)
      expect(got).toEqual({
        operationId,
        // A body that names another tenant is refused for that alone, whatever the id is.
        status: expect.toSatisfy((status) => status === 404 || status === 403),
      })
    else if (operation.method !== 'GET')
      expect(got).toEqual({
        operationId,
        status: expect.toSatisfy((status) => status >= 200 && status < 500),
      })
    // The request's own path is told back to it.
    const said = JSON.stringify(answer.body).replaceAll(pathOf(operation, paths), '')
    expect({ operationId, found: traces.filter((trace) => said.includes(trace)) }).toEqual({
      operationId,
      found: [],
    })
  }
  expect(await snapshot()).toEqual(before)
})
