/** Publishing once, and with the bytes that came: ids made of texts, JSON taken apart and put together without being read. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { idempotencyId } from '../../src/core/idempotency-id.ts'
import { elementTexts } from '../../src/core/json-members.ts'
import { visibleJsonWith } from '../../src/core/raw-json.ts'
import { parseStatusRange } from '../../src/core/status-range.ts'

describe('an id', () => {
  test('that is a UUID stays one, in one spelling', () => {
    expect(idempotencyId('01A22683-92CE-72B3-A7A5-EC8ADDBC699D', 't')).toBe(
      '01a22683-92ce-72b3-a7a5-ec8addbc699d',
    )
  })

  test('of any other text is the same each time, another for another scope, and of version 8', () => {
    const id = idempotencyId('order 17, paid', '')
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(idempotencyId('order 17, paid', '')).toBe(id)
    expect(
      new Set([id, idempotencyId('order 17, paid', 't'), idempotencyId('order 18, paid', '')]).size,
    ).toBe(3)
  })
})

describe('the elements of an array', () => {
  test('are the texts that stand there', () => {
    expect(elementTexts(' [ {"a": [1,2]} ,\n"x,]" , 1.50, [] ] ')).toEqual([
      '{"a": [1,2]}',
      '"x,]"',
      '1.50',
      '[]',
    ])
    expect(elementTexts('[]')).toEqual([])
    expect(elementTexts('{}')).toBeUndefined()
  })

  test('are as many as there are, and mean the same', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), (array) => {
        const texts = elementTexts(JSON.stringify(array, undefined, 1)) ?? []
        expect(texts.map((text) => JSON.parse(text) as unknown)).toEqual(JSON.parse(JSON.stringify(array)))
      }),
    )
  })
})

test('raw members keep their digits and lines, and lose what a terminal would act on', () => {
  const shown = visibleJsonWith({ id: 'a' }, { payload: '{\n "n": 1.50,\t"s": "\u202e\u009b"}' })
  expect(shown).toBe('{"id":"a","payload":{\n "n": 1.50,\t"s": "\\u202e\\u009b"}}')
  expect(visibleJsonWith({}, { payload: '1' })).toBe('{"payload":1}')
})

test.each([
  ['503', { from: 503, to: 503 }],
  ['5xx', { from: 500, to: 599 }],
  ['600', undefined],
  ['5x', undefined],
])('the status %s is asked for as %o', (text, range) => {
  expect(parseStatusRange(text)).toEqual(range)
})
