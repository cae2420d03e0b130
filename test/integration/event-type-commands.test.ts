/** `walhook event-types` and `walhook dead-events`: what they write, refuse, print and put on its way. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { expect } from 'vitest'
import { type CommandResult, walhook, walhookHere } from '../support/command-line.ts'
import { test as base } from '../support/fixtures.ts'
import { publish, subscribe, untilSettled } from '../support/sql-surface.ts'

const ORDER = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  required: ['amount'],
  properties: { amount: { $ref: '#/$defs/amount' } },
  $defs: { amount: { type: 'number', minimum: 0 } },
}
const STRICT = { WALHOOK_EVENT_TYPES: 'strict' }

/** Writes a file for a command to read; returns its path. */
type File = (name: string, content: unknown) => Promise<string>

// eslint-disable-next-line no-empty-pattern
const test = base.extend('file', async ({}, { onCleanup }): Promise<File> => {
  const folder = await mkdtemp(path.join(tmpdir(), 'walhook-'))
  onCleanup(() => rm(folder, { recursive: true }))
  return async (name, content) => {
    const file = path.join(folder, name)
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content))
    return file
  }
})

async function ok(result: Promise<CommandResult>): Promise<string> {
  const { code, stdout, stderr } = await result
  if (code !== 0) throw new Error(`it ended with ${code}: ${stderr}`)
  return stdout
}

async function json<T>(args: readonly string[], env: Readonly<Record<string, string>>): Promise<T> {
  return JSON.parse(await ok(walhookHere([...args, '--json'], env))) as T
}

test('the commands of docs/event-types.md run as they stand there', async ({ db, file }) => {
  const document = path.join(import.meta.dirname, '..', '..', 'docs', 'event-types.md')
  const files = new Map([
    ['order.json', await file('order.json', ORDER)],
    ['example.json', await file('example.json', { amount: 250 })],
  ])
  const blocks = (await readFile(document, 'utf8')).matchAll(/^```\n(walhook [^]*?)^```/gm)
  const lines = [...blocks].flatMap(([, block = '']) => block.trim().split('\n'))
  expect(lines.length).toBeGreaterThan(5)
  for (const line of lines) {
    const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
    const args = words.slice(1).map((word) => files.get(word) ?? word)
    expect(await walhookHere(args, { DATABASE_URL: db.url })).toMatchObject({ code: 0, stderr: '' })
  }
})

test('set makes a type and changes what is named; show and list tell it, remove takes it away', async ({
  db,
  file,
}) => {
  const env = { DATABASE_URL: db.url }
  const schema = await file('order.json', ORDER)
  await ok(
    walhook(['event-types', 'set', 'order.created', '--schema', schema, '--description', 'Placed.'], env),
  )
  await ok(walhookHere(['event-types', 'set', 'order.created', '--deprecated'], env))
  await ok(walhookHere(['event-types', 'set', 'an.event'], env))
  const { event_type: shown } = await json<{ event_type: unknown }>(
    ['event-types', 'show', 'order.created'],
    env,
  )
  expect(shown).toEqual({
    name: 'order.created',
    description: 'Placed.',
    schema: ORDER,
    schema_error: null,
    example: null,
    deprecated: true,
    created_at: expect.stringMatching(/Z$/),
    updated_at: expect.stringMatching(/Z$/),
  })
  expect(await ok(walhookHere(['event-types', 'show', 'order.created'], env))).toContain('"minimum":0')
  const { event_types: types } = await json<{ event_types: { name: string }[] }>(['event-types', 'list'], env)
  expect(types.map(({ name }) => name)).toEqual(['an.event', 'order.created'])
  const table = await ok(walhookHere(['event-types', 'list'], env))
  expect(table).toMatch(/order\.created +\| true +\| sound +\| false/)
  // Past `set` anything can be written.
  await db.query(`update walhook.event_types set schema = '{"type": "objekt"}' where name = 'an.event'`)
  expect(await ok(walhookHere(['event-types', 'list'], env))).toMatch(
    /an\.event +\| false +\| none: \/type must be/,
  )

  await ok(walhookHere(['event-types', 'set', 'order.created', '--no-schema', '--no-deprecated'], env))
  expect(
    await db.query(
      `select description, schema, deprecated from walhook.event_types where name = 'order.created'`,
    ),
  ).toEqual([{ description: 'Placed.', schema: null, deprecated: false }])
  expect(await json(['event-types', 'remove', 'order.created'], env)).toEqual({ removed: 'order.created' })
  for (const verb of ['remove', 'show'])
    expect(await walhookHere(['event-types', verb, 'order.created'], env)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no event type order.created (not_found)'),
    })
})

