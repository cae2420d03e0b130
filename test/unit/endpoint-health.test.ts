/** What a batch of outcomes says of the endpoints that they were for. */
import { expect, test } from 'vitest'
import { type EndpointOutcome, newsOf } from '../../src/core/endpoint-health.ts'

const outcome = (state: EndpointOutcome['state'], more: Partial<EndpointOutcome> = {}): EndpointOutcome => ({
  subscriptionId: 'a',
  batch: undefined,
  state,
  status: state === 'delivered' ? 204 : 500,
  error: undefined,
  disables: undefined,
  isOperatorEvent: false,
  ...more,
})
const [ok, failed, dead] = [outcome('delivered'), outcome('pending'), outcome('dead')]

test.each([
  ['successes alone', [ok, ok], true, 0],
  ['failures alone', [failed, dead], false, 2],
  ['a success after failures', [failed, failed, ok], true, 0],
  ['failures after a success', [failed, ok, failed, dead], true, 2],
])('%s: whether any succeeded, and the failures in a row since', (_, outcomes, succeeded, failures) => {
  expect(newsOf(outcomes)).toMatchObject([{ subscriptionId: 'a', succeeded, failures }])
})

test('a batch that fails is one failure, however many it carried', () => {
  const batch = (id: string) => outcome('pending', { batch: { id } })
  expect(newsOf([batch('x'), batch('x'), batch('x')])).toMatchObject([{ failures: 1 }])
  expect(newsOf([batch('x'), batch('y'), batch('y'), failed])).toMatchObject([{ failures: 3 }])
})

test('the last failure is the one that is shown', () => {
  const last = outcome('pending', { status: undefined, error: 'timeout' })
  expect(newsOf([failed, last])).toMatchObject([{ lastStatus: undefined, lastError: 'timeout' }])
  expect(newsOf([last, failed])).toMatchObject([{ lastStatus: 500, lastError: undefined }])
  expect(newsOf([last, ok])).toMatchObject([{ lastStatus: undefined, lastError: undefined }])
})

test('subscriptions are told apart, and come in the order of their ids', () => {
  const outcomes = ['c', 'a', 'b', 'a'].map((subscriptionId) => outcome('pending', { subscriptionId }))
  expect(newsOf(outcomes).map((each) => [each.subscriptionId, each.failures])).toEqual([
    ['a', 2],
    ['b', 1],
    ['c', 1],
  ])
  expect(newsOf([])).toEqual([])
})

test('only failures of an application’s events are worth telling', () => {
  const own = outcome('dead', { isOperatorEvent: true })
  expect(newsOf([own, own])).toMatchObject([{ failures: 2, isWorthTelling: false }])
  expect(newsOf([own, failed, own])).toMatchObject([{ isWorthTelling: true }])
  expect(newsOf([failed, ok, own])).toMatchObject([{ failures: 1, isWorthTelling: false }])
})

test('what an endpoint asked for once stands, whatever else it answered in the same moment', () => {
  const asks = outcome('delivered', { disables: 'asked' })
  expect(newsOf([asks, failed, ok])).toMatchObject([{ disables: 'asked' }])
  expect(newsOf([failed, outcome('dead', { disables: 'gone' })])).toMatchObject([{ disables: 'gone' }])
  expect(newsOf([ok])).toMatchObject([{ disables: undefined }])
})
