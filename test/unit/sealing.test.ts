/** What is sealed opens with its key in its place, and nowhere else, and not when anything of it was changed. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type EncryptionKey, parseKeyRing } from '../../src/core/key-ring.ts'
import { isSealed, NONCE_BYTES, open, seal } from '../../src/core/sealing.ts'

function key(seed: number): EncryptionKey {
  const bytes = Buffer.from(Array.from({ length: 32 }, (_, i) => (i * i * 7 + i * 31 + seed * 13) % 256))
  const parsed = parseKeyRing(bytes.toString('base64'))
  if (parsed.kind !== 'ring' || parsed.ring[0] === undefined) throw new Error('not a key')
  return parsed.ring[0]
}

const [KEY, OTHER] = [key(1), key(2)]
const PLACE = { row: '0198c0de-0000-7000-8000-000000000001', column: 'secret' }
const VALUE = { plain: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', hint: 'LaSw' }
const NONCE = Buffer.from('000102030405060708090a0b', 'hex')
const SEALED = seal(KEY, PLACE, VALUE, NONCE)

const values = fc.record({
  plain: fc.string({ unit: 'grapheme', maxLength: 200 }),
  hint: fc.stringMatching(/^[A-Za-z0-9+/]{0,4}$/),
})
const places = fc.record({ row: fc.uuid(), column: fc.constantFrom('secret', 'previous_secret', 'headers') })
const nonces = fc
  .uint8Array({ minLength: NONCE_BYTES, maxLength: NONCE_BYTES })
  .map((bytes) => Buffer.from(bytes))

test('whatever is sealed opens again, with any ring that has its key', () => {
  fc.assert(
    fc.property(places, values, nonces, (place, value, nonce) => {
      const text = seal(KEY, place, value, nonce)
      const opened = { kind: 'opened', plain: value.plain, keyId: KEY.id }
      for (const ring of [[KEY], [KEY, OTHER], [OTHER, KEY]]) expect(open(ring, place, text)).toEqual(opened)
    }),
  )
})

test('says with which key and how its secret ends, and nothing else of it', () => {
  expect(SEALED.startsWith(`enc:v1:${KEY.id}:LaSw:`)).toBe(true)
  expect(isSealed(SEALED)).toBe(true)
  expect(isSealed(VALUE.plain)).toBe(false)
  const bytes = Buffer.from(SEALED.split(':')[4] ?? '', 'base64')
  expect(bytes.subarray(0, NONCE_BYTES)).toEqual(NONCE)
  expect(bytes.toString('latin1')).not.toContain('whsec')
  expect(bytes.length).toBe(NONCE_BYTES + VALUE.plain.length + 16)
})

test('is another text each time, with another nonce', () => {
  expect(seal(KEY, PLACE, VALUE, Buffer.alloc(NONCE_BYTES, 1))).not.toBe(SEALED)
})

test('a nonce of another length is a bug', () => {
  expect(() => seal(KEY, PLACE, VALUE, Buffer.alloc(16))).toThrow(RangeError)
})

describe('does not open', () => {
  test('in another row or another column', () => {
    fc.assert(
      fc.property(places, places, values, nonces, (place, other, value, nonce) => {
        fc.pre(place.row !== other.row || place.column !== other.column)
        expect(open([KEY], other, seal(KEY, place, value, nonce))).toEqual({ kind: 'not_authentic' })
      }),
    )
  })

  test('without its key, and says which it is', () => {
    expect(open([OTHER], PLACE, SEALED)).toEqual({ kind: 'key_unknown', keyId: KEY.id })
    expect(open([], PLACE, SEALED)).toEqual({ kind: 'key_unknown', keyId: KEY.id })
  })

  test('with another key under its id', () => {
    expect(open([{ id: KEY.id, key: OTHER.key }], PLACE, SEALED)).toEqual({ kind: 'not_authentic' })
    expect(open([OTHER], PLACE, SEALED.replace(KEY.id, OTHER.id))).toEqual({ kind: 'not_authentic' })
  })

  test('with any one byte changed: nonce, ciphertext and tag', () => {
    const [header, bytes] = [SEALED.slice(0, SEALED.lastIndexOf(':') + 1), SEALED.split(':')[4] ?? '']
    for (let i = 0; i < Buffer.from(bytes, 'base64').length; i++) {
      const changed = Buffer.from(bytes, 'base64')
      changed[i] = (changed[i] ?? 0) ^ 1
      expect(open([KEY], PLACE, header + changed.toString('base64'))).toEqual({ kind: 'not_authentic' })
    }
  })

  test('with any one character changed, left out or added', () => {
    const characters = fc.constantFrom(...'ABCDQRSTZabcdghijwxyz0123456789+/=:-'.split(''))
    // Of three lengths: base64 with spare bits in its last character, and without.
    const texts = fc.constantFrom(
      ...['', '=', '=='].map((more) => seal(KEY, PLACE, { ...VALUE, plain: VALUE.plain + more }, NONCE)),
    )
    const last = fc.nat(3)
    fc.assert(
      fc.property(
        texts,
        fc.oneof(fc.nat(200), last),
        characters,
        fc.constantFrom(0, 1),
        (text, back, character, remove) => {
          const at = text.length - 1 - (back % text.length)
          const changed = text.slice(0, at) + character + text.slice(at + remove)
          fc.pre(changed !== text)
          expect(open([KEY, OTHER], PLACE, changed).kind).not.toBe('opened')
        },
      ),
      { numRuns: 5_000 },
    )
  })

  test.each(['', 'enc:', 'enc:v1:', 'enc:v2:00000000::AAAA', `${SEALED}\n`, ` ${SEALED}`, 'whsec_AAAA'])(
    'where it is no sealed text: %j',
    (text) => {
      expect(open([KEY], PLACE, text)).toEqual({ kind: 'not_authentic' })
    },
  )
})
