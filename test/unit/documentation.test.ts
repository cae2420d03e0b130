/** What is written is so: links lead somewhere, and every name that people script against stands where they look it up. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { describeSettings } from '../../src/config.ts'
import { ERROR_CLASSES } from '../../src/core/attempt-outcome.ts'
import { BODY_FORMS } from '../../src/core/body-form.ts'
import { headerNames } from '../../src/core/header-names.ts'
import { SIGNATURE_SCHEMES } from '../../src/core/signature.ts'
import { aSignature } from './a-subscription.ts'

const ROOT = path.join(import.meta.dirname, '..', '..')
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8')
const files = (pattern: string): string[] => globSync(pattern, { cwd: ROOT }).sort()

const DOCUMENTS = [...files('*.md'), ...files('docs/**/*.md')]
const README = read('README.md')
const OPERATIONS = read('docs/operations.md')
const SUBSCRIPTIONS = read('docs/subscriptions.md')

/** What a document has fragments for: `<a id="…">`, and headings as GitHub writes them in a link. */
function anchors(markdown: string): readonly string[] {
  const headings = withoutCode(markdown).matchAll(/^#+ (.+)$/gm)
  const ids = markdown.matchAll(/<a id="([^"]+)">/g)
  return [
    ...[...headings].map(([, text = '']) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
    ...[...ids].map(([, id = '']) => id),
  ]
}

function withoutCode(markdown: string): string {
  return markdown.replaceAll(/^```[^]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '')
}

function matches(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, name = '']) => name))].sort()
}

/** The names in the first column of the table below a heading: in backquotes, several in a cell where there are. */
function firstColumn(markdown: string, heading: string): string[] {
  const section = markdown.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  const cells = matches(section, /^\| (`[^|]+) \|/gm)
  return cells.flatMap((cell) => matches(cell, /`([^`]+)`/g)).sort()
}

describe('the documents', () => {
  test('are there to be checked', () => {
    expect(DOCUMENTS).toEqual(
      expect.arrayContaining(['README.md', 'CHANGELOG.md', 'docs/architecture.md', 'docs/operations.md']),
    )
  })

  test.each(DOCUMENTS)(
    '%s: every relative link leads to a file, and every fragment to a place in it',
    (file) => {
      const links = matches(withoutCode(read(file)), /\]\(([^)\s]+)\)/g)
      const broken = links.filter((link) => {
        if (/^[a-z]+:/.test(link)) return false
        const [target = '', fragment] = link.split('#')
        const found = target === '' ? file : path.join(path.dirname(file), target)
        if (!existsSync(path.join(ROOT, found))) return true
        return fragment !== undefined && !anchors(read(found)).includes(fragment)
      })
      expect(broken).toEqual([])
    },
  )

  test('decisions have numbers of their own', () => {
    const numbers = files('docs/decisions/*.md').map((file) => path.basename(file).slice(0, 4))
    expect(new Set(numbers).size).toBe(numbers.length)
  })

  test.each([
    ['README.md', 150],
    ['CONTRIBUTING.md', 60],
    ...files('docs/decisions/*.md').map((file) => [file, 40] as const),
  ] as const)('%s has at most %i lines', (file, most) => {
    expect(read(file).trimEnd().split('\n').length).toBeLessThanOrEqual(most)
  })
})

describe('the README', () => {
  test.each(describeSettings())(
    'has a line for $name, with its default',
    ({ name, defaultText, isRequired }) => {
      const row = README.split('\n').find((line) => line.startsWith(`| \`${name}\` |`)) ?? ''
      const otherwise = isRequired ? 'required' : defaultText === undefined ? '' : `\`${defaultText}\``
      expect(row.split(' | ')[1] ?? '').toContain(otherwise)
      expect(row).not.toBe('')
    },
  )

  test('has no setting that is none', () => {
    expect(firstColumn(README, 'Settings')).toEqual(
      describeSettings()
        .map(({ name }) => name)
        .sort(),
    )
  })

  test('names every command', () => {
    const declared = files('src/commands/*.ts').flatMap((file) => {
      const names = matches(read(file), /\.command\('([a-z-]+)'/g)
      const parent = path.basename(file, '.ts')
      return names.map((name) => (names.length > 1 && name !== parent ? `${parent} ${name}` : name))
    })
    const parents = declared.flatMap((name) => (name.includes(' ') ? [name.split(' ')[0] ?? ''] : []))
    expect(firstColumn(README, 'Commands')).toEqual(declared.filter((name) => !parents.includes(name)).sort())
  })

  test('shows code that stands in the examples, line by line in this order', () => {
    const examples = files('examples/*.ts').map((file) =>
      read(file)
        .split('\n')
        .map((line) => line.trim()),
    )
    const snippets = [...README.matchAll(/^```ts\n([^]*?)^```/gm)].map(([, code = '']) =>
      code.trim().split('\n'),
    )
    expect(snippets).not.toEqual([])
    for (const snippet of snippets) {
      const missing = examples.map((lines) => {
        let at = 0
        return snippet.filter((line) => {
          const found = lines.indexOf(line.trim(), at)
          if (found !== -1) at = found + 1
          return found === -1
        })
      })
      expect(missing).toContainEqual([])
    }
  })
})

