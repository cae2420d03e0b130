/**
 * G12: a secret is shown once and is never logged, and an endpoint cannot make Walhook call an address that it must not.
 * The spellings of addresses are the unit suite's; here: that nothing on the way from the table to the socket forgets to ask.
 */
import { expect, inject, onTestFinished } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { attemptsOf, deliveries, publish, subscribe, untilSettled } from '../support/sql-surface.ts'
import { administer } from '../support/test-database.ts'

eachPlugin(() => {
  test('an address that is not public is dead at once, and no connection is made', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar({ WALHOOK_ALLOW_NETWORKS: '' })
    const { port } = new URL(receiver.url())
    const urls = [
      `http://127.0.0.1:${port}/`,
      `http://localhost:${port}/`,
      `http://endpoint.localhost:${port}/`,
      `http://2130706433:${port}/`,
      `http://0x7f.1:${port}/`,
      `http://[::1]:${port}/`,
      `http://[::ffff:127.0.0.1]:${port}/`,
      `http://0.0.0.0:${port}/`,
      'http://10.0.0.1/',
      'http://169.254.169.254/latest/meta-data',
      'http://192.168.1.1/',
      'http://[fd00::1]/',
    ]
    for (const url of urls) await subscribe(db, url)
    const id = await publish(db)

    const rows = await untilSettled(db, urls.length)
    expect(
      rows.map(({ url, state, attempts, last_error }) => ({ url, state, attempts, last_error })),
    ).toEqual(rows.map(({ url }) => ({ url, state: 'dead', attempts: 1, last_error: 'address_denied' })))
    expect(new Set((await attemptsOf(db, id)).map(({ error }) => error))).toEqual(new Set(['address_denied']))
    expect(receiver.connections).toBe(0)
    expect(receiver.requests()).toEqual([])
  })

  test('a network that is allowed is allowed, and no other', async ({ db, receiver, sidecar }) => {
    await sidecar({ WALHOOK_ALLOW_NETWORKS: '127.0.0.1/32' })
    const { port } = new URL(receiver.url())
    await subscribe(db, `http://127.0.0.1:${port}/allowed`)
    await subscribe(db, `http://127.0.0.2:${port}/not`)
    await publish(db)
    const rows = await untilSettled(db, 2)
    expect(
      rows
        .map(({ state, last_error }) => ({ state, last_error }))
        .sort((a, b) => (a.state < b.state ? -1 : 1)),
    ).toEqual([
      { state: 'dead', last_error: 'address_denied' },
      { state: 'delivered', last_error: null },
    ])
    expect(receiver.requests().map(({ path }) => path)).toEqual(['/allowed'])
  })

  test('http is refused unless it is allowed', async ({ db, receiver, sidecar }) => {
    await sidecar({ WALHOOK_ALLOW_HTTP: 'false' })
    await subscribe(db, receiver.url('/hook'))
    await publish(db)
    expect(await untilSettled(db, 1)).toMatchObject([
      { state: 'dead', attempts: 1, last_error: 'invalid_url' },
    ])
    expect(receiver.connections).toBe(0)
  })

  test('a redirect is a failed attempt, and is not followed', async ({ db, receiver, sidecar }) => {
    await sidecar()
    const statuses = [301, 302, 303, 307, 308]
    for (const status of statuses) {
      receiver.on(`/${status}`, () => respond(status, { headers: { location: receiver.url('/elsewhere') } }))
      await subscribe(db, receiver.url(`/${status}`), { retrySchedule: [] })
    }
    await publish(db)
    const rows = await untilSettled(db, statuses.length)
    expect(rows.map(({ state }) => state)).toEqual(statuses.map(() => 'dead'))
    expect(rows.map(({ last_status }) => last_status ?? 0).sort((a, b) => a - b)).toEqual(statuses)
    expect(receiver.requests('/elsewhere')).toEqual([])
  })

  test('no secret, no password and no payload stands in any line that is logged, whatever goes wrong', async ({
    db,
    receiver,
    sidecar,
  }) => {
    const password = 'canary-in-the-password'
    const login = `${db.slot}_login`.slice(-60)
    await db.query(`create role "${login}" superuser login password '${password}'`)
    onTestFinished(async () => {
      await administer(inject('postgres').url, (admin) => admin.query(`drop role "${login}"`))
    })
    const url = new URL(db.url)
    url.username = login
    url.password = password
    const running = await sidecar({ DATABASE_URL: url.href, WALHOOK_LOG_LEVEL: 'trace' })
    const { logs } = running
    const canary = 'canary-in-the-payload'
    const secrets: string[] = []
    const add = async (path: string, retrySchedule: string[] = []): Promise<string> => {
      const { id, secret } = await subscribe(db, receiver.url(path), { retrySchedule })
      secrets.push(secret)
      return id
    }
    const rotated = await add('/accepts?token=canary-in-the-url')
    await add('/fails', ['20ms'])
    await add('/resets')
    receiver.on('/fails', () => respond(500, { body: 'canary-in-the-answer' }))
    receiver.on('/resets', () => ({ kind: 'reset', after: 'request' }))
    const [fresh] = await db.query<{ secret: string }>('select walhook.rotate_secret($1) as secret', [
      rotated,
    ])
    secrets.push(fresh?.secret ?? '')
    // What is refused by the database quotes rows in its errors: a delivery, and an attempt.
    await db.query(`alter table walhook.attempts add constraint refuses check (response_status <> 500)`)
    const refused = await publish(db, { payload: JSON.stringify({ refused: canary }) })
    await db.query(
      `alter table walhook.deliveries add constraint refuses check (event_id <> '${refused}') not valid`,
    )
    await publish(db, { payload: JSON.stringify({ n: canary }), headers: JSON.stringify({ canary }) })
    await logs.waitFor('settlement.failed')
    await db.query('alter table walhook.attempts drop constraint refuses')
    await db.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = $1',
      ['walhook'],
    )
    await logs.waitFor('relay.interrupted')
    await logs.waitFor('relay.streaming', () => logs.all('relay.streaming').length > 1)
    await publish(db, { payload: JSON.stringify({ n: canary }) })
    await running.stop()

    const lines = logs.all().map((line) => JSON.stringify(line))
    expect(lines.join('\n')).toContain('delivery.attempted')
    const canaries = [
      password,
      canary,
      'canary-in-the-url',
      'canary-in-the-answer',
      ...secrets.map((secret) => secret.slice('whsec_'.length)),
    ]
    expect(new Set(canaries).size).toBe(8)
    for (const each of canaries) expect(lines.filter((line) => line.includes(each))).toEqual([])
  })

  test('a secret is told when it is made, and by no view and no error', async ({ db, receiver }) => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
    const made = await subscribe(db, receiver.url('/hook'), { secret })
    expect(made.secret).toBe(secret)
    await db.query(
      `insert into walhook.deliveries (event_id, subscription_id, next_attempt_at) values ($1, $1, now())`,
      [made.id],
    )
    for (const view of ['delivery_status', 'subscription_health', 'backlog', 'slot_health'])
      expect(JSON.stringify(await db.query(`select * from walhook.${view}`))).not.toContain('MfKQ9r8')
    expect(await deliveries(db)).toHaveLength(1)

    for (const wrong of [{ url: 'ftp://x' }, { retrySchedule: ['soon'] }, { timeout: '1y' }]) {
      const { url = receiver.url('/hook'), ...wish } = { secret, ...wrong }
      const error: unknown = await subscribe(db, url, wish).catch((refusal: unknown) => refusal)
      if (!(error instanceof Error)) throw new Error('it was not refused')
      const told = [error.message, ...Object.values(error)].join('\n')
      expect(told).toContain('has to be')
      expect(told).not.toContain('MfKQ9r8')
    }
  })
})
