/** Hints are collected, and told to whom they concern. */
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { streamHints } from '../../src/api/live.ts'
import { type Hint, LiveHints } from '../../src/live-hints.ts'

let now = 0
beforeEach(() => {
  now = 0
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function watched(hints: LiveHints, tenant: string | null): Hint[][] {
  const told: Hint[][] = []
  hints.watch({ tenant, tell: (some) => told.push([...some]) })
  return told
}

test('what comes within a quarter of a second is told once, and counts seldom', () => {
  const hints = new LiveHints(() => now)
  const told = watched(hints, null)
  for (let i = 0; i < 100; i++) hints.delivery('a', 't')
  hints.delivery('a', null)
  hints.slot()
  vi.advanceTimersByTime(250)
  hints.delivery('a', 't')
  vi.advanceTimersByTime(250)
  now = 2_000
  hints.delivery('a', 't')
  vi.advanceTimersByTime(250)
  const delivery = { kind: 'delivery', subscription_id: 'a' }
  const stats = { kind: 'stats' }
  expect(told).toEqual([[delivery, { kind: 'slot' }, stats], [delivery], [delivery, stats]])
})

test('a tenant is told of its own, and not of what concerns all', () => {
  const hints = new LiveHints(() => now)
  const told = watched(hints, 't')
  hints.delivery('a', 'u')
  hints.delivery('b', null)
  hints.subscription('c')
  hints.slot()
  vi.advanceTimersByTime(250)
  expect(told).toEqual([])
  hints.subscription('d', 't')
  hints.delivery('e', 't')
  vi.advanceTimersByTime(250)
  // Whose the subscription is that gets its event, it is not told.
  expect(told).toEqual([
    [
      { kind: 'subscription', subscription_id: 'd' },
      { kind: 'delivery', subscription_id: null },
      { kind: 'stats' },
    ],
  ])
})

test('many subscriptions are not named', () => {
  const hints = new LiveHints(() => now)
  const told = watched(hints, null)
  for (let i = 0; i < 1_000; i++) hints.delivery(`s${i}`, `t${i}`)
  vi.advanceTimersByTime(250)
  expect(told[0]).toContainEqual({ kind: 'delivery', subscription_id: null })
  expect(told[0]?.length).toBeLessThan(60)
})

test('with nobody watching nothing is collected, and who has gone is told nothing', () => {
  const hints = new LiveHints(() => now)
  hints.delivery('a', null)
  const told: Hint[] = []
  const unwatch = hints.watch({ tenant: null, tell: (some) => told.push(...some) })
  vi.advanceTimersByTime(1_000)
  hints.slot()
  unwatch()
  vi.advanceTimersByTime(1_000)
  expect(told).toEqual([])
  expect(hints.watchers).toBe(0)
})

test('who does not read is dropped, and no more is written for him', async () => {
  vi.useRealTimers()
  let tell: ((hints: readonly Hint[]) => void) | undefined
  let isWatched = false
  const server = createServer((_request, response) => {
    isWatched = true
    streamHints(response, (told) => {
      tell = told
      return () => (isWatched = false)
    })
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', () => resolve()))
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.on('error', () => undefined).pause()
  client.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await vi.waitUntil(() => isWatched)
  const many: Hint[] = Array.from({ length: 500 }, () => ({
    kind: 'subscription',
    subscription_id: 'x'.repeat(36),
  }))
  // What the kernel takes for him is some megabytes.
  for (let i = 0; i < 2_000 && isWatched; i++) {
    tell?.(many)
    await turn()
  }
  expect(isWatched).toBe(false)
  client.destroy()
  await new Promise((resolve) => server.close(resolve))
})
