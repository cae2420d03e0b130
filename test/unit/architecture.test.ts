/** Rules of the layout that a reader relies on and no type can express: read off the sources themselves. */
import { describe, expect, test } from 'vitest'
import { type SourceFile, sourceFiles, textOf, tokenize } from './source-text.ts'

const SOURCES = [...sourceFiles('src/**/*.ts'), ...sourceFiles('src/**/*.js')]
const PAGE = sourceFiles('src/dashboard/page/**/*.js')
const MAX_CODE_LINES = 250

const pathsWhere = (holds: (file: SourceFile) => boolean, files: readonly SourceFile[] = SOURCES): string[] =>
  files.filter(holds).map(({ path }) => path)

function importersOf(packageName: string): string[] {
  const specifier = new RegExp(`(?:\\bfrom|\\bimport)\\s*\\(?\\s*['"]${packageName}(?:/[^'"]*)?['"]`)
  return pathsWhere((file) => specifier.test(textOf(file, 'code', 'string')))
}

test('there are sources to look at, and they are told apart into code and what is none', () => {
  expect(SOURCES.length).toBeGreaterThan(50)
  const text = [
    `const a = 'it''s' // one's comment`,
    'const b = `x ${ `${c}` + {} } y`; /* `two` */',
    String.raw`const d = /['"\/]/.test(e) / 2; f("\"")`,
  ].join('\n')
  const kinds = (kind: string): string[] =>
    tokenize(text).flatMap((token) => (token.kind === kind ? [token.text] : []))
  expect(kinds('comment')).toEqual([`// one's comment`, '/* `two` */'])
  expect(kinds('string')).toEqual([`'it'`, `'s'`, String.raw`"\""`])
  expect(kinds('template')).toEqual(['`x ${ `${c}` + {} } y`'])
  expect(kinds('regex')).toEqual([String.raw`/['"\/]/`])
})

