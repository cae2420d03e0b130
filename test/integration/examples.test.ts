/** The examples are programs that run, and so is the SQL of the documents. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { test as base } from '../support/fixtures.ts'
import { publishTogether, subscribe, untilRecorded, untilSettled } from '../support/sql-surface.ts'

const ROOT = path.join(import.meta.dirname, '..', '..')
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

class Program {
  output = ''
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown[]>

  constructor(example: string, env: Readonly<Record<string, string>>, args: readonly string[]) {
    this.#child = spawn(process.execPath, [path.join(ROOT, 'examples', example), ...args], {
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    this.#exited = once(this.#child, 'close')
  }

  /** Its exit code. */
  async end(): Promise<unknown> {
    const [code] = await this.#exited
    return code
  }

  async line(pattern: RegExp): Promise<RegExpExecArray> {
    return eventually(() => {
      const found = pattern.exec(this.output)
      if (found === null) throw new Error(`the program has printed:\n${this.output}`)
      return found
    })
  }

  lines(pattern: RegExp): number {
    return this.output.split('\n').filter((line) => pattern.test(line)).length
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }
}

type Start = (example: string, env: Readonly<Record<string, string>>, ...args: string[]) => Program

// eslint-disable-next-line no-empty-pattern
const test = base.extend('program', async ({}, { onCleanup }): Promise<Start> => {
  const started: Program[] = []
  onCleanup(async () => void (await Promise.all(started.map((program) => program.stop()))))
  return (example, env, ...args) => {
    const program = new Program(example, env, args)
    started.push(program)
    return program
  }
})

test('an order that is placed arrives at the example receiver, verified, and one whose card is declined does not', async ({
  db,
  sidecar,
  program,
}) => {
  await sidecar()
  const receiver = program('receive-webhook.ts', { WEBHOOK_SECRET: SECRET, PORT: '0' })
  const [, url = ''] = await receiver.line(/listening on (\S+)/)
  await subscribe(db, url, { eventTypes: ['order.*'], secret: SECRET })

  const declined = program('place-order.ts', { DATABASE_URL: db.url }, 'Linus', '5000')
  expect(await declined.end()).toBe(1)
  expect(declined.output).toContain('the card is declined')
  const placed = program('place-order.ts', { DATABASE_URL: db.url }, 'Ada', '25')
  expect(await placed.end()).toBe(0)

  await receiver.line(/"type":"order\.created",.*"data":\{"customer":"Ada","amount":25\}/)
  await untilRecorded(db)
  expect(receiver.output).not.toContain('Linus')
  expect(await db.query('select customer from orders')).toEqual([{ customer: 'Ada' }])
})

test('the example receiver acts once on a webhook that comes twice, and not on one that is forged', async ({
  db,
  sidecar,
  program,
}) => {
  await sidecar()
  const receiver = program('receive-webhook.ts', { WEBHOOK_SECRET: SECRET, PORT: '0' })
  const [, url = ''] = await receiver.line(/listening on (\S+)/)
  await subscribe(db, url, { secret: SECRET })
  await program('place-order.ts', { DATABASE_URL: db.url }).end()
  await untilSettled(db, 1)

  await db.query('select walhook.resend(id) from walhook.deliveries')
  const [again] = await untilSettled(db, 1)
  expect(again).toMatchObject({ state: 'delivered', attempts: 2, last_status: 204 })
  expect(receiver.lines(/order\.created/)).toBe(1)

  const forged = await fetch(url, {
    method: 'POST',
    headers: { 'webhook-id': 'forged', 'webhook-timestamp': String(Math.floor(Date.now() / 1000)) },
    body: '{}',
  })
  expect(forged.status).toBe(401)
  expect(receiver.output).not.toContain('forged')
})

test('the example receiver of batches acts on each event once, whichever batch it comes in', async ({
  db,
  sidecar,
  program,
}) => {
  await sidecar()
  const receiver = program('receive-batch.ts', { WEBHOOK_SECRET: SECRET, PORT: '0' })
  const [, url = ''] = await receiver.line(/listening on (\S+)/)
  await subscribe(db, url, { secret: SECRET, batch: { max_events: 3, max_wait: '1s' } })
  const ids = await publishTogether(db, 3)
  await receiver.line(/: 3 new of 3/)
  const [first] = await untilSettled(db, 3)
  await db.query('select walhook.resend($1)', [first?.id])
  await receiver.line(/: 0 new of 1/)
  await untilSettled(db, 3)
  for (const id of ids) expect(receiver.lines(new RegExp(`^${id} order\\.created`))).toBe(1)
})

/** The blocks of SQL of a document. */
function statementsOf(file: string): readonly string[] {
  const blocks = readFileSync(path.join(ROOT, file), 'utf8').matchAll(/^```sql\n([^]*?)^```/gm)
  return [...blocks].map(([, sql = '']) => sql)
}

/** Those that show SQL; each is tried on a database of its own, and the README before those that it leads to. */
const PAGES = readdirSync(path.join(ROOT, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`)
  .filter((page) => statementsOf(page).length > 0)

test.for(PAGES)('the SQL of %s runs as it stands there', async (page, { db }) => {
  for (const statement of statementsOf(page)) await db.query(statement)
})

test('the SQL of the README, and then that of the pages that it leads to, runs as it stands there', async ({
  db,
}) => {
  await db.query('create table orders (customer text not null, amount numeric not null)')
  for (const file of ['README.md', 'docs/subscriptions.md', 'docs/authentication.md', 'docs/operations.md'])
    for (const statement of statementsOf(file)) await db.query(statement)
  expect(await db.query('select type, key, payload from walhook.outbox')).toEqual([
    { type: 'order.created', key: 'Ada', payload: { customer: 'Ada', amount: 250 } },
  ])
  // The README's subscription is younger than its event, so the operator's catch-up leaves the two alone.
  expect(await db.query('select from walhook.deliveries')).toEqual([])
})
