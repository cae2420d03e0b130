/** What stands in a subscription's columns, how it is read, and what is to stand there instead. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { type EncryptionKey, parseKeyRing } from '../../src/core/key-ring.ts'
import { readSecret, resealed, SECRET_COLUMNS, type SecretColumn } from '../../src/core/signing-secret.ts'

const SECRET = 'whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='
const [ID, OTHER_ID] = ['0198c0de-0000-7000-8000-000000000001', '0198c0de-0000-7000-8000-000000000002']
const [NEW, OLD] = [newKey(), newKey()]

function newKey(): EncryptionKey {
  const parsed = parseKeyRing(randomBytes(32).toString('base64'))
  if (parsed.kind !== 'ring' || parsed.ring[0] === undefined) throw new Error('not a key')
  return parsed.ring[0]
}

function sealed(key: EncryptionKey, column: SecretColumn, text = SECRET, id = ID): string {
  const result = resealed(key, [NEW, OLD], { id, column, text }, randomBytes(12))
  if (result.kind !== 'sealed') throw new Error(`it is ${result.kind}`)
  return result.text
}

test('a plain secret is read as it stands, with any ring', () => {
  for (const ring of [[], [NEW]])
    expect(readSecret(ring, { id: ID, column: 'secret', text: SECRET })).toEqual({
      kind: 'plain',
      plain: SECRET,
    })
})

test('a plain secret is sealed, with its last four characters for whoever looks', () => {
  const text = sealed(NEW, 'secret')
  expect(text.split(':').slice(0, 4)).toEqual(['enc', 'v1', NEW.id, 'dHh8'])
  expect(readSecret([NEW], { id: ID, column: 'secret', text })).toMatchObject({ plain: SECRET })
})

test.each([
  'correct horse battery staple',
  'whsec_not the base64 of anything',
  `whsec_${'A'.repeat(28)}BCD=`, // 23 bytes
  `whsec_${'A'.repeat(88)}`, // 66 bytes
  `whsk_${'A'.repeat(43)}=`,
])('of a text that is no Standard Webhooks secret nothing can be read: %j', (text) => {
  expect(sealed(NEW, 'secret', text).split(':')[3]).toBe('')
})

test('one that is sealed for its place stays as it is', () => {
  for (const column of SECRET_COLUMNS)
    expect(resealed(NEW, [NEW, OLD], { id: ID, column, text: sealed(NEW, column) }, randomBytes(12))).toEqual(
      { kind: 'as_it_is' },
    )
})

test('one that an old key sealed is sealed anew', () => {
  const text = sealed(NEW, 'secret', sealed(OLD, 'secret'))
  expect(readSecret([NEW], { id: ID, column: 'secret', text })).toMatchObject({
    kind: 'opened',
    plain: SECRET,
  })
})

test('what a rotation moved is read, and sealed for its new column; then it does not open in its old one', () => {
  const moved = sealed(NEW, 'secret')
  expect(readSecret([NEW], { id: ID, column: 'previous_secret', text: moved })).toMatchObject({
    plain: SECRET,
  })
  const text = sealed(NEW, 'previous_secret', moved)
  expect(text).not.toBe(moved)
  expect(readSecret([NEW], { id: ID, column: 'previous_secret', text })).toMatchObject({ plain: SECRET })
  expect(readSecret([NEW], { id: ID, column: 'secret', text }).kind).toBe('not_authentic')
})

test('what was copied from another row is not read, and is left as it is', () => {
  for (const column of ['secret', 'previous_secret'] as const) {
    const foreign = { id: ID, column, text: sealed(NEW, column, SECRET, OTHER_ID) }
    expect(readSecret([NEW], foreign).kind).toBe('not_authentic')
    expect(resealed(NEW, [NEW], foreign, randomBytes(12))).toEqual({
      kind: 'unreadable',
      reason: 'not_authentic',
    })
  }
})

test('what no key of the ring sealed is not read, and is left as it is', () => {
  const stored = { id: ID, column: 'secret', text: sealed(OLD, 'secret') } as const
  expect(readSecret([NEW], stored)).toMatchObject({ kind: 'key_unknown', keyId: OLD.id })
  expect(resealed(NEW, [NEW], stored, randomBytes(12))).toEqual({
    kind: 'unreadable',
    reason: 'key_unknown',
  })
})
