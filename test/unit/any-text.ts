/** Text of any characters, for properties: as fast-check's own `binary` unit, without the half second that it takes to build. */
import fc from 'fast-check'

const codePoint = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 0xff }) },
  { weight: 2, arbitrary: fc.integer({ min: 0x100, max: 0xd7ff }) },
  { weight: 1, arbitrary: fc.integer({ min: 0xe000, max: 0x10ffff }) },
)

/** One character, control characters and those beyond the BMP among them; no half of a surrogate pair. */
export const anyCharacter: fc.Arbitrary<string> = codePoint.map((code) => String.fromCodePoint(code))

export const anyText: fc.Arbitrary<string> = fc.string({ unit: anyCharacter })
