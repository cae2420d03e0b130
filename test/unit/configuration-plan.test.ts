/** What a configuration file changes: told apart by what JSON says, and without what nobody may see. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { substituted } from '../../src/commands/apply/environment-values.ts'
import { changedFields, isSameJson } from '../../src/core/configuration-plan.ts'

test('JSON is the same whatever the order of its members, and through its text', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const reversed = (each: unknown): unknown => {
        if (Array.isArray(each)) return each.map(reversed)
        if (typeof each !== 'object' || each === null) return each
        return Object.fromEntries(
          Object.entries(each)
            .toReversed()
            .map(([key, member]) => [key, reversed(member)]),
        )
      }
      expect(isSameJson(JSON.parse(JSON.stringify(value)), reversed(JSON.parse(JSON.stringify(value))))).toBe(
        true,
      )
    }),
  )
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const sorted = (value: unknown): string =>
        JSON.stringify(value, (_, each: unknown) =>
          typeof each === 'object' && each !== null && !Array.isArray(each)
            ? Object.fromEntries(Object.entries(each).sort(([x], [y]) => (x < y ? -1 : 1)))
            : each,
        )
      expect(isSameJson(JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b)))).toBe(
        sorted(a) === sorted(b),
      )
    }),
  )
  expect(isSameJson([], {})).toBe(false)
  expect(isSameJson({ a: 1 }, { a: 1, b: null })).toBe(false)
})

test('a field that changed is told with what it was and is, or that it is not shown', () => {
  expect(
    changedFields({
      before: { a: 1, b: ['x'], c: 'old', d: { k: 1 } },
      after: { a: 1, b: ['y'], c: 'new', d: { k: 2 } },
      shown: { before: { d: '…' }, after: { d: '…' } },
      hidden: new Set(['c']),
    }),
  ).toEqual([
    { field: 'b', before: undefined, after: undefined, isHidden: false },
    { field: 'c', before: undefined, after: undefined, isHidden: true },
    { field: 'd', before: '…', after: '…', isHidden: false },
  ])
})

test('variables are put in at any depth, and what is not set is named', () => {
  const environment = { HOST: 'example.com', EMPTY: '' }
  expect(substituted('https://${HOST}/a?b=${EMPTY}', environment)).toEqual({
    value: 'https://example.com/a?b=',
    isFromEnvironment: true,
    missing: [],
  })
  expect(substituted({ a: ['${HOST}', 7, null, '$HOST $${HOST} $.a'] }, environment)).toEqual({
    value: { a: ['example.com', 7, null, '$HOST ${HOST} $.a'] },
    isFromEnvironment: true,
    missing: [],
  })
  expect(substituted('${MISSING} ${not a name}', environment)).toMatchObject({
    isFromEnvironment: false,
    missing: ['MISSING', 'not a name'],
  })
  // What comes from there is not looked through again.
  expect(substituted('${A}', { A: '${B}', B: 'x' }).value).toBe('${B}')
})
