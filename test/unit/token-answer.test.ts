/** What a token server's answer is taken for. */
import { expect, test } from 'vitest'
import type { WebhookResponse } from '../../src/core/attempt-outcome.ts'
import { readTokenAnswer } from '../../src/core/token-answer.ts'

const answered = (status: number, body: unknown): WebhookResponse => ({
  kind: 'answered',
  status,
  retryAfter: undefined,
  body: typeof body === 'string' ? body : JSON.stringify(body),
})

test.each([
  [{ access_token: 'a.b-c_~+/=', token_type: 'BEARER', expires_in: 60 }, 'a.b-c_~+/=', 60_000],
  [{ access_token: 'x', token_type: 'bearer', scope: 'a', refresh_token: 'y' }, 'x', 300_000],
  [{ access_token: 'x'.repeat(16_384) }, 'x'.repeat(16_384), 300_000],
])('%j is a token', (body, token, lifetimeMs) => {
  expect(readTokenAnswer(answered(200, body))).toEqual({ kind: 'token', token, lifetimeMs })
})

test.each([
  [200, {}, 'no_token'],
  [200, { access_token: '' }, 'no_token'],
  [200, { access_token: 'a b' }, 'no_token'],
  [200, { access_token: 'ä' }, 'no_token'],
  [200, { access_token: 'a\nb' }, 'no_token'],
  [200, { access_token: 'x'.repeat(16_385) }, 'no_token'],
  [200, { access_token: 1 }, 'no_token'],
  [200, { error: 'invalid_client' }, 'no_token'],
  [200, 'access_token=a&token_type=bearer', 'no_token'],
  [200, '', 'no_token'],
  [204, '', 'no_token'],
  [200, { access_token: 'a', token_type: 'DPoP' }, 'no_bearer_token'],
  [302, { access_token: 'a' }, 'status_302'],
  [401, { error: 'invalid_client', error_description: 'secret' }, 'invalid_client'],
  // What a server makes up goes into no log.
  [400, { error: 'secret' }, 'status_400'],
  [503, 'secret', 'status_503'],
])('%i with %j is none: %s', (status, body, fault) => {
  expect(readTokenAnswer(answered(status, body))).toEqual({ kind: 'none', fault })
})

test('an answer that was cut, or did not come, is none', () => {
  const cut = { ...answered(200, '{"access_token":"a'), bodyError: 'response_incomplete' as const }
  expect(readTokenAnswer(cut)).toEqual({ kind: 'none', fault: 'response_incomplete' })
  expect(readTokenAnswer({ kind: 'failed', error: 'tls' })).toEqual({ kind: 'none', fault: 'tls' })
})
