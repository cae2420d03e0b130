/** What is kept of an answer: text that Postgres takes, no more of it than promised, whatever the endpoint sends. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ResponseBody } from '../../src/delivery/response-body.ts'

const KEPT_BYTES = 4096

function bodyOf(...chunks: readonly (string | Uint8Array)[]): ResponseBody {
  const body = new ResponseBody()
  for (const chunk of chunks) body.add(Buffer.from(chunk as Uint8Array))
  return body
}

test('a short answer is kept as it came, in however many pieces', () => {
  expect(bodyOf('{"ok":', ' true}').text(true)).toBe('{"ok": true}')
  const ü = Buffer.from('ü')
  expect(bodyOf(ü.subarray(0, 1), ü.subarray(1)).text(true)).toBe('ü')
  expect(bodyOf().text(true)).toBe('')
})

test('a long one is cut between two characters', () => {
  expect(bodyOf('x'.repeat(KEPT_BYTES), 'y').text(true)).toBe('x'.repeat(KEPT_BYTES))
  expect(bodyOf('x'.repeat(KEPT_BYTES - 1), 'ü').text(true)).toBe('x'.repeat(KEPT_BYTES - 1))
  expect(bodyOf('👩'.repeat(2000)).text(true)).toBe('👩'.repeat(KEPT_BYTES / 4))
})

test('one that broke off ends before the character that was under way', () => {
  const broken = Buffer.from('aü').subarray(0, 2)
  expect(bodyOf(broken).text(false)).toBe('a')
  expect(bodyOf(broken).text(true)).toBe('a\ufffd')
})

test('more than 64 KiB is more than anyone needs', () => {
  expect(bodyOf(new Uint8Array(65_536)).isTooLarge).toBe(false)
  expect(bodyOf(new Uint8Array(65_536), 'x').isTooLarge).toBe(true)
})

test('whatever the bytes: valid UTF-8 without U+0000, of 4 KiB at most', () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    fc.tuple(fc.integer({ min: 0, max: 255 }), fc.nat(6000)).map(([byte, n]) => new Uint8Array(n).fill(byte)),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 5 }), fc.boolean(), (chunks, isComplete) => {
      const text = bodyOf(...chunks).text(isComplete)
      expect(text.isWellFormed()).toBe(true)
      expect(text).not.toContain('\0')
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(KEPT_BYTES)
    }),
  )
})
