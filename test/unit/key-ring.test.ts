/** Which keys are taken, and that a key is never told: neither by its id nor by what is said against it. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type KeyRing, parseKeyRing } from '../../src/core/key-ring.ts'

const A = 'q83vEjRWeJCrze8SNFZ4kA7trC+PaldJ8XHq0x2+Vls='
const B = 'Zk3v8wqYB1d0X0Qm6u9Vt3gk2b7yQdJmS8cN5rT4xHo='
const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64')
const randomKeys = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .filter((bytes) => new Set(bytes).size >= 16 && bytes.some((byte) => byte > 0x7f))

function ringOf(text: string): KeyRing {
  const parsed = parseKeyRing(text)
  if (parsed.kind === 'ring') return parsed.ring
  throw new Error(parsed.rule)
}

function ruleAgainst(text: string): string {
  const parsed = parseKeyRing(text)
  if (parsed.kind === 'refused') return parsed.rule
  throw new Error('it was taken')
}

test('nothing is a ring without keys', () => {
  expect(ringOf('')).toEqual([])
  expect(ringOf('  ')).toEqual([])
})

test('keys stay in their order, each under the id that is its own', () => {
  const [a, b] = ringOf(`${A}, ${B}`)
  expect(a?.key.export()).toEqual(Buffer.from(A, 'base64'))
  expect(b?.key.export()).toEqual(Buffer.from(B, 'base64'))
  expect(ringOf(`${B},${A}`).map(({ id }) => id)).toEqual([b?.id, a?.id])
  expect(a?.id).toMatch(/^[0-9a-f]{8}$/)
  expect(a?.id).not.toBe(b?.id)
})

test('random keys are taken, and the id stands nowhere in the key', () => {
  fc.assert(
    fc.property(randomKeys, (bytes) => {
      const [key] = ringOf(base64(bytes))
      expect(key?.key.export().equals(bytes)).toBe(true)
      expect(Buffer.from(bytes).toString('hex')).not.toContain(key?.id)
    }),
  )
})

describe('refused, without repeating any of it:', () => {
  test.each([
    ['31 bytes', A.slice(0, -4)],
    ['33 bytes', base64(Buffer.concat([Buffer.from(A, 'base64'), Buffer.from('x')]))],
    ['base64 with a character too many', `${A}=`],
    ['base64 without its padding', A.slice(0, -1)],
    ['base64url', A.replace('+', '-')],
    ['spare bits that are set', A.replace('s=', 't=')],
    ['hexadecimal', Buffer.from(A, 'base64').toString('hex')],
    ['zeros', base64(Buffer.alloc(32))],
    ['one byte again and again', base64(Buffer.alloc(32, 0xa7))],
    ['a short pattern', base64(Buffer.alloc(32, 'é\u0001\u0002'))],
    ['bytes that count', base64(Uint8Array.from({ length: 32 }, (_, i) => i + 200))],
    ['a password', base64('correct horse battery staple 123')],
    ['hexadecimal in base64', base64('0123456789abcdef0123456789abcdef')],
  ])('%s', (_what, text) => {
    for (const ring of [text, `${A},${text}`]) {
      const rule = ruleAgainst(ring)
      expect(rule).toMatch(/^has to be the base64 of 32 random bytes/)
      expect(rule.includes('key 2 of 2')).toBe(ring !== text)
      for (const part of [text, text.slice(0, 8), A.slice(0, 8)]) expect(rule).not.toContain(part)
    }
  })

  test('a key that is missing between commas', () => {
    expect(ruleAgainst(`${A},`)).toContain('key 2 of 2')
    expect(ruleAgainst(`,${A}`)).toContain('key 1 of 2')
  })

  test('a key that stands there twice', () => {
    expect(ruleAgainst(`${A},${B},${A}`)).toBe('has to hold each key once; key 3 is key 1 again')
  })
})
