/** Values for a JSON Schema, as fast-check makes them: some that fit it, and some that somebody hostile would send instead. */
import fc from 'fast-check'
import type { ApiDocument, Schema } from './api-document.ts'

/** What has broken parsers, databases and log lines before. */
const HOSTILE: readonly unknown[] = [
  null,
  '',
  0,
  -1,
  1e308,
  2 ** 60,
  true,
  [],
  {},
  [[[[]]]],
  '\0',
  '\ud800',
  '\u202e\u0007\u001b[31m',
  "'; drop table walhook.outbox; --",
  '%00%ff..%2f',
  'x'.repeat(5_000),
  '00000000-0000-0000-0000-000000000000',
  '999999999999999999',
  '-infinity',
  '2026-13-45T99:99:99Z',
  JSON.parse('{"__proto__": {"scope": "admin"}, "constructor": 1, "toString": null}'),
]

export const hostile: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
)

/** Mostly what fits; `document` knows what is referred to. */
export function arbitraryFor(raw: Schema, document: ApiDocument, depth = 0): fc.Arbitrary<unknown> {
  const schema = document.resolved(raw)
  if (depth > 6) return fc.constant(null)
  const alternatives = (schema['anyOf'] ?? schema['oneOf']) as readonly Schema[] | undefined
  if (alternatives !== undefined)
    return fc.oneof(...alternatives.map((each) => arbitraryFor(each, document, depth + 1)))
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]))
  if ('const' in schema) return fc.constant(schema['const'])
  const [type] = [schema['type']].flat()
  switch (type) {
    case 'object':
      return objectFor(schema, document, depth)
    case 'array':
      return fc.array(arbitraryFor((schema['items'] ?? {}) as Schema, document, depth + 1), {
        minLength: (schema['minItems'] as number | undefined) ?? 0,
        maxLength: Math.min((schema['maxItems'] as number | undefined) ?? 4, 4),
      })
    case 'integer':
    case 'number':
      return fc.integer({
        min: Math.max((schema['minimum'] as number | undefined) ?? -1_000, -1_000_000),
        max: Math.min((schema['maximum'] as number | undefined) ?? 1_000, 1_000_000),
      })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'string':
      return stringFor(schema)
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}

function objectFor(schema: Schema, document: ApiDocument, depth: number): fc.Arbitrary<unknown> {
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>)
  const members = Object.fromEntries(
    properties.map(([name, member]) => [
      name,
      fc.oneof(
        { weight: 12, arbitrary: arbitraryFor(member, document, depth + 1) },
        { weight: 1, arbitrary: hostile },
      ),
    ]),
  )
  const requiredKeys = ((schema['required'] ?? []) as string[]).filter((name) => name in members)
  return fc.record(members, { requiredKeys })
}

function stringFor(schema: Schema): fc.Arbitrary<string> {
  const examples = schema['examples'] as readonly string[] | undefined
  const length = {
    minLength: (schema['minLength'] as number | undefined) ?? 0,
    maxLength: Math.min((schema['maxLength'] as number | undefined) ?? 60, 60),
  }
  const made =
    schema['format'] === 'uuid'
      ? fc.uuid()
      : schema['format'] === 'date-time'
        ? fc
            .date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
            .map((date) => date.toISOString())
        : typeof schema['pattern'] === 'string' && !schema['pattern'].startsWith('^[^')
          ? fc.stringMatching(new RegExp(schema['pattern']))
          : fc.string(length)
  return examples === undefined ? made : fc.oneof(made, fc.constantFrom(...examples))
}
