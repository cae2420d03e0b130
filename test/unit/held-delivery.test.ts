/** What a delivery counts for in memory: all of an event that can be large. */
import { expect, test } from 'vitest'
import { sizeInMemory } from '../../src/delivery/held-delivery.ts'
import { aHeldDelivery } from './a-held-delivery.ts'

test('payload and headers count, the headers whatever they hold', () => {
  const plain = sizeInMemory(aHeldDelivery('s', { payload: '' }))
  const more = (payload: string, headers: Record<string, unknown>): number =>
    sizeInMemory(aHeldDelivery('s', { payload, headers })) - plain
  expect(more('x'.repeat(1000), {})).toBe(1000)
  expect(more('', { note: 'x'.repeat(16_000) })).toBe(16_004)
  expect(more('', { deep: { list: ['x'.repeat(16_000)] } })).toBeGreaterThan(16_000)
  expect(more('', { a: null, b: true })).toBe(1 + 4 + 1 + 4)
})
