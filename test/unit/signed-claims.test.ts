/** Signed claims: what was signed comes back, and nothing else does. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { allows, type Scope, SCOPES } from '../../src/core/principal.ts'
import { type Claims, readClaims, signClaims, signingKey } from '../../src/core/signed-claims.ts'

const NOW = Date.parse('2026-11-22T15:00:00Z')
const KEY = signingKey([Buffer.from('a secret')], 'session')

const claims: fc.Arbitrary<Claims> = fc.record({
  keyId: fc.option(fc.uuid()),
  scope: fc.constantFrom(...SCOPES),
  tenant: fc.option(fc.string({ unit: 'grapheme' })),
  expiresAt: fc.integer({ min: NOW / 1_000 + 1, max: NOW / 1_000 + 1e6 }),
})

test('what was signed is read again, until it expires', () => {
  fc.assert(
    fc.property(claims, (given) => {
      const text = signClaims(KEY, given)
      expect(text).toMatch(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}$/)
      expect(readClaims(KEY, text, NOW)).toEqual(given)
      expect(readClaims(KEY, text, given.expiresAt * 1_000)).toBeUndefined()
    }),
  )
})

test('changed in any place, cut, or anything else, it is none', () => {
  const text = signClaims(KEY, { keyId: null, scope: 'read', tenant: 't', expiresAt: NOW / 1_000 + 60 })
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom('A', 'B', '.', '-'), (at, char) => {
      const changed = text.slice(0, at) + char + text.slice(at + 1)
      // The last character of base64 has bits that mean nothing.
      if (changed !== text && at < text.length - 1) expect(readClaims(KEY, changed, NOW)).toBeUndefined()
      expect(readClaims(KEY, text.slice(0, at), NOW)).toBeUndefined()
    }),
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (any) => {
      expect(readClaims(KEY, any, NOW)).toBeUndefined()
    }),
  )
  expect(readClaims(KEY, `${text}.x`, NOW)).toBeUndefined()
})

test('a key is for one purpose, and of all of its secrets', () => {
  const given: Claims = { keyId: null, scope: 'admin', tenant: null, expiresAt: NOW / 1_000 + 60 }
  const others = [
    signingKey([Buffer.from('a secret')], 'portal_link'),
    signingKey([Buffer.from('a secret'), Buffer.from('!')], 'session'),
    signingKey([Buffer.from('another')], 'session'),
  ]
  for (const other of others) expect(readClaims(KEY, signClaims(other, given), NOW)).toBeUndefined()
})

test('scopes contain one another, and publishing is beside reading', () => {
  const may = (scope: Scope): string => SCOPES.filter((needed) => allows(scope, needed)).join(' ')
  expect(SCOPES.map(may)).toEqual(['publish', 'read', 'publish read operate', 'publish read operate admin'])
})
