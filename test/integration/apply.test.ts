/** `walhook apply` and `export`: a file and the database say the same, all of it or nothing, and no secret is shown. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect } from 'vitest'
import { walhookHere, type CommandResult } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { test as base } from '../support/fixtures.ts'
import { confide } from '../support/leak-watch.ts'
import { subscribe } from '../support/sql-surface.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const OTHER_SECRET = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'
const TOKEN = 'tok-8d1f42c6aa'
confide(TOKEN, 'a token')
const ROOT = path.join(import.meta.dirname, '..', '..')
const EXAMPLE = path.join(ROOT, 'examples', 'walhook.yaml')

interface Files {
  /** Applies a text as a file; returns what was said, without the file's folder. */
  apply(text: string, flags?: readonly string[], more?: Apply): Promise<CommandResult>
  run(...args: readonly string[]): Promise<CommandResult>
}

interface Apply {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
}

const test = base.extend('files', async ({ db }, { onCleanup }): Promise<Files> => {
  const folder = await mkdtemp(path.join(tmpdir(), 'walhook-apply-'))
  onCleanup(() => rm(folder, { recursive: true }))
  const file = path.join(folder, 'walhook.yaml')
  return {
    apply: async (text, flags = ['--yes'], { env = {}, input = '' } = {}) => {
      await writeFile(file, text)
      const said = await walhookHere(['apply', '-f', file, ...flags], { DATABASE_URL: db.url, ...env }, input)
      return { ...said, stderr: said.stderr.replaceAll(`${folder}/`, '') }
    },
    run: (...args) => walhookHere(args, { DATABASE_URL: db.url }),
  }
})

test('the example is made as it says, nothing is left to do then, and its export is the same again', async ({
  db,
  files,
}) => {
  const env = { ACCOUNTING_SECRET: SECRET, ACME_TOKEN: TOKEN }
  const text = await readFile(EXAMPLE, 'utf8')
  const first = await files.apply(text, ['--yes'], { env })
  expect(first).toMatchObject({ code: 0, stderr: '' })
  expect(first.stdout).toMatch(/^\+ event type order\.created$/m)
  expect(first.stdout).toMatch(/^\+ subscription accounting\n {4}url: https:\/\/example\.com\/webhooks$/m)
  expect(first.stdout).toMatch(/^\+ subscription accounting of tenant acme$/m)
  expect(first.stdout).toMatch(/^ {4}secret: \(not shown\)$/m)
  expect(first.stdout).toMatch(/^3 to create, 0 to change, 0 to delete, 0 unchanged$/m)
  expect(first.stdout).not.toContain(SECRET)
  // The one that brought none is told its own.
  expect(first.stdout).toMatch(/^accounting {2}[0-9a-f-]{36} {2}whsec_\S+$/m)
  expect(
    await db.query(
      'select name, tenant, secret = $1 as given, auth::jsonb as auth, batch, filter::text from walhook.subscriptions order by tenant',
      [SECRET],
    ),
  ).toEqual([
    {
      name: 'accounting',
      tenant: 'acme',
      given: false,
      auth: { type: 'bearer', token: TOKEN },
      batch: { max_events: 100, max_wait: '5s' },
      filter: null,
    },
    { name: 'accounting', tenant: null, given: true, auth: null, batch: null, filter: '($."amount" > 100)' },
  ])

  const before = await db.query('select to_jsonb(s) as s from walhook.subscriptions as s order by id')
  const second = await files.apply(text, ['--prune'], { env })
  expect(second).toMatchObject({ code: 0, stdout: '0 to create, 0 to change, 0 to delete, 3 unchanged\n' })
  await db.query(`insert into walhook.subscriptions (url, event_types, secret, description, headers, timeout, max_in_flight, handshake)
    values ('https://example.org/', '{a,b.*}', walhook.new_secret(), E'a: b # c\\n- d', '{"x-key":"open sesame","x-a":"yes"}', '3s', 7, true)`)
  const exported = await files.run('export')
  expect(exported).toMatchObject({ code: 0, stderr: '' })
  expect(exported.stdout).not.toMatch(/sesame|whsec_|tok-/)
  const third = await files.apply(exported.stdout, ['--prune'])
  expect(third).toMatchObject({ code: 0, stdout: '0 to create, 0 to change, 0 to delete, 4 unchanged\n' })
  expect(
    await db.query(
      `select to_jsonb(s) as s from walhook.subscriptions as s where name is not null order by id`,
    ),
  ).toEqual(before)
})