test('what is no schema, no JSON, no name, or does not fit is refused with the reason, and nothing is written', async ({
  db,
  file,
}) => {
  const env = { DATABASE_URL: db.url }
  const order = await file('order.json', ORDER)
  await ok(walhookHere(['event-types', 'set', 'order.created', '--schema', order], env))
  const refusals: readonly (readonly [args: readonly string[], reason: string])[] = [
    [
      ['a', '--schema', await file('1', { type: 'objekt' })],
      'schema is no JSON Schema of draft 2020-12: /type must be',
    ],
    [['a', '--schema', await file('2', { requierd: ['a'] })], 'unknown keyword: "requierd"'],
    [['a', '--schema', await file('3', '{')], 'schema has to be a file of JSON'],
    [['a', '--schema', `${order}.not`], 'schema cannot be read'],
    [['a', '--schema', await file('4', { title: 'x'.repeat(65_536) })], 'schema has to be at most 64 KiB'],
    [['a', '--description', 'x'.repeat(10_001)], 'description has to be at most 10000 characters'],
    [['not a type'], 'name has to be a dotted name'],
    [
      ['order.created', '--example', await file('5', { amount: -1 })],
      'example does not fit the schema: /amount must be >= 0',
    ],
  ]
  for (const [args, reason] of refusals)
    expect(await walhookHere(['event-types', 'set', ...args], env)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining(reason),
    })
  expect(await db.query('select name, example from walhook.event_types')).toEqual([
    { name: 'order.created', example: null },
  ])
})

test('the OpenAPI export says of a webhook what really comes, and both exports are the same each time', async ({
  db,
  file,
  receiver,
  sidecar,
}) => {
  const env = { DATABASE_URL: db.url }
  const files = [
    '--schema',
    await file('order.json', ORDER),
    '--example',
    await file('example.json', { amount: 250 }),
  ]
  await ok(
    walhookHere(
      ['event-types', 'set', 'order.created', ...files, '--description', 'Somebody\nordered.'],
      env,
    ),
  )
  await ok(walhookHere(['event-types', 'set', 'invoice.issued', '--deprecated'], env))

  const exported = await ok(walhook(['event-types', 'export', '--format', 'openapi'], env))
  expect(await ok(walhookHere(['event-types', 'export', '--format', 'openapi'], env))).toBe(exported)
  expect(exported.endsWith('}\n')).toBe(true)
  const { webhooks, ...document } = JSON.parse(exported) as OpenApi
  expect(document).toEqual({
    openapi: '3.1.0',
    info: { title: 'Webhooks', version: '1' },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
  })
  expect(Object.keys(webhooks)).toEqual(['invoice.issued', 'order.created'])
  expect(webhooks['invoice.issued']?.post).toMatchObject({ deprecated: true })
  const operation = webhooks['order.created']?.post
  const content = operation?.requestBody.content['application/json']
  expect(operation).toMatchObject({ summary: 'order.created', description: 'Somebody\nordered.' })

  await sidecar(STRICT)
  await subscribe(db, receiver.url('/hook'))
  await publish(db, { payload: '{"amount": 12.50}' })
  const [request] = await receiver.waitFor(1)
  const ajv = new Ajv2020()
  formats.default(ajv)
  const validate = ajv.compile(content?.schema ?? false)
  expect([validate(JSON.parse(request?.body.toString() ?? '')), validate.errors]).toEqual([true, null])
  expect(validate(content?.example)).toBe(true)
  expect(validate({ ...content?.example, data: { amount: -1 } })).toBe(false)
  expect(validate({ ...content?.example, type: 'invoice.issued' })).toBe(false)
  for (const { name, in: place, schema } of operation?.parameters ?? []) {
    expect(place).toBe('header')
    expect(ajv.validate(schema, request?.headers[name]), name).toBe(true)
  }
  const ours = Object.keys(request?.headers ?? {}).filter((name) => /^(webhook|walhook)-/.test(name))
  expect(new Set(operation?.parameters.map(({ name }) => name))).toEqual(new Set(ours))

  const markdown = await ok(walhookHere(['event-types', 'export'], env))
  expect(markdown).toBe(`# Event types

## \`invoice.issued\`

**Deprecated.**

## \`order.created\`

Somebody
ordered.

JSON Schema of \`data\`:

\`\`\`json
${JSON.stringify(ORDER, undefined, 2)}
\`\`\`

Example of \`data\`:

\`\`\`json
{
  "amount": 250
}
\`\`\`
`)
})

