/** What the application wrote as `payload` is what arrives as `data`, byte for byte, signed as it is. */
import fc from 'fast-check'
import { Webhook as SvixWebhook } from 'svix'
import { expect } from 'vitest'
import { eachPlugin, test } from '../support/fixtures.ts'
import { jsonText } from '../support/json-text.ts'
import type { ReceivedRequest } from '../support/receiver.ts'
import { subscribe, untilSettled } from '../support/sql-surface.ts'
import type { TestDatabase } from '../support/test-database.ts'

/** The envelope's `data`, cut out without parsing it. */
function dataOf(request: ReceivedRequest): string {
  const text = request.body.toString('utf8')
  const match = /^\{"id":"[0-9a-f-]{36}","type":"[^"]+","timestamp":"[^"]+","data":([^]*)\}$/.exec(text)
  if (match?.[1] === undefined) throw new Error(`not an envelope: ${text.slice(0, 200)}`)
  return match[1]
}

/** All in one transaction; returns the payload of each id. */
async function publishAll(db: TestDatabase, payloads: readonly string[]): Promise<Map<string, string>> {
  const rows = await db.query<{ id: string }>(
    `insert into walhook.outbox (type, payload)
     select 'payload.written', p::json from unnest($1::text[]) with ordinality as t (p, n) order by n returning id`,
    [payloads],
  )
  return new Map(rows.map(({ id }, i) => [id, payloads[i] ?? '']))
}

eachPlugin(() => {
  test('any JSON text arrives with the bytes that it was written with', async ({ db, receiver, sidecar }) => {
    await sidecar()
    const { secret } = await subscribe(db, receiver.url('/hook'))
    receiver.verify('/hook', secret)
    const svix = new SvixWebhook(secret)
    let total = 0

    await fc.assert(
      fc.asyncProperty(fc.array(jsonText, { minLength: 1, maxLength: 60 }), async (payloads) => {
        const written = await publishAll(db, payloads)
        total += payloads.length
        const requests = (await receiver.waitFor(total)).slice(-payloads.length)
        for (const request of requests) {
          expect(dataOf(request)).toBe(written.get(request.id))
          expect(request.forged).toBeUndefined()
          svix.verify(request.body.toString(), request.headers as Record<string, string>)
        }
        expect(new Set(requests.map(({ id }) => id))).toEqual(new Set(written.keys()))
      }),
      { numRuns: 25 },
    )
    await untilSettled(db, total)
  })

  test('a payload of a megabyte arrives whole, and one that is larger is refused where it is written', async ({
    db,
    receiver,
    sidecar,
  }) => {
    await sidecar()
    const { secret } = await subscribe(db, receiver.url('/hook'))
    receiver.verify('/hook', secret)
    const limit = 1024 * 1024
    const unit = '{"π": 12345678901234567890.10,  "🎉":"\\u00e9"},\n'
    const count = Math.floor((limit - 10) / Buffer.byteLength(unit))
    const whole = `[${unit.repeat(count)}0]`
    const largest = `${whole}${' '.repeat(limit - Buffer.byteLength(whole))}`
    const written = await publishAll(db, [largest])
    const [request] = await receiver.waitFor(1)
    expect(Buffer.byteLength(largest)).toBe(limit)
    expect(request?.forged).toBeUndefined()
    expect(request && dataOf(request) === [...written.values()][0]).toBe(true)
    await untilSettled(db, 1)

    await expect(publishAll(db, [`${largest} `])).rejects.toMatchObject({
      code: '23514',
      constraint: 'outbox_payload_must_be_at_most_1_mib',
    })
  })

  test('id, type, key, tenant and microseconds arrive as the database printed them, whatever its own settings are', async ({
    db,
    receiver,
    sidecar,
  }) => {
    for (const [setting, value] of [
      ['timezone', 'Asia/Kathmandu'],
      ['datestyle', 'SQL, DMY'],
      ['bytea_output', 'escape'],
      ['extra_float_digits', '-10'],
      ['synchronous_commit', 'off'],
      ['client_encoding', 'LATIN1'],
    ])
      await db.query(`alter database "${db.slot}" set ${setting} = '${value}'`)
    await sidecar()
    await subscribe(db, receiver.url('/hook'), { tenant: 'grüße-🎉' })
    const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const application = await db.application()
    await application.query(`set client_encoding = 'UTF8'`)
    await application.query(
      `insert into walhook.outbox (id, type, payload, key, tenant, headers, created_at)
       values ('01a20425-936a-76be-b63d-9dbf9948e3b0', 'Order-1.line_2.Made', '"é"', 'schlüssel', 'grüße-🎉',
         json_build_object('traceparent', $1::text, 'tracestate', 'a=b', 'x-other', 'not sent'),
         '2026-11-22 15:30:09.000120+00')`,
      [trace],
    )
    const [request] = await receiver.waitFor(1)
    expect(request?.body.toString()).toBe(
      '{"id":"01a20425-936a-76be-b63d-9dbf9948e3b0","type":"Order-1.line_2.Made","timestamp":"2026-11-22T15:30:09.000120Z","data":"é"}',
    )
    expect(request?.headers).toMatchObject({
      'webhook-id': '01a20425-936a-76be-b63d-9dbf9948e3b0',
      'content-type': 'application/json',
      'walhook-event-type': 'Order-1.line_2.Made',
      'walhook-attempt': '1',
      traceparent: trace,
      tracestate: 'a=b',
    })
    expect(request?.headers['user-agent']).toMatch(/^walhook\/\d/)
    expect(request?.headers).not.toHaveProperty('x-other')
    await untilSettled(db, 1)
  })
})
