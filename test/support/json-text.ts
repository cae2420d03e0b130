/**
 * JSON as text, at random: not what JSON.stringify prints, but what people and programs write. White space, escapes,
 * duplicate keys and numbers beyond any type stand as they were made, so that their bytes can be followed.
 */
import fc from 'fast-check'

const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\t', '\r'), maxLength: 3 })

/** Integers past 2^53 and 2^64, thirty digits, exponents, trailing zeros, minus zero. */
const number = fc.oneof(
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String),
  fc.stringMatching(/^-?[1-9][0-9]{29}$/),
  fc.stringMatching(/^-?(0|[1-9][0-9]{0,4})\.[0-9]{1,25}$/),
  fc.stringMatching(/^-?[1-9][0-9]{0,3}[eE][+-]?[0-9]{1,3}$/),
  fc.constantFrom('-0', '0.0', '1e400', '0.1000000000000000055511151231257827'),
)

/** Characters as they are, and the same as escapes: short, \u, surrogate pairs, \u0000. */
const character = fc.oneof(
  fc.constantFrom('a', 'é', 'ß', '漢', '🎉', '𝄞', '\u2028', '\u{10ffff}', '\u007f', ' '),
  fc.constantFrom('\\"', '\\\\', '\\/', '\\b', '\\f', '\\n', '\\r', '\\t'),
  fc.constantFrom('\\u0000', '\\u00e9', '\\u00E9', '\\ud83c\\udf89', '\\u2028'),
)
const string = fc.array(character, { maxLength: 8 }).map((characters) => `"${characters.join('')}"`)

const scalar = fc.oneof(number, string, fc.constantFrom('true', 'false', 'null'))

/** Text of an array or object around `items`, with odd white space; keys repeat and are in no order. */
function around(
  items: readonly string[],
  keys: readonly string[],
  spaces: readonly string[],
  isObject: boolean,
): string {
  const spaceAt = (i: number): string => spaces[i % Math.max(1, spaces.length)] ?? ''
  const inner = items.map((item, i) =>
    isObject
      ? `${spaceAt(i)}${keys[i % Math.max(1, keys.length)] ?? '"k"'}${spaceAt(i + 1)}:${spaceAt(i + 2)}${item}`
      : `${spaceAt(i)}${item}${spaceAt(i + 1)}`,
  )
  return isObject ? `{${inner.join(',')}${spaceAt(3)}}` : `[${inner.join(',')}${spaceAt(3)}]`
}

export const jsonText: fc.Arbitrary<string> = fc
  .letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      scalar,
      fc
        .tuple(
          fc.array(tie('value'), { maxLength: 4 }),
          fc.array(string, { maxLength: 3 }),
          fc.array(space, { maxLength: 3 }),
          fc.boolean(),
        )
        .map(([items, keys, spaces, isObject]) => around(items, keys, spaces, isObject)),
    ),
  }))
  .value
  // Outer white space is the application's as well.
  .chain((text) => fc.tuple(space, space).map(([before, after]) => `${before}${text}${after}`))
