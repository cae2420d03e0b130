import { describe, expect, test } from 'vitest'
import { waitForRoom } from '../../src/delivery/room-wait.ts'

interface State {
  room: number
  waiting: number
  stuck: number
}

/** A clock that moves by `stepMs` whenever it is looked at. */
function clock(stepMs: number): { now: () => number; looks: () => number } {
  let at = 0
  return { now: () => (at += stepMs), looks: () => at / stepMs }
}

describe('the relay', () => {
  test.each([
    ['there is room', { room: 10_000, waiting: 0, stuck: 0 }],
    ['what fills memory is stuck', { room: 1_000, waiting: 9_000, stuck: 8_000 }],
  ])('does not wait where %s', async (_name, dispatcher: State) => {
    const { now, looks } = clock(1)
    await waitForRoom(1_000, { dispatcher, now })
    expect(looks()).toBe(1)
  })

  test('waits until what goes quickly has gone', async () => {
    const dispatcher: State = { room: 7_000, waiting: 3_000, stuck: 0 }
    let looks = 0
    const now = (): number => {
      looks++
      if (looks === 4) dispatcher.waiting = 2_000
      return 0
    }
    await waitForRoom(1_000, { dispatcher, now })
    expect(looks).toBe(4)
  })

  test.each([
    [1, 1],
    [500, 50],
    [20_000, 200],
  ])('waits for %d deliveries no longer than %d ms, whatever endpoints do', async (deliveries, mostMs) => {
    const { now, looks } = clock(1)
    await waitForRoom(deliveries, { dispatcher: { room: 0, waiting: 10_000, stuck: 10_000 }, now })
    expect(looks()).toBeLessThanOrEqual(mostMs + 2)
  })
})
