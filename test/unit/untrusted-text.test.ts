/** Whatever an endpoint, a server or a table says: a log line stays one line of JSON, and a terminal is only shown text. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  excerpt,
  visible,
  visibleJson,
  visibleJsonDocument,
  visibleLines,
} from '../../src/core/untrusted-text.ts'
import { readableLog } from '../../src/commands/readable-log.ts'
import { psqlRecord, psqlTable } from '../../src/commands/psql-table.ts'
import { shownBody } from '../../src/commands/listen.ts'
import { WalhookError } from '../../src/lifecycle/errors.ts'
import { createLogger } from '../../src/telemetry/logger.ts'

/** Written down apart from the code's own rule: what a terminal, a pager or a reader of logs may act on. */
const HARMFUL: readonly (readonly [first: number, last: number])[] = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad], // soft hyphen
  [0x061c, 0x061c], // Arabic letter mark
  [0x180e, 0x180e],
  [0x200b, 0x200b], // zero-width space
  [0x200e, 0x200f], // left-to-right and right-to-left mark
  [0x2028, 0x202e], // separators; bidi embeddings and overrides
  [0x2060, 0x206f], // invisible operators; bidi isolates
  [0xd800, 0xdfff], // halves of pairs
  [0xfeff, 0xfeff], // byte order mark
  [0xfff9, 0xfffb],
  [0xe0000, 0xe0fff], // tags
]

function isHarmful(character: string): boolean {
  const code = character.codePointAt(0) ?? 0
  return HARMFUL.some(([first, last]) => code >= first && code <= last)
}

function harmful(text: string): string[] {
  return Array.from(text).filter(isHarmful)
}

/** Half of it is what does harm, since text at random hardly ever does. */
const nastyText = fc.string({
  unit: fc.oneof(
    fc
      .constantFrom(...HARMFUL)
      .chain(([min, max]) => fc.integer({ min, max }))
      .map((code) => String.fromCodePoint(code)),
    fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCodePoint(code)),
    fc.constantFrom(
      '\u001b[2J',
      '\u001b]8;;https://e.com\u0007',
      '\r\n',
      'ü',
      '注',
      '👩‍🚀',
      '❤️',
      '\u200d',
      '\ufe0f',
      '"',
      '\\',
    ),
  ),
  maxLength: 60,
})

test('every code point that does harm is shown by its number, and no letter is', () => {
  for (const [first, last] of HARMFUL)
    for (let code = first; code <= last; code++)
      expect(harmful(visible(`a${String.fromCodePoint(code)}`)), `U+${code.toString(16)}`).toEqual([])
  const kept = 'Grüße, 注文 №5, मराठी क्‍ष, نمی‌خواهم, 👩‍🚀 ❤️ \\n "x"'
  expect(visible(kept)).toBe(kept)
})

test('what hides behind ASCII is shown, too', () => {
  expect(visible('pay\u200dpal\u200c.com\ufe0f')).toBe(String.raw`pay\u200dpal\u200c.com\ufe0f`)
  expect(visible('न\u200d\u200d')).toBe('न\u200d\\u200d')
  expect(visible('\u{e0041}')).toBe(String.raw`\udb40\udc41`)
})

test('whatever the text: one line, nothing that does harm, and safe to do twice', () => {
  fc.assert(
    fc.property(nastyText, (text) => {
      const shown = visible(text)
      expect(harmful(shown)).toEqual([])
      expect(visible(shown)).toBe(shown)
    }),
  )
})

test('JSON stays JSON, and means the same', () => {
  const anyValue = fc.json().map((text): unknown => JSON.parse(text))
  fc.assert(
    fc.property(anyValue, nastyText, nastyText, (any, name, text) => {
      const value = [any, { [name]: text }]
      const shown = visibleJson(value)
      expect(harmful(shown)).toEqual([])
      expect(JSON.stringify(JSON.parse(shown))).toBe(JSON.stringify(value))
      const document = visibleJsonDocument(value)
      expect(harmful(document.replaceAll('\n', ''))).toEqual([])
      expect(JSON.stringify(JSON.parse(document))).toBe(JSON.stringify(value))
    }),
  )
})

test('text of several lines keeps them, and nothing else that acts on a terminal', () => {
  fc.assert(
    fc.property(nastyText, (text) => {
      expect(harmful(visibleLines(text).replaceAll('\n', ''))).toEqual([])
    }),
  )
  expect(visibleLines('one\r\ntwo\u001b[2J')).toBe('one\ntwo\\u001b[2J')
})

test('an excerpt is no longer than it may be, and cuts no character in two', () => {
  expect(excerpt('abc', 3)).toBe('abc')
  expect(excerpt('abcd', 3)).toBe('abc… (4 characters)')
  expect(excerpt('ab👩cd', 3)).toBe('ab… (6 characters)')
  expect(excerpt('a👩bcd', 3)).toBe('a👩… (6 characters)')
})

describe('a log line', () => {
  function logged(fields: Readonly<Record<string, unknown>>): string {
    const written: string[] = []
    createLogger('info', { write: (line) => written.push(line) }).info(fields, 'some.event')
    expect(written).toHaveLength(1)
    return written[0] ?? ''
  }

  test('is one line of JSON that says what was logged, whatever was', () => {
    fc.assert(
      fc.property(nastyText, nastyText, (text, message) => {
        const line = logged({
          url: text,
          list: [text],
          err: new WalhookError('not_found', message, { remedy: text }),
        })
        expect(line.endsWith('\n')).toBe(true)
        expect(harmful(line.slice(0, -1))).toEqual([])
        // Half a surrogate pair is not text; JSON can say it all the same.
        expect(JSON.parse(line)).toMatchObject({
          msg: 'some.event',
          url: text,
          list: [text],
          err: { message, code: 'not_found', remedy: text },
        })
      }),
    )
  })

  test('stays short where a server quotes a value of any length', () => {
    const line = logged({ err: new Error(`invalid input: ${'x'.repeat(1_000_000)}`) })
    expect(line.length).toBeLessThan(2_500)
    expect(line).toContain('(1000015 characters)')
  })

  test('is one line for a person, too', () => {
    fc.assert(
      fc.property(nastyText, (text) => {
        const shown: string[] = []
        const log = readableLog(
          (line) => shown.push(line),
          (_style, plain) => plain,
        )
        const attempt = {
          delivery_id: '7',
          attempt: 1,
          outcome: 'delivered',
          duration_ms: 3,
          event_type: text,
          error: text,
        }
        const logger = createLogger('info', log)
        logger.info(attempt, 'delivery.attempted')
        logger.warn({ text, nested: { [text]: text } }, 'some.event')
        expect(shown).toHaveLength(2)
        expect(shown.flatMap(harmful)).toEqual([])
      }),
    )
  })
})

test('tables and records keep their lines, whatever stands in a cell', () => {
  fc.assert(
    fc.property(nastyText, nastyText, (key, lastError) => {
      const row = { id: 7n, key, last_error: lastError }
      const table = psqlTable(['id', 'key', 'last_error'], [row, row]).split('\n')
      expect(table).toHaveLength(5)
      const record = psqlRecord(row).split('\n')
      expect(record).toHaveLength(3)
      expect([...table, ...record].flatMap(harmful)).toEqual([])
    }),
  )
})

test('a body that listen prints is one line, whatever its bytes', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        nastyText.map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        expect(harmful(shownBody(Buffer.from(bytes)))).toEqual([])
      },
    ),
  )
})
