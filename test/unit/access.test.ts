/** Credentials and certificates as an attempt uses them, and what is wrong with those that it cannot use. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { readCredentials, readTlsIdentity } from '../../src/core/access.ts'

const NOW = Date.parse('2026-11-22T00:00:00Z')
const pem = (name: string): string =>
  readFileSync(new URL(`../support/certificates/${name}`, import.meta.url), 'utf8')
const A = { cert: pem('client-a.pem'), key: pem('client-a.key') }
const [CA, OTHER_CA] = [pem('authority.pem'), pem('client-authority.pem')]

const identity = (tls: unknown, now = NOW): unknown => {
  const result = readTlsIdentity(JSON.stringify(tls), now)
  return result.kind === 'fault' ? result.fault : result.value
}

describe('credentials', () => {
  test('that are fixed are a header', () => {
    expect(readCredentials('{"type":"basic","username":"Aladdin","password":"open sesame"}')).toEqual({
      kind: 'read',
      value: { kind: 'fixed', authorization: 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==' },
    })
    // RFC 7617's own example of another character set.
    expect(readCredentials('{"type":"basic","username":"test","password":"123£"}')).toMatchObject({
      value: { authorization: 'Basic dGVzdDoxMjPCow==' },
    })
    expect(readCredentials('{"type":"bearer","token":"mF_9.B5f-4.1JqM"}')).toMatchObject({
      value: { authorization: 'Bearer mF_9.B5f-4.1JqM' },
    })
  })

  test.each([
    '',
    'null',
    '[]',
    '{}',
    '{"type":"bearer"}',
    '{"type":"digest","token":"a"}',
    '{"type":"bearer",',
  ])('that are none are malformed: %s', (text) => {
    expect(readCredentials(text)).toEqual({ kind: 'fault', fault: 'malformed' })
  })
})

describe('certificates', () => {
  test('have one id for each set of them, and no other', () => {
    const sets = [{ ca: CA }, { ca: OTHER_CA }, A, { ca: CA, ...A }, { ca: CA + OTHER_CA }]
    const ids = sets.map((tls) => (identity(tls) as { id: string }).id)
    expect(new Set(ids).size).toBe(sets.length)
    expect(sets.map((tls) => (identity({ ...tls }) as { id: string }).id)).toEqual(ids)
  })

  test('may have their chain behind them, and text around', () => {
    expect(identity({ ...A, cert: `subject=client-a\n${A.cert}\nissuer\n${OTHER_CA}` })).toHaveProperty('id')
  })

  test.each([
    ['malformed', { cert: A.cert }],
    ['malformed', { ca: 1 }],
    ['authority_unreadable', { ca: A.cert.replace('MII', 'AAA') }],
    ['authority_unreadable', { ca: CA + A.cert.replace('MII', 'AAA') }],
    ['authority_unreadable', { ca: 'nothing' }],
    ['certificate_unreadable', { ...A, cert: A.cert.replace('MII', 'AAA') }],
    ['certificate_unreadable', { ...A, cert: A.cert + CA.replace('MII', 'AAA') }],
    ['key_unreadable', { ...A, key: A.key.replace('MH', 'AA') }],
    ['key_of_another_certificate', { ...A, key: pem('client-b.key') }],
    // The leaf comes first.
    ['key_of_another_certificate', { ...A, cert: OTHER_CA + A.cert }],
    ['certificate_expired', { cert: pem('expired.pem'), key: pem('expired.key') }],
  ])('are %s where they are', (fault, tls) => {
    expect(identity(tls)).toBe(fault)
  })

  test('expire at their time', () => {
    const tls = { cert: pem('expired.pem'), key: pem('expired.key') }
    expect(identity(tls, Date.parse('2021-01-01T00:00:00Z'))).toHaveProperty('id')
    expect(identity(tls, Date.parse('2021-01-01T00:00:01Z'))).toBe('certificate_expired')
  })
})
