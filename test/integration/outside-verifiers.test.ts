/** Two verifiers that are not ours, on requests that went over the wire: npm `standardwebhooks` and `svix`. */
import { Webhook as StandardWebhook } from 'standardwebhooks'
import { Webhook as SvixWebhook } from 'svix'
import { expect } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import { type ReceivedRequest, respond } from '../support/receiver.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'

const PAYLOADS = [
  '{"amount":12.50}',
  '[1, 2,  3]',
  '"grüße 🎉 \\u0000"',
  'null',
  '{ "a" : 1e400 , "a" : "\\/" }',
  '""',
]

const VERIFIERS = {
  standardwebhooks: (secret: string, body: string, headers: Record<string, string>): unknown =>
    new StandardWebhook(secret).verify(body, headers),
  svix: (secret: string, body: string, headers: Record<string, string>): unknown =>
    new SvixWebhook(secret).verify(body, headers),
}

function headersOf(request: ReceivedRequest): Record<string, string> {
  return Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
}

eachPlugin(() => {
  test('every request verifies, with the secret that was told when the subscription was made', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const ours = await subscribe(db, receiver.url('/made-here'))
    const theirs = await subscribe(db, receiver.url('/brought'), {
      secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    })
    for (const payload of PAYLOADS) await publish(db, { payload })
    await untilSettled(db, PAYLOADS.length * 2)

    for (const [path, { secret }] of [
      ['/made-here', ours],
      ['/brought', theirs],
    ] as const) {
      const requests = receiver.requests(path)
      expect(requests).toHaveLength(PAYLOADS.length)
      for (const request of requests)
        for (const verify of Object.values(VERIFIERS))
          expect(() => verify(secret, request.body.toString(), headersOf(request))).not.toThrow()
    }
  })

  test('a body that was changed, another id, another time or another secret does not verify', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const { secret } = await subscribe(db, receiver.url('/hook'))
    const other = await subscribe(db, receiver.url('/other'))
    await publish(db, { payload: '{"amount": 1}' })
    const [request] = await receiver.waitFor(1, { path: '/hook' })
    const body = request?.body.toString() ?? ''
    const headers = request === undefined ? {} : headersOf(request)

    for (const verify of Object.values(VERIFIERS)) {
      expect(() => verify(secret, body, headers)).not.toThrow()
      expect(() => verify(secret, body.replace('1}', '2}'), headers)).toThrow('No matching signature found')
      expect(() => verify(secret, body, { ...headers, 'webhook-id': other.id })).toThrow(
        'No matching signature found',
      )
      const later = String(Number(headers['webhook-timestamp']) + 1)
      expect(() => verify(secret, body, { ...headers, 'webhook-timestamp': later })).toThrow(
        'No matching signature found',
      )
      expect(() => verify(other.secret, body, headers)).toThrow('No matching signature found')
    }
    await untilSettled(db, 2)
  })

  test('after a rotation both secrets verify until the overlap ends, and a retry is signed anew', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const { id, secret: before } = await subscribe(db, receiver.url('/hook'), { retrySchedule: ['2s'] })
    receiver.on('/hook', [respond(500), respond(200)])
    await publish(db)
    await receiver.waitFor(1)
    const [rotated] = await db.query<{ secret: string }>('select walhook.rotate_secret($1) as secret', [id])
    const after = rotated?.secret ?? ''
    await untilSettled(db, 1)

    const [first, second] = receiver.requests()
    if (first === undefined || second === undefined) throw new Error('there were two requests')
    expect(String(first.headers['webhook-signature']).split(' ')).toHaveLength(1)
    expect(String(second.headers['webhook-signature']).split(' ')).toHaveLength(2)
    expect(second.id).toBe(first.id)
    expect(Number(second.headers['webhook-timestamp'])).toBeGreaterThanOrEqual(
      Number(first.headers['webhook-timestamp']),
    )
    for (const verify of Object.values(VERIFIERS)) {
      for (const secret of [before, after]) verify(secret, second.body.toString(), headersOf(second))
      expect(() => verify(after, first.body.toString(), headersOf(first))).toThrow(
        'No matching signature found',
      )
    }

    await db.query(`update walhook.subscriptions set previous_secret_until = now() where id = $1`, [id])
    // What a process has read of a subscription is at most a second old.
    let sent = 2
    await expect
      .poll(
        async () => {
          await publish(db)
          const requests = await receiver.waitFor(++sent)
          return String(requests.at(-1)?.headers['webhook-signature']).split(' ').length
        },
        { timeout: 10_000, interval: 100 },
      )
      .toBe(1)
    const last = receiver.requests().at(-1)
    if (last === undefined) throw new Error('there was a request')
    for (const verify of Object.values(VERIFIERS)) {
      verify(after, last.body.toString(), headersOf(last))
      expect(() => verify(before, last.body.toString(), headersOf(last))).toThrow(
        'No matching signature found',
      )
    }
  })
})
