/**
 * Text that an endpoint or a table altered by hand brings in, on its whole way: into the log, the tables, and what the
 * commands print. Which characters those are is the unit suite's.
 */
import { expect } from 'vitest'
import { walhook, walhookHere } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { test } from '../support/fixtures.ts'
import { respond } from '../support/receiver.ts'
import { attemptsOf, publish, subscribe, untilSettled } from '../support/sql-surface.ts'

/** Clears the screen, sets a title, rings, moves up, hides (C1), reverses, breaks lines in four ways, is no character. */
const NASTY =
  '\u001b[2J\u001b]0;owned\u0007\r\n\u009b1A\u202egnp.exe\u2066\u2028\u2029\u0085\u200b\ufeff\u007fend'
const HARMFUL = /[\p{Cc}\p{Bidi_Control}\u2028\u2029\u200b\ufeff]/u

function expectHarmless(printed: string): void {
  for (const line of printed.split('\n')) expect(line).not.toMatch(HARMFUL)
}

test('what an endpoint answers is recorded as it came but for U+0000, and no log line and no terminal acts on it', async ({
  db,
  receiver,
  sidecar,
}) => {
  const { logs } = await sidecar()
  const answer = Buffer.concat([Buffer.from(`${NASTY}\0`), Buffer.from([0xff, 0xc3]), Buffer.from('.')])
  receiver.on('/hook', [
    respond(500, { body: answer, headers: { 'retry-after': '\u009b2J', 'x-a': '\u0085' } }),
  ])
  await subscribe(db, receiver.url('/hook'), { retrySchedule: [] })
  const event = await publish(db)
  const [delivery] = await untilSettled(db, 1)
  const [attempt] = await attemptsOf(db, event)
  expect(attempt?.response_body).toBe(`${NASTY}\ufffd\ufffd.`)

  const env = { DATABASE_URL: db.url }
  const shown = await walhook(['deliveries', 'show', delivery?.id ?? ''], env)
  expect(shown).toMatchObject({ code: 0, stderr: '' })
  expectHarmless(shown.stdout)
  expect(shown.stdout).toContain(String.raw`\u001b[2J`)
  const asJson = await walhook(['deliveries', 'show', delivery?.id ?? '', '--json'], env)
  expect(JSON.parse(asJson.stdout)).toMatchObject({ attempts: [{ response_body: `${NASTY}\ufffd\ufffd.` }] })
  expectHarmless(asJson.stdout)
  for (const line of logs.all()) expectHarmless(JSON.stringify(line))
})

test('what somebody wrote into the tables by hand is shown on a line of its own, and not acted on', async ({
  db,
}) => {
  await db.query(
    'alter table walhook.outbox drop constraint outbox_type_must_be_a_dotted_name_like_order_created',
  )
  const event = await publish(db, { type: NASTY, key: NASTY, tenant: NASTY })
  const { id } = await subscribe(db, `https://example.com/${NASTY}`)
  await db.query(
    `insert into walhook.deliveries (event_id, subscription_id, next_attempt_at, last_error) values ($1, $2, now(), $3)`,
    [event, id, NASTY],
  )
  const env = { DATABASE_URL: db.url }
  const { stdout } = await walhookHere(['deliveries', 'list'], env)
  expectHarmless(stdout)
  expect(stdout.trimEnd().split('\n')).toHaveLength(4)
  const json = (await walhookHere(['deliveries', 'list', '--json'], env)).stdout
  expectHarmless(json)
  expect(JSON.parse(json)).toMatchObject({
    deliveries: [
      {
        event_type: NASTY,
        key: NASTY,
        tenant: NASTY,
        url: `https://example.com/${NASTY}`,
        last_error: NASTY,
      },
    ],
  })
})

test("an altered table's row that cannot be an event is set aside, and its text stays out of the log", async ({
  db,
  sidecar,
}) => {
  await db.query(
    'alter table walhook.outbox drop constraint outbox_type_must_be_a_dotted_name_like_order_created',
  )
  const { logs } = await sidecar()
  await publish(db, { type: NASTY })
  await logs.waitFor('relay.malformed_row')
  const [row] = await eventually(async () => {
    const rows = await db.query<{ raw: string }>('select raw from walhook.malformed')
    expect(rows).toHaveLength(1)
    return rows
  })
  expect(JSON.parse(row?.raw ?? '')).toMatchObject({ type: NASTY })
  expect(
    logs
      .all()
      .map((line) => JSON.stringify(line))
      .join('\n'),
  ).not.toContain('owned')
})

test("a server's message is one line, whatever it quotes", async ({ db }) => {
  const url = new URL(db.url)
  url.pathname = `/${encodeURIComponent(NASTY.slice(0, 20))}`
  const { code, stderr } = await walhookHere(['deliveries', 'list'], { DATABASE_URL: url.href })
  expect(code).toBe(1)
  expect(stderr).toContain(String.raw`\u001b[2J`)
  expectHarmless(stderr)
})