test('a change is shown field by field without secrets, asked for, and done whole or not at all', async ({
  db,
  files,
}) => {
  const file = (url: string, more = ''): string =>
    `subscriptions:\n  - {name: one, url: "${url}", timeout: 3s, headers: {x-key: open sesame}}\n${more}`
  await files.apply(file('https://example.com/'))
  const left = await subscribe(db, 'https://left.example/')
  const next = `subscriptions:
  - name: one
    url: \${HOOK}
    timeout: 7s
    secret: \${SECRET}
    auth: {type: bearer, token: "\${TOKEN}"}
    headers: {x-key: close sesame}
`
  const env = { HOOK: 'https://private.example/hidden', SECRET, TOKEN }
  const dry = await files.apply(next, ['--dry-run'], { env })
  expect(dry.stdout).toBe(
    [
      '~ subscription one',
      '    url: another one (not shown)',
      '    timeout: 3s → 7s',
      '    headers: {"x-key":"…"} → {"x-key":"…"}',
      '    secret: another one (not shown)',
      '    auth: another one (not shown)',
      '0 to create, 1 to change, 0 to delete, 0 unchanged\n',
    ].join('\n'),
  )
  expect(dry.stderr).toContain('1 that the file does not have are left as they are')
  const unchanged = async (): Promise<void> =>
    expect(await db.query('select url, timeout from walhook.subscriptions order by id')).toMatchObject([
      { url: 'https://example.com/', timeout: '3s' },
      { url: 'https://left.example/' },
    ])
  await unchanged()
  expect(await files.apply(next, [], { env })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('nobody is there to say yes'),
  })
  expect(await files.apply(next, [], { env, input: 'no\n' })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('nothing was done (declined)'),
  })
  await unchanged()

  expect(await files.apply(next, ['--prune'], { env, input: 'y\n' })).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^- subscription [0-9a-f-]{36} \(https:\/\/left\.example\/\)$/m),
  })
  expect(
    await db.query(
      'select url, secret = $1 as given, previous_secret is not null as overlaps from walhook.subscriptions',
      [SECRET],
    ),
  ).toEqual([{ url: env.HOOK, given: true, overlaps: true }])
  expect(await db.query('select from walhook.subscriptions where id = $1', [left.id])).toEqual([])
  // Where only some of it can be, none of it is.
  const half = `event_types:\n  - {name: a.b}\n${file('https://example.com/', '  - {name: two, url: "https://two.example/", timeout: 1h}\n')}`
  expect((await files.apply(half)).code).toBe(2)
  expect(await db.query('select url from walhook.subscriptions')).toEqual([{ url: env.HOOK }])
  expect(await db.query('select from walhook.event_types')).toEqual([])
})

test('secrets that are sealed are compared where the key is at hand, and left where it is not', async ({
  db,
  files,
  sidecar,
}) => {
  const env = { WALHOOK_ENCRYPTION_KEY: randomBytes(32).toString('base64') }
  await sidecar(env)
  const file = (secret: string): string =>
    `subscriptions:\n  - {name: one, url: "https://example.com/", secret: ${secret}, auth: {type: bearer, token: ${TOKEN}}}\n`
  await files.apply(file(SECRET), ['--yes'], { env })
  await eventually(async () =>
    expect(
      await db.query(`select from walhook.subscriptions where secret like 'enc:%' and auth like 'enc:%'`),
    ).toHaveLength(1),
  )
  expect((await files.apply(file(SECRET), [], { env })).stdout).toContain(
    '0 to change, 0 to delete, 1 unchanged',
  )
  expect((await files.apply(file(OTHER_SECRET), ['--dry-run'], { env })).stdout).toMatch(
    /^ {4}secret: another one/m,
  )
  expect(await files.apply(file(OTHER_SECRET), [])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('1 unchanged'),
    stderr: expect.stringContaining('secret is sealed and cannot be compared without WALHOOK_ENCRYPTION_KEY'),
  })
})