describe('what is foreign has one door', () => {
  test.each([
    ['pg-logical-replication', 'src/replication/exact-replication.ts'],
    ['pg-boss', 'src/store/jobs.ts'],
    ['ajv', 'src/core/payload-schema.ts'],
    ['yaml', 'src/commands/apply/yaml-file.ts'],
    ['ajv-formats', 'src/core/payload-schema.ts'],
  ])('%s is imported by %s alone', (packageName, path) => {
    expect(importersOf(packageName)).toEqual([path])
  })

  test('undici is imported in delivery/ alone', () => {
    const importers = importersOf('undici')
    expect(importers).toContain('src/delivery/connection-pools.ts')
    expect(importers.filter((path) => !path.startsWith('src/delivery/'))).toEqual([])
  })

  test('pg is imported by the pool and in replication/ alone', () => {
    const importers = importersOf('pg').filter((path) => !path.startsWith('src/replication/'))
    expect(importers).toEqual(['src/store/database.ts'])
  })

  test('JSON that somebody reads is printed in one way, which no terminal acts on', () => {
    const prints = SOURCES.filter(({ path }) => /^src\/(commands|api)\//.test(path))
    // The demo's shop writes payloads with it.
    expect(pathsWhere((file) => textOf(file, 'code').includes('JSON.stringify'), prints)).toEqual([
      'src/commands/demo/story.ts',
    ])
  })

  test('the process is touched by main.ts alone', () => {
    const touches = pathsWhere((file) => {
      const inCode = /(?<![\w$.#])process\b(?!\s*:)/.test(textOf(file, 'code'))
      const inText = /(?<![\w$.#])process\.\w/.test(textOf(file, 'template'))
      return inCode || inText || /['"](?:node:)?process['"]/.test(textOf(file, 'string'))
    })
    // Finding and starting a server's programs takes the machine's kind, user and PATH; nothing else of the process.
    const asksForThePlatform = pathsWhere((file) => {
      const uses = textOf(file, 'code', 'string').match(/(?<![\w$.#'])process\.[\w.[\]']+/g) ?? []
      return (
        file.path.startsWith('src/commands/embedded-postgres') &&
        uses.every((use) => /^process\.(?:platform$|arch$|getuid\b|cwd\b|env\['PATH'\]$)/.test(use))
      )
    })
    expect(touches.filter((path) => !asksForThePlatform.includes(path))).toEqual(['src/main.ts'])
  })
})

test('core/ has no clock and no chance of its own', () => {
  const core = sourceFiles('src/core/**/*.ts')
  expect(core.length).toBeGreaterThan(10)
  const own =
    /\bnew\s+Date\s*(?:\(\s*\)|(?![\s(]))|(?<!new\s)\bDate\s*\(|\bDate\.now\b|\bMath\.random\b|\bperformance\b|\brandom(?:UUID|Bytes|Int)\b|\bset(?:Timeout|Interval|Immediate)\b/
  expect(pathsWhere((file) => own.test(textOf(file, 'code', 'template')), core)).toEqual([])
})

test('SQL in store/ is constant text: anything can be pasted into psql', () => {
  const beginsAsSql =
    /^`\s*(?:--[^\n]*\n\s*)*(?:select|insert|update|delete|with|create|alter|drop|lock|truncate|set|begin|grant|copy|call|merge|vacuum|analyze|notify|listen|comment)\b/i
  const statements = sourceFiles('src/store/**/*.ts').flatMap(({ path, tokens }) =>
    tokens.flatMap((token, i) => {
      const isMarked = tokens.slice(Math.max(0, i - 2), i).some(({ text }) => text === '/* sql */')
      const isSql = token.kind === 'template' && (isMarked || beginsAsSql.test(token.text))
      return isSql ? [{ path, text: token.text }] : []
    }),
  )
  expect(statements.length).toBeGreaterThan(15)
  expect(statements.filter(({ text }) => text.includes('${'))).toEqual([])
})

describe('the page', () => {
  test('is there to be looked at', () => {
    expect(PAGE.length).toBeGreaterThan(30)
  })

  test('makes no markup and no code out of text, and no element but in one place', () => {
    const acts =
      /\b(?:innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|srcdoc|DOMParser|eval|Function)\b|document\.write|\.cssText/
    expect(pathsWhere((file) => acts.test(textOf(file, 'code')), PAGE)).toEqual([])
    const makes = /\bcreateElement(?:NS)?\b|\bsetAttributeNS\b/
    expect(pathsWhere((file) => makes.test(textOf(file, 'code')), PAGE)).toEqual([
      'src/dashboard/page/dom.js',
    ])
  })

  test('loads its own files alone, by paths that a browser finds', () => {
    const specifiers = PAGE.flatMap((file) =>
      [...textOf(file, 'code', 'string').matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g)].map(
        ([, specifier = '']) => specifier,
      ),
    )
    expect(specifiers.length).toBeGreaterThan(100)
    expect(specifiers.filter((specifier) => !/^\.{1,2}\/[a-z/.-]+\.js$/.test(specifier))).toEqual([])
  })

  test('names every module in its document, so that a browser fetches them at once', () => {
    const [document] = sourceFiles('src/dashboard/page/index.html')
    const named = [...(document?.text ?? '').matchAll(/(?:href|src)="\/ui\/assets\/([^"]+\.js)"/g)]
    expect(named.map(([, path]) => `src/dashboard/page/${path}`).sort()).toEqual(PAGE.map(({ path }) => path))
  })

  test('asks nobody but the server that it came from', () => {
    // Placeholders, and the name of a namespace.
    const foreign = /\bhttps?:\/\/(?!example\.com|www\.w3\.org|$|')/m
    expect(pathsWhere((file) => foreign.test(textOf(file, 'string', 'template')), PAGE)).toEqual([])
  })
})

test('nothing is left to be done', () => {
  const files = [...SOURCES, ...sourceFiles('sql/**/*.sql')]
  expect(pathsWhere(({ text }) => /\b(?:TODO|FIXME|XXX|HACK)\b/.test(text), files)).toEqual([])
})

test('every file opens by saying what it owns', () => {
  const silent = pathsWhere((file) => {
    const [first] = file.tokens.filter(({ text }) => text.trim() !== '' && !text.startsWith('#!'))
    return first?.kind !== 'comment' || !first.text.startsWith('/**')
  })
  expect(silent).toEqual([])
})

test(`no file has more than ${MAX_CODE_LINES} lines of code`, () => {
  const tooLong = pathsWhere((file) => {
    const code = textOf(file, 'code', 'string', 'template', 'regex')
    return code.split('\n').filter((line) => line.trim() !== '').length > MAX_CODE_LINES
  })
  expect(tooLong).toEqual([])
})
