/** What is a JSON Schema of draft 2020-12, and what is said of a payload that does not fit: never anything of the payload. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type PayloadSchema, parsePayloadSchema } from '../../src/core/payload-schema.ts'

function schemaOf(schema: unknown): Extract<PayloadSchema, { kind: 'schema' }> {
  const parsed = parsePayloadSchema(JSON.stringify(schema))
  if (parsed.kind === 'none') throw new Error(parsed.reason)
  return parsed
}

const reasonOf = (schema: unknown, payload: unknown): string | undefined =>
  schemaOf(schema).misfitOf(payload)?.reason

describe('a schema', () => {
  test.each([
    ['true', true],
    ['an empty one', {}],
    ['with its draft', { $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object' }],
    ['with definitions', { $ref: '#/$defs/a', $defs: { a: { type: 'string' } } }],
    [
      'with an identifier, and itself within',
      { $id: 'https://e.com/tree', properties: { left: { $ref: 'https://e.com/tree' } } },
    ],
    [
      'with tuples, formats and what is new in the draft',
      {
        prefixItems: [{ format: 'email' }, { format: 'date-time' }],
        unevaluatedItems: false,
        dependentRequired: { a: ['b'] },
      },
    ],
    [
      'with annotations of OpenAPI and of others',
      { type: 'object', 'x-owner': 'billing', properties: { a: { example: 1, 'x-pii': true } } },
    ],
    ['with required names that are described elsewhere', { required: ['a'] }],
    ['with two types', { type: ['string', 'null'] }],
  ])('is one: %s', (_, schema) => {
    expect(parsePayloadSchema(JSON.stringify(schema))).toMatchObject({ kind: 'schema' })
  })

  const deep = (levels: number): string => '{"not":'.repeat(levels) + '{}' + '}'.repeat(levels)
  test.each([
    ['no JSON', '{', /JSON/],
    ['a text', '"object"', /neither an object nor true nor false/],
    ['a list', '[]', /neither an object nor true nor false/],
    ['null', 'null', /neither an object nor true nor false/],
    ['an unknown type', '{"type":"objekt"}', /^\/type must be/],
    ['a keyword misspelt', '{"requierd":["a"]}', /unknown keyword: "requierd"/],
    [
      'a rule within a rule',
      '{"properties":{"a":{"minimum":"1"}}}',
      /^\/properties\/a\/minimum must be number/,
    ],
    ['a reference to nowhere', '{"$ref":"#/$defs/x"}', /can't resolve reference/],
    ['a reference to somewhere else', '{"$ref":"https://e.com/x.json"}', /can't resolve reference/],
    ['a broken pattern', '{"pattern":"("}', /Invalid regular expression/],
    ['an unknown format', '{"format":"iban"}', /unknown format "iban"/],
    ['another draft', '{"$schema":"http://json-schema.org/draft-07/schema#"}', /draft-07/],
    ["ajv's own promise", '{"$async":true}', /\$async/],
    ['one that is too deep', deep(8_000), /call stack/],
  ])('is none: %s', (_, text, reason) => {
    expect(parsePayloadSchema(text)).toEqual({ kind: 'none', reason: expect.stringMatching(reason) })
  })

  test('leaves nothing behind for the next one: identifiers may be the same', () => {
    const schema = (type: string) => ({
      $id: 'https://e.com/a',
      $defs: { b: { $id: 'https://e.com/b', type } },
      properties: { x: { $ref: 'https://e.com/b' } },
    })
    expect(reasonOf(schema('string'), { x: 1 })).toBe('/x must be string')
    expect(reasonOf(schema('number'), { x: 1 })).toBeUndefined()
  })
})

describe('a payload', () => {
  test.each([
    ['of another type', { type: 'object' }, 'text', 'must be object'],
    ['that lacks a property', { required: ['amount'] }, {}, "must have required property 'amount'"],
    [
      'that has one only as every object has it',
      { required: ['toString'] },
      {},
      "must have required property 'toString'",
    ],
    [
      'within a list',
      { properties: { items: { items: { type: 'number' } } } },
      { items: [1, 'x'] },
      '/items/1 must be number',
    ],
    [
      'below names that nobody foresaw',
      { additionalProperties: { properties: { age: { type: 'number' } } } },
      { 'ada@example.com': { age: 'old' } },
      '/*/age must be number',
    ],
    [
      'below a number that is a name',
      { additionalProperties: { type: 'number' } },
      { '4111111111111111': 'x' },
      '/* must be number',
    ],
    [
      'with a name that it must not have',
      { properties: { a: true }, additionalProperties: false },
      { 'ada@example.com': 1 },
      'must NOT have additional properties',
    ],
    [
      'with a name of the wrong form',
      { propertyNames: { pattern: '^a' } },
      { 'bob@example.com': 1 },
      'property name must be valid',
    ],
    [
      'that is none of several',
      { anyOf: [{ type: 'number' }, { const: 'a' }] },
      'b',
      'must match a schema in anyOf',
    ],
    [
      'that fails behind a condition',
      { if: { required: ['z'] }, else: { required: ['b'] } },
      { a: 1 },
      "must have required property 'b'",
    ],
    ['that is no e-mail address', { format: 'email' }, 'nobody', 'must match format "email"'],
    [
      'with / and ~ in names',
      { properties: { 'a/b~c': { type: 'number' } } },
      { 'a/b~c': 'x' },
      '/a~1b~0c must be number',
    ],
    ['where nothing fits', false, {}, 'boolean schema is false'],
  ])('%s does not fit', (_, schema, payload, reason) => {
    expect(reasonOf(schema, payload)).toBe(reason)
  })

  test('says where the rule stands in the schema', () => {
    const misfit = schemaOf({ properties: { amount: { type: 'number' } } }).misfitOf({ amount: 'x' })
    expect(misfit?.schemaPath).toBe('#/properties/amount/type')
  })

  test('that is deeper than a schema which contains itself can follow does not fit, and ends nothing', () => {
    const tree = schemaOf({ properties: { a: { $ref: '#' } }, additionalProperties: false })
    const payload: unknown = JSON.parse('{"a":'.repeat(100_000) + '{}' + '}'.repeat(100_000))
    expect(tree.misfitOf(payload)?.reason).toBe('it is nested too deeply')
    expect(tree.misfitOf({ a: { a: {} } })).toBeUndefined()
  })

  test('is never quoted, neither its values nor its names, whatever it breaks', () => {
    const CANARY = 'canary-4f1a'
    const canary = fc.nat().map((n) => `${CANARY}-${n}`)
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 3 },
        canary,
        fc.dictionary(canary, tie('any')),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.record({ a: tie('any'), b: tie('any') }, { requiredKeys: [] }),
      ),
    })).any
    const rules = [
      { type: 'number' },
      { enum: [1, 'x'] },
      { const: { a: 1 } },
      { pattern: '^z' },
      { maxLength: 1 },
      { format: 'date' },
      { additionalProperties: false },
      { properties: { a: { type: 'number' }, b: { maxItems: 0, minProperties: 9 } } },
      { additionalProperties: { additionalProperties: { type: 'number' } } },
      { propertyNames: { maxLength: 2 } },
      { patternProperties: { '': { type: 'null' } } },
      { unevaluatedProperties: false },
      { items: { items: false }, uniqueItems: true, contains: { const: 3 } },
      { dependentRequired: { a: ['z'] }, oneOf: [{ type: 'object' }, { type: 'array' }] },
      { not: {} },
    ].map(schemaOf)
    fc.assert(
      fc.property(value, fc.constantFrom(...rules), (payload, rule) => {
        expect(JSON.stringify(rule.misfitOf(payload) ?? {})).not.toContain(CANARY)
      }),
      { numRuns: 2_000 },
    )
  })
})
