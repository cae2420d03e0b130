/** Signing secrets at rest: SQL writes and returns them as ever, the database keeps them sealed, and webhooks verify. */
import { randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { expect } from 'vitest'
import { parseKeyRing } from '../../src/core/key-ring.ts'
import { walhook } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { sidecarEnvironment, test } from '../support/fixtures.ts'
import type { ReceivedRequest } from '../support/receiver.ts'
import { deliveries, publish, subscribe, untilSettled } from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

const [KEY, OTHER_KEY] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')]
const WITH_KEY = { WALHOOK_ENCRYPTION_KEY: KEY }

function idOf(key: string): string {
  const parsed = parseKeyRing(key)
  return (parsed.kind === 'ring' ? parsed.ring[0]?.id : undefined) ?? ''
}

interface Row {
  readonly id: string
  readonly secret: string
  readonly previous_secret: string | null
  readonly secret_preview: string
  readonly updated_at: string
}

function rows(db: TestDatabase): Promise<Row[]> {
  return db.query<Row>(
    `select id, secret, previous_secret, secret_preview, updated_at::text from walhook.subscriptions order by created_at, id`,
  )
}

/** Once every secret is sealed, with this key. */
function untilSealed(db: TestDatabase, key = KEY): Promise<Row[]> {
  return eventually(async () => {
    const all = await rows(db)
    for (const { secret, previous_secret: previous } of all)
      for (const text of [secret, previous ?? secret])
        expect(text.split(':').slice(0, 3)).toEqual(['enc', 'v1', idOf(key)])
    return all
  })
}

/** Every row of every table of Walhook's, as text. */
async function wholeDatabase(db: TestDatabase): Promise<string> {
  const tables = await db.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class as c
     where c.relkind in ('r', 'v') and c.relnamespace::regnamespace::text like 'walhook%'`,
  )
  const dumps = await Promise.all(
    tables.map(({ name }) => db.query<{ row: string }>(`select t::text as row from ${name} as t`)),
  )
  return dumps.flatMap((dump) => dump.map(({ row }) => row)).join('\n')
}

async function rotate(db: TestDatabase, id: string, overlap = '1 hour'): Promise<string> {
  const [made] = await db.query<{ secret: string }>(
    'select walhook.rotate_secret($1, overlap => $2::interval) as secret',
    [id, overlap],
  )
  return made?.secret ?? ''
}

function isSignedWith(request: ReceivedRequest | undefined, secret: string): boolean {
  if (request === undefined) throw new Error('there was no request')
  try {
    new Webhook(secret).verify(request.body, request.headers as Record<string, string>, { jsonParse: false })
    return true
  } catch {
    return false
  }
}

const signatures = (request: ReceivedRequest | undefined): number =>
  String(request?.headers['webhook-signature']).split(' ').length

test('what SQL wrote is sealed, used or not; the database holds it no more, and webhooks verify', async ({
  db,
  receiver,
  sidecar,
}) => {
  const before = await subscribe(db, receiver.url('/before'))
  const untouched = await rows(db)
  const { logs } = await sidecar(WITH_KEY)
  const during = await subscribe(db, receiver.url('/during'))
  const inserted = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  await db.query('insert into walhook.subscriptions (url, event_types, secret) values ($1, $2, $3)', [
    receiver.url('/inserted'),
    ['*'],
    inserted,
  ])
  receiver.verify('/before', before.secret)
  receiver.verify('/during', during.secret)
  receiver.verify('/inserted', inserted)

  const sealed = await untilSealed(db)
  expect(sealed).toHaveLength(3)
  const dump = await wholeDatabase(db)
  expect(dump).toContain(receiver.url('/during'))
  for (const secret of [before.secret, during.secret, inserted])
    expect(dump).not.toContain(secret.slice('whsec_'.length, -8))
  // Sealing is no change of the subscription, and the last four characters still tell which secret it is.
  expect(sealed[0]?.updated_at).toBe(untouched[0]?.updated_at)
  expect(sealed[2]?.secret_preview).toBe('whsec_…LaSw')
  expect(sealed[0]?.secret_preview).toBe(`whsec_…${before.secret.replace('=', '').slice(-4)}`)
  expect(await db.query('select secret_preview from walhook.subscription_health order by url')).toEqual(
    [sealed[0], sealed[1], sealed[2]].map((row) => ({ secret_preview: row?.secret_preview })),
  )

  await publish(db)
  expect((await receiver.waitFor(3)).map(({ forged }) => forged)).toEqual([undefined, undefined, undefined])
  // A plain UPDATE is noticed as well, and is a change.
  await db.query('update walhook.subscriptions set secret = $1 where id = $2', [inserted, before.id])
  const [updated] = await untilSealed(db)
  expect(updated?.secret_preview).toBe('whsec_…LaSw')
  expect(updated?.updated_at).not.toBe(untouched[0]?.updated_at)
  const lines = logs.all().map((line) => JSON.stringify(line))
  for (const secret of [before.secret.slice(6), inserted.slice(6), KEY])
    expect(lines.filter((line) => line.includes(secret))).toEqual([])
})

test('after a rotation both secrets sign until the overlap ends; then the old one does not, and is removed', async ({
  db,
  receiver,
  sidecar,
}) => {
  const first = await sidecar(WITH_KEY)
  const { id, secret: old } = await subscribe(db, receiver.url('/hook'))
  await untilSealed(db)
  const fresh = await rotate(db, id)
  const [rotated] = await untilSealed(db)
  expect(rotated?.previous_secret).not.toBeNull()
  await publish(db)
  const [during] = await receiver.waitFor(1)
  expect([fresh, old].map((secret) => isSignedWith(during, secret))).toEqual([true, true])

  await db.query('update walhook.subscriptions set previous_secret_until = now()')
  const last = await eventually(async () => {
    await publish(db)
    const request = receiver.requests().at(-1)
    expect(signatures(request)).toBe(1)
    return request
  })
  expect([fresh, old].map((secret) => isSignedWith(last, secret))).toEqual([true, false])
  await first.stop()

  const [ended] = await rows(db)
  expect(ended?.previous_secret).not.toBeNull()
  const second = await sidecar(WITH_KEY)
  expect(await second.logs.waitFor('retention.applied')).toMatchObject({ previousSecrets: 1 })
  expect(await rows(db)).toEqual([{ ...ended, previous_secret: null }])
})

test('rotated while events flow, at any moment the newest or the one before it verifies', async ({
  db,
  receiver,
  sidecar,
}) => {
  await sidecar(WITH_KEY)
  const { id, secret: first } = await subscribe(db, receiver.url('/hook'))
  const secrets = [first]
  const wrong: string[] = []
  receiver.on('/hook', (request) => {
    if (!secrets.slice(-2).some((secret) => isSignedWith(request, secret))) wrong.push(request.id)
    return { kind: 'respond', status: 204 }
  })
  let count = 0
  const flow = async (events: number): Promise<void> => {
    count += events
    for (let i = 0; i < events; i++) await publish(db)
  }
  for (let i = 0; i < 5; i++) {
    // The receiver knows the new secret before anything can be signed with it: before its transaction commits.
    const client = await db.application()
    await client.query('begin')
    const { rows: made } = await client.query<{ secret: string }>(
      `select walhook.rotate_secret($1, overlap => '1 hour') as secret`,
      [id],
    )
    const flowing = flow(200)
    const fresh = made[0]?.secret ?? ''
    secrets.push(fresh)
    await client.query('commit')
    await flowing
    await eventually(async () => {
      await flow(1)
      expect(receiver.requests().some((request) => isSignedWith(request, fresh))).toBe(true)
    })
    await untilSettled(db, count)
  }
  expect(wrong).toEqual([])
  await untilSealed(db)
  await publish(db)
  const all = await receiver.waitFor(count + 1)
  expect(isSignedWith(all.at(-1), secrets.at(-1) ?? '')).toBe(true)
})

test('another key: all is sealed anew, Walhook says when the old key may be dropped, and then it may', async ({
  db,
  receiver,
  sidecar,
}) => {
  const before = await sidecar(WITH_KEY)
  const { id, secret } = await subscribe(db, receiver.url('/hook'))
  receiver.verify('/hook', secret)
  await untilSealed(db)
  await rotate(db, id)
  const sealed = await untilSealed(db)
  await before.stop()

  const both = await sidecar({ WALHOOK_ENCRYPTION_KEY: `${OTHER_KEY},${KEY}` })
  expect(await both.logs.waitFor('secrets.old_keys_unused')).toMatchObject({ key_ids: [idOf(KEY)] })
  expect(both.logs.all('secrets.old_keys_in_use')).toEqual([])
  const anew = await untilSealed(db, OTHER_KEY)
  expect(anew.map(({ secret_preview, updated_at }) => ({ secret_preview, updated_at }))).toEqual(
    sealed.map(({ secret_preview, updated_at }) => ({ secret_preview, updated_at })),
  )
  await both.stop()

  await sidecar({ WALHOOK_ENCRYPTION_KEY: OTHER_KEY })
  await publish(db)
  // By the previous secret, whose overlap has not ended.
  expect((await receiver.waitFor(1)).map(({ forged }) => forged)).toEqual([undefined])
})

test('a key that is wrong or missing is told at the start, with what it concerns; nothing is sent', async ({
  db,
  plugin,
  receiver,
  sidecar,
}) => {
  const sealing = await sidecar(WITH_KEY)
  const { id } = await subscribe(db, receiver.url('/hook'))
  await untilSealed(db)
  await sealing.stop()
  await publish(db)
  const failure = async (env: Readonly<Record<string, string>>): Promise<string> => {
    const { code, stderr } = await walhook(['run'], { ...sidecarEnvironment(db, plugin), ...env })
    expect(code).toBe(2)
    for (const key of [KEY, OTHER_KEY]) expect(stderr).not.toContain(key)
    return stderr
  }
  const missing = await failure({})
  expect(missing).toContain(
    `walhook: the secrets of subscription ${id} cannot be read: WALHOOK_ENCRYPTION_KEY is not set (configuration)\n`,
  )
  expect(missing).toContain(`the key with id ${idOf(KEY)}`)
  await db.query(
    `insert into walhook.subscriptions (id, url, event_types, secret)
     select '00000000-0000-7000-8000-000000000000', url, event_types, secret from walhook.subscriptions`,
  )
  expect(await failure({ WALHOOK_ENCRYPTION_KEY: OTHER_KEY })).toContain(
    'the secrets of 2 subscriptions, among them 00000000-0000-7000-8000-000000000000, cannot be read: ' +
      'WALHOOK_ENCRYPTION_KEY does not have the key that sealed them (configuration)\n',
  )
  expect(receiver.requests()).toEqual([])
  // As the remedy says, where the key is lost.
  for (const row of await rows(db)) await rotate(db, row.id, '0')
  expect((await rows(db)).map(({ previous_secret: previous }) => previous)).toEqual([null, null])
  const mended = await sidecar({ WALHOOK_ENCRYPTION_KEY: OTHER_KEY })
  await receiver.waitFor(1)
  await untilSealed(db, OTHER_KEY)
  expect(mended.logs.all('secret.unreadable')).toEqual([])
})

test('what is not this row’s own parks its deliveries and no others, until it has a secret again', async ({
  db,
  receiver,
  sidecar,
}) => {
  const running = await sidecar(WITH_KEY)
  const { logs } = running
  const broken = await subscribe(db, receiver.url('/broken'))
  const whole = await subscribe(db, receiver.url('/whole'))
  receiver.verify('/whole', whole.secret)
  await untilSealed(db)
  await db.query(
    `update walhook.subscriptions set secret = (select secret from walhook.subscriptions where id = $2) where id = $1`,
    [broken.id, whole.id],
  )
  // What was read before may serve for a second.
  await running.stop()
  const again = await sidecar(WITH_KEY)
  const ids = [await publish(db), await publish(db), await publish(db)]
  await receiver.waitFor(3)
  await untilSettled(db, 3, { subscription: whole })
  expect(await again.logs.waitFor('secret.unreadable')).toMatchObject({
    level: 'error',
    subscription_id: broken.id,
    column: 'secret',
    reason: 'not_authentic',
  })
  await eventually(async () =>
    expect(
      (await deliveries(db, broken)).map(({ state, waits_as, attempts }) => [state, waits_as, attempts]),
    ).toEqual(ids.map(() => ['pending', 'waiting', 0])),
  )
  expect(receiver.requests().map(({ path, forged }) => [path, forged])).toEqual(
    ids.map(() => ['/whole', undefined]),
  )
  expect(again.logs.all('secret.unreadable').length).toBeLessThan(8)
  expect(logs.all('secret.unreadable')).toEqual([])

  receiver.verify('/broken', await rotate(db, broken.id, '0'))
  await untilSettled(db, 3, { subscription: broken, withinMs: 40_000 })
  const arrived = receiver.requests('/broken')
  expect(arrived.map(({ id }) => id).sort()).toEqual([...ids].sort())
  expect(arrived.map(({ forged }) => forged)).toEqual(ids.map(() => undefined))
})

test('a previous secret that is put back sealed does not sign', async ({ db, receiver, sidecar }) => {
  const { logs } = await sidecar(WITH_KEY)
  const { id, secret } = await subscribe(db, receiver.url('/hook'))
  await untilSealed(db)
  await rotate(db, id)
  await untilSealed(db)
  await db.query('update walhook.subscriptions set secret = previous_secret')
  await publish(db)
  expect(await logs.waitFor('secret.unreadable')).toMatchObject({ column: 'secret', reason: 'not_authentic' })
  expect(receiver.requests()).toEqual([])
  // Written plain it does.
  receiver.verify('/hook', secret)
  await db.query('update walhook.subscriptions set secret = $1', [secret])
  expect((await receiver.waitFor(1)).map(({ forged }) => forged)).toEqual([undefined])
})

test('a replica without the key leaves the deliveries to one that has it', async ({
  db,
  receiver,
  sidecar,
}) => {
  const without = await sidecar()
  await without.logs.waitFor('relay.streaming')
  const { secret } = await subscribe(db, receiver.url('/hook'))
  receiver.verify('/hook', secret)
  await sidecar(WITH_KEY)
  await untilSealed(db)
  const ids = await Promise.all(Array.from({ length: 20 }, () => publish(db)))
  expect((await receiver.waitFor(20)).map(({ forged }) => forged)).toEqual(ids.map(() => undefined))
  expect((await untilSettled(db, 20)).map(({ attempts }) => attempts)).toEqual(ids.map(() => 1))
  expect(await without.logs.waitFor('secret.unreadable')).toMatchObject({ reason: 'key_unknown' })
})

test('replicas seal at once without harm, wait for nobody who holds a row, and overwrite no rotation', async ({
  db,
  sidecar,
}) => {
  // Makes the slot, which would wait for the person below.
  await (await sidecar()).stop()
  const person = await db.application()
  await db.query(
    `insert into walhook.subscriptions (url, event_types, secret)
     select 'https://example.com/' || n, '{a.b}', walhook.new_secret() from generate_series(1, 3000) as n`,
  )
  await person.query('begin')
  await person.query(
    `select walhook.rotate_secret(id, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') from walhook.subscriptions
     where url = 'https://example.com/1500'`,
  )
  const replicas = await Promise.all([sidecar(WITH_KEY), sidecar(WITH_KEY)])
  const untilOnlyTheHeldOneIsPlain = (): Promise<void> =>
    eventually(async () => {
      const plain = await db.query(`select url from walhook.subscriptions where secret like 'whsec%'`)
      expect(plain).toEqual([{ url: 'https://example.com/1500' }])
    })
  await untilOnlyTheHeldOneIsPlain()
  await subscribe(db, 'https://example.com/later')
  await untilOnlyTheHeldOneIsPlain()
  await person.query('commit')
  await untilSealed(db)
  expect(
    await db.query(
      `select secret_preview from walhook.subscriptions where url = 'https://example.com/1500' and previous_secret is not null`,
    ),
  ).toEqual([{ secret_preview: 'whsec_…LaSw' }])
  const sealed = replicas.flatMap(({ logs }) =>
    logs.all('secrets.sealed').map((line) => line['subscriptions']),
  )
  expect(sealed.reduce<number>((sum, count) => sum + Number(count), 0)).toBe(3_001)
  for (const { logs } of replicas)
    expect(logs.all().filter(({ level }) => level === 'warn' || level === 'error')).toEqual([])
  // The look that comes each second reads an index that is empty now, whatever the planner knows of the table.
  const plan = await db.query<Record<'QUERY PLAN', string>>(
    `explain select id from walhook.subscriptions where secret not like 'enc:%' or previous_secret not like 'enc:%'
     order by created_at limit 500 for no key update skip locked`,
  )
  expect(plan.map((line) => line['QUERY PLAN']).join('\n')).toContain(
    'Index Scan using subscriptions_unsealed',
  )
})

test('only Walhook seals: people give a plain secret, and what they get wrong is not repeated', async ({
  db,
}) => {
  const { id, secret } = await subscribe(db, 'https://example.com/')
  const sealedText = `enc:v1:0123abcd:LaSw:${'A'.repeat(64)}`
  const refused = [
    ['select walhook.subscribe($1, secret => $2)', ['https://example.com/', sealedText], 'plain'],
    ['select walhook.rotate_secret($1, $2)', [id, sealedText], 'plain'],
    [
      'select walhook.rotate_secret($1, $2)',
      [id, 'whsec_tooshort'],
      'whsec_ and the base64 of 24 to 64 bytes',
    ],
  ] as const
  for (const [statement, values, rule] of refused) {
    const error: unknown = await db.query(statement, [...values]).catch((refusal: unknown) => refusal)
    if (!(error instanceof Error)) throw new Error('it was not refused')
    const told = [error.message, ...Object.values(error)].join('\n')
    expect(told).toContain(`secret has to be ${rule}`)
    for (const part of [secret.slice(6, 20), 'tooshort', 'AAAA']) expect(told).not.toContain(part)
  }
  for (const text of [
    'secret',
    'enc:v1:0123abcd:LaSw:short',
    `enc:v1:0123ABCD::${'A'.repeat(64)}`,
    `${sealedText}\n`,
  ])
    await expect(db.query('update walhook.subscriptions set secret = $1', [text])).rejects.toMatchObject({
      column: 'secret',
      detail: undefined,
    })
})
