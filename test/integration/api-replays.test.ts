/** /v1/replays: asked for, counted, watched, stopped and continued; a tenant's key gets no further than its own. */
import { expect } from 'vitest'
import { apiAt } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'

const ADMIN_TOKEN = 'admin-token-for-tests-0123456789'

test('dead letters are sent again, of one’s own subscriptions', async ({ db, receiver, sidecar }) => {
  const { url } = await sidecar({ WALHOOK_ADMIN_TOKEN: ADMIN_TOKEN })
  const admin = apiAt(url, ADMIN_TOKEN)
  const { key } = (await admin('POST', '/v1/keys', { json: { scope: 'operate', tenant: 'acme' } })).body
  const acme = apiAt(url, key)
  const once = { retrySchedule: [] as string[] }
  const own = await subscribe(db, receiver.url('/acme'), { ...once, tenant: 'acme' })
  const other = await subscribe(db, receiver.url('/other'), { ...once, tenant: 'other' })
  for (const path of ['/acme', '/other']) receiver.on(path, [respond(500), respond(204)])
  await publish(db, { tenant: 'acme' })
  await publish(db, { tenant: 'other' })
  await untilSettled(db, 2)

  const replay = (api: typeof admin, json: unknown) => api('POST', '/v1/replays', { json })
  expect(await replay(admin, { created_from: '2020-01-01T00:00:00Z', dry_run: true })).toMatchObject({
    status: 200,
    body: { data: [{ id: null, kind: 'resend', total: 1 }, { total: 1 }] },
  })
  expect(await replay(admin, {})).toMatchObject({
    status: 422,
    body: { errors: [{ field: 'subscription_id' }] },
  })
  expect(await replay(admin, { created_from: 'yesterday', states: ['lost'] })).toMatchObject({
    status: 400,
    body: { errors: [{ field: 'created_from' }, { field: 'states.0' }] },
  })
  expect(await replay(admin, { subscription_id: crypto.randomUUID() })).toMatchObject({ status: 404 })

  expect((await replay(acme, { created_from: '2020-01-01T00:00:00Z' })).status).toBe(422)
  expect((await replay(acme, { subscription_id: own.id, tenant: 'other' })).status).toBe(403)
  expect((await replay(acme, { subscription_id: other.id })).status).toBe(404)
  const theirs = await replay(admin, { subscription_id: other.id })
  expect(theirs.status).toBe(201)
  const [{ id: hidden }] = theirs.body.data
  const mine = await replay(acme, { subscription_id: own.id })
  expect(mine).toMatchObject({ status: 201, body: { data: [{ subscription_id: own.id, total: 1 }] } })
  const [{ id }] = mine.body.data
  await receiver.waitFor(4)
  await eventually(async () =>
    expect((await acme('GET', `/v1/replays/${id}`)).body).toMatchObject({
      state: 'done',
      replayed: 1,
      percent: 100,
    }),
  )

  expect((await acme('GET', '/v1/replays')).body.data).toMatchObject([{ id }])
  const first = (await admin('GET', '/v1/replays?limit=1')).body
  expect(first.data).toMatchObject([{ id }])
  expect((await admin('GET', `/v1/replays?cursor=${first.next_cursor}`)).body.data).toMatchObject([
    { id: hidden },
  ])
  for (const call of [
    ['GET', `/v1/replays/${hidden}`],
    ['POST', `/v1/replays/${hidden}/stop`],
    ['POST', `/v1/replays/${hidden}/continue`],
  ] as const)
    expect((await acme(call[0], call[1])).status).toBe(404)
  expect((await admin('POST', '/v1/replays/999/stop')).status).toBe(404)
  expect((await admin('POST', `/v1/replays/${id}/stop`)).body).toMatchObject({ state: 'done' })
  expect(await admin('POST', `/v1/replays/${id}/continue`)).toMatchObject({
    status: 422,
    body: { errors: [{ field: 'id' }] },
  })

  await db.query('select walhook.pause($1)', [own.id])
  const waiting = await replay(acme, { subscription_id: own.id, states: ['delivered'] })
  const [{ id: parked }] = waiting.body.data
  expect((await acme('POST', `/v1/replays/${parked}/stop`)).body).toMatchObject({
    id: parked,
    state: 'stopped',
  })
  expect((await acme('POST', `/v1/replays/${parked}/continue`)).body).toMatchObject({ state: 'running' })
})