interface OpenApi {
  readonly webhooks: Readonly<
    Record<
      string,
      {
        readonly post: {
          readonly parameters: readonly {
            readonly name: string
            readonly in: string
            readonly schema: object
          }[]
          readonly requestBody: {
            readonly content: Readonly<Record<string, { readonly schema: object; readonly example?: object }>>
          }
        }
      }
    >
  >
}

interface Released {
  readonly released: readonly { readonly event_id: string; readonly deliveries: number }[]
  readonly kept: readonly { readonly event_id: string; readonly reason: string }[]
}

test('dead events are listed, and released once they fit, or unchecked', async ({
  db,
  file,
  receiver,
  sidecar,
}) => {
  const env = { DATABASE_URL: db.url }
  await sidecar(STRICT)
  await subscribe(db, receiver.url('/hook'))
  const misspelt = await publish(db, { type: 'order.cerated', payload: '{"amount": 1}' })
  const fits = await publish(db, { payload: '{"amount": 1}' })
  const other = await publish(db, { payload: '{"amount": 2}' })
  const negative = await publish(db, { payload: '{"amount": -1}' })
  await expect.poll(() => db.query('select from walhook.dead_events')).toHaveLength(4)

  const { dead_events: listed } = await json<{ dead_events: unknown[] }>(
    ['dead-events', 'list', '--type', 'order.cerated'],
    env,
  )
  expect(listed).toEqual([
    {
      event_id: misspelt,
      type: 'order.cerated',
      reason: 'unknown event type',
      created_at: expect.stringMatching(/Z$/),
    },
  ])
  expect(await ok(walhook(['dead-events', 'list'], env))).toContain('(4 rows)')

  await ok(
    walhookHere(['event-types', 'set', 'order.created', '--schema', await file('order.json', ORDER)], env),
  )
  // All of those named, or none.
  expect(await walhookHere(['dead-events', 'release', fits, negative], env)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(
      `event ${negative} stays dead: payload does not fit its schema: /amount must be >= 0`,
    ),
  })
  expect(await db.query('select from walhook.deliveries')).toEqual([])
  expect(await json<Released>(['dead-events', 'release', fits], env)).toEqual({
    released: [{ event_id: fits, deliveries: 1 }],
    kept: [],
  })
  expect(await walhookHere(['dead-events', 'release', fits], env)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`there is no dead event ${fits} (not_found)`),
  })

  const all = await json<Released>(['dead-events', 'release', '--all'], env)
  expect(all.released).toEqual([{ event_id: other, deliveries: 1 }])
  expect(new Map(all.kept.map(({ event_id, reason }) => [event_id, reason]))).toEqual(
    new Map([
      [misspelt, 'unknown event type'],
      [negative, 'payload does not fit its schema: /amount must be >= 0'],
    ]),
  )
  await untilSettled(db, 2)
  expect(
    await ok(walhookHere(['dead-events', 'release', '--all', '--unchecked', '--type', 'order.created'], env)),
  ).toBe(`event ${negative} is on its way: 1 delivery\n`)
  await untilSettled(db, 3)
  expect(new Set(receiver.requests().map(({ id }) => id))).toEqual(new Set([fits, other, negative]))
  expect(await db.query('select event_id from walhook.dead_events')).toEqual([{ event_id: misspelt }])

  await db.query('delete from walhook.outbox where id = $1', [misspelt])
  expect(await ok(walhookHere(['dead-events', 'release', '--all', '--unchecked'], env))).toBe(
    `event ${misspelt} stays dead: the outbox does not have it any more\n`,
  )
  for (const args of [[], [misspelt, '--all'], [misspelt, '--type', 'a'], ['not-an-id']])
    expect(await walhookHere(['dead-events', 'release', ...args], env)).toMatchObject({ code: 2 })
})