describe('docs/operations.md', () => {
  test('has a line for every log event, and for no other', () => {
    const logged = files('src/**/*.ts').flatMap((file) =>
      [...read(file).matchAll(/\blogger(?:\.[a-z]+|\[[^\]]+\])\(/g)].map(
        ({ index, input }) => /'([a-z_]+\.[a-z_]+)'/.exec(input.slice(index))?.[1] ?? `a line of ${file}`,
      ),
    )
    expect(firstColumn(OPERATIONS, 'Log')).toEqual([...new Set<string>(logged)].sort())
  })

  test('has a line for every metric, and for no other', () => {
    const metrics = files('src/telemetry/*.ts').flatMap((file) => matches(read(file), /'(walhook_[a-z_]+)'/g))
    expect(metrics.length).toBeGreaterThan(30)
    expect(firstColumn(OPERATIONS, 'Metrics')).toEqual(metrics.toSorted())
  })

  test('says of every error code what to do', () => {
    const union = /type WalhookErrorCode =([^]*?)\n\n/.exec(read('src/lifecycle/errors.ts'))?.[1] ?? ''
    expect(firstColumn(OPERATIONS, 'Errors, and what to do')).toEqual(matches(union, /\| '([a-z_]+)'/g))
  })
})

describe('docs/signatures.md', () => {
  const SIGNATURES = read('docs/signatures.md')

  test('has a line for every scheme', () => {
    const schemes = matches(SIGNATURES.split(/^## /m)[0] ?? '', /^\| `([^`]+)`/gm)
    expect(schemes).toEqual([...SIGNATURE_SCHEMES].sort())
  })

  test('names the headers as they are, without a prefix and with one', () => {
    const told = (column: number): string[] =>
      SIGNATURES.split('\n')
        .filter((line) => line.includes('`X-Acme-') && line.startsWith('| `'))
        .flatMap((line) => matches(line.split(' | ')[column] ?? '', /`([^`]+)`/g))
    for (const [column, prefix] of [undefined, 'X-Acme-'].entries())
      expect(new Set(told(column))).toEqual(new Set(Object.values(headerNames(prefix)).flat()))
  })
})

describe('docs/bodies.md', () => {
  test('has a line for every form', () => {
    const forms = matches(read('docs/bodies.md').split(/^## /m)[0] ?? '', /^\| `([^`]+)`(?: \(| \|)/gm)
    expect(forms.filter((name) => name !== 'body')).toEqual([...BODY_FORMS].sort())
  })
})

describe('docs/subscriptions.md', () => {
  test('has a line for every error class', () => {
    expect(firstColumn(SUBSCRIPTIONS, 'Error classes')).toEqual(
      [...ERROR_CLASSES, 'cancelled', 'event_missing', 'expired', 'expunged'].sort(),
    )
  })

  test('gives a known answer that is the answer', () => {
    const given = (name: string): string =>
      new RegExp(`^\\| ${name} \\| \`(.+)\` \\|$`, 'm').exec(SUBSCRIPTIONS)?.[1] ?? ''
    const signature = aSignature({ secrets: [given('secret')] })[0]?.sign({
      id: given('`webhook-id`'),
      timestamp: Number(given('`webhook-timestamp`')),
      body: Buffer.from(given('body')),
    })
    expect(given('`webhook-signature`')).toBe(signature)
  })
})