test('the example stands in the document as it is', async () => {
  const document = await readFile(path.join(ROOT, 'docs', 'configuration-file.md'), 'utf8')
  const [, shown = ''] = /^```yaml\n([^]*?)^```/m.exec(document) ?? []
  expect(await readFile(EXAMPLE, 'utf8')).toContain(shown)
  expect(shown).not.toBe('')
})

const REFUSALS: readonly (readonly [text: string, says: string | RegExp])[] = [
  ['subscriptions: [', /^walhook: walhook\.yaml:1: it is not YAML \(/],
  ['subscriptions:\n  - name: a\n    name: b\n', /walhook\.yaml:3: it is not YAML \(duplicate key\)/],
  ['- a\n', /walhook\.yaml:1: the file has to be a map/],
  ['subscription: []\n', /walhook\.yaml:1: subscription is not known here/],
  ['\nsubscriptions: {}\n', /walhook\.yaml:2: subscriptions has to be a list/],
  ['subscriptions:\n  - one\n', /walhook\.yaml:2: each of subscriptions has to be a map/],
  ['subscriptions:\n  - url: https://a.example\n', /walhook\.yaml:2: name is missing/],
  ['subscriptions:\n  - name: a\n', /walhook\.yaml:2: url is missing/],
  ['subscriptions:\n  - name: 7\n    url: https://a.example\n', /walhook\.yaml:2: name has to be a text/],
  [
    'subscriptions:\n  - name: a\n    url: ftp://a.example\n',
    /walhook\.yaml:3: url has to be an http or https URL/,
  ],
  [
    'subscriptions:\n  - name: a\n    url: https://a.example\n    colour: blue\n',
    /walhook\.yaml:4: colour is no option/,
  ],
  [
    'subscriptions:\n  - name: a\n    url: https://a.example\n    state: paused\n',
    /walhook\.yaml:4: state is no option/,
  ],
  [
    'subscriptions:\n  - name: a\n    url: https://a.example\n\n    timeout: 1h\n',
    /walhook\.yaml:5: timeout has to be/,
  ],
  [
    'subscriptions:\n  - name: a\n    url: https://a.example\n    event_types: order.*\n',
    /walhook\.yaml:4: event_types cannot be read/,
  ],
  [
    'subscriptions:\n  - name: a\n    url: https://a.example\n    secret: ${NOT_SET}\n',
    /walhook\.yaml:4: secret needs NOT_SET/,
  ],
  [
    'subscriptions:\n  - name: a\n    url: https://a.example\n    secret: sesame\n',
    /walhook\.yaml:4: secret has to be whsec_/,
  ],
  ['subscriptions:\n  - &a {name: a, url: "https://a.example"}\n  - *a\n', /walhook\.yaml:3: /],
  [
    'subscriptions:\n  - {name: a, url: "https://a.example"}\n  - {name: a, url: "https://b.example"}\n',
    /walhook\.yaml:3: a of tenant none stands there twice/,
  ],
  [
    'subscriptions:\n  - id: 0192b4a0-0000-7000-8000-000000000000\n    url: https://a.example\n',
    /walhook\.yaml:2: there is no subscription with this id/,
  ],
  ['event_types:\n  - name: or der\n', /walhook\.yaml:2: name has to be a dotted name/],
  ['event_types:\n  - name: a.b\n    schema: {type: 7}\n', /walhook\.yaml:3: schema is no JSON Schema/],
  [
    'event_types:\n  - name: a.b\n    deprecated: maybe\n',
    /walhook\.yaml:3: deprecated has to be true or false/,
  ],
]

test('what is wrong with a file is told with line and field, and nothing is done', async ({ db, files }) => {
  for (const [text, says] of REFUSALS) {
    const { code, stdout, stderr } = await files.apply(text)
    expect({ text, code, stdout }).toEqual({ text, code: 2, stdout: '' })
    expect(stderr).toMatch(says)
    expect(stderr).not.toContain('sesame')
  }
  expect(await files.run('apply', '-f', '/nowhere/walhook.yaml')).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/\/nowhere\/walhook\.yaml cannot be read/),
  })
  expect(
    await db.query('select name from walhook.subscriptions union all select name from walhook.event_types'),
  ).toEqual([])
})
