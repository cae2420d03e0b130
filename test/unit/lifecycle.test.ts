/** Starting again, waking up, stopping, and telling errors apart: what every loop of the sidecar stands on. */
import { EventEmitter } from 'node:events'
import { describe, expect, test, vi } from 'vitest'
import { errorCode, errorMessage, isRecoverable, WalhookError } from '../../src/lifecycle/errors.ts'
import { keepRunning } from '../../src/lifecycle/keep-running.ts'
import { untilSignal } from '../../src/lifecycle/shutdown.ts'
import { Wake } from '../../src/lifecycle/wake.ts'

const NEVER = new AbortController().signal

describe('keepRunning', () => {
  /** Fails so often, and resolves to the pauses between. */
  async function pausesOf(
    failures: number,
    progressesAt?: number,
    longestPauseMs?: (error: unknown) => number,
  ): Promise<number[]> {
    const stop = new AbortController()
    const pauses: number[] = []
    let runs = 0
    await keepRunning(
      async (progressed) => {
        if (++runs > failures) stop.abort()
        if (runs === progressesAt) progressed()
        throw new Error('it ended')
      },
      {
        signal: stop.signal,
        random: () => 0,
        ...(longestPauseMs !== undefined && { longestPauseMs }),
        onEnded: (_error, pauseMs) => void pauses.push(pauseMs),
      },
    )
    return pauses
  }

  test('starts again after an end, with pauses that grow', async () => {
    expect(await pausesOf(3)).toEqual([125, 250, 500])
  })

  test('begins with short pauses again once something was achieved', async () => {
    expect(await pausesOf(3, 3)).toEqual([125, 250, 125])
  })

  test('keeps its pauses short after what is to be tried again soon, however often it ends so', async () => {
    expect(await pausesOf(6, undefined, () => 8)).toEqual([4, 4, 4, 4, 4, 4])
  })

  test('gives up at once on what only a person can mend', async () => {
    const broken = new WalhookError('schema_newer', 'the schema is newer')
    const onEnded = vi.fn<() => void>()
    const running = keepRunning(() => Promise.reject(broken), { signal: NEVER, random: () => 0, onEnded })
    await expect(running).rejects.toBe(broken)
    expect(onEnded).not.toHaveBeenCalled()
  })

  test('ends in the middle of a pause when it is told to, and says nothing of an end that was asked for', async () => {
    const stop = new AbortController()
    const ends: unknown[] = []
    await keepRunning(() => Promise.reject(new Error('again')), {
      signal: stop.signal,
      random: () => 0.9,
      onEnded: (error) => {
        ends.push(error)
        setImmediate(() => stop.abort())
      },
    })
    expect(ends).toHaveLength(1)
    await keepRunning(() => Promise.reject(new Error('never run')), {
      signal: stop.signal,
      random: () => 0,
      onEnded: (error) => void ends.push(error),
    })
    expect(ends).toHaveLength(1)
  })
})

describe('Wake', () => {
  const LONG_MS = 60_000

  test('ends a sleep, or the next one at once, and only that one', async () => {
    const wake = new Wake()
    const sleep = wake.sleep(LONG_MS, NEVER)
    wake.set()
    await sleep
    wake.set()
    wake.set()
    await wake.sleep(LONG_MS, NEVER)
    const startedAt = performance.now()
    await wake.sleep(20, NEVER)
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(18)
  })

  test('an abort ends it, too, and one that came before lets nobody sleep', async () => {
    const stop = new AbortController()
    const wake = new Wake()
    const startedAt = performance.now()
    const sleep = wake.sleep(LONG_MS, stop.signal)
    stop.abort()
    await sleep
    await wake.sleep(LONG_MS, stop.signal)
    expect(performance.now() - startedAt).toBeLessThan(LONG_MS / 10)
  })

  test('a signal that outlives many sleeps keeps none of them', async () => {
    const stop = new AbortController()
    const remove = vi.spyOn(stop.signal, 'removeEventListener')
    const add = vi.spyOn(stop.signal, 'addEventListener')
    const wake = new Wake()
    for (let i = 0; i < 50; i++) await wake.sleep(0, stop.signal)
    expect(add).toHaveBeenCalledTimes(50)
    expect(remove.mock.calls.map(([, listener]) => listener)).toEqual(
      add.mock.calls.map(([, listener]) => listener),
    )
  })
})

test('the first signal asks for a stop, whichever it is, and each further one does not ask', () => {
  const source = new EventEmitter()
  const now = vi.fn<() => void>()
  const asked = untilSignal(source, now)
  source.emit('SIGTERM')
  expect(asked.aborted).toBe(true)
  expect(now).not.toHaveBeenCalled()
  source.emit('SIGINT')
  expect(now).toHaveBeenCalledOnce()
})

describe('errors', () => {
  test('what may pass by itself is told from what only a person can mend', () => {
    expect(isRecoverable(new WalhookError('stream_ended', 'x'))).toBe(true)
    expect(isRecoverable(new WalhookError('slot_in_use', 'x'))).toBe(true)
    expect(isRecoverable(new WalhookError('database_refused', 'x'))).toBe(false)
    expect(isRecoverable(Object.assign(new Error('x'), { code: 'ECONNRESET' }))).toBe(true)
  })

  test('codes are texts, and a message of many is all of theirs', () => {
    expect(errorCode(Object.assign(new Error('x'), { code: '42501' }))).toBe('42501')
    for (const none of [undefined, null, 'x', new Error('x'), { code: 7 }])
      expect(errorCode(none)).toBeUndefined()
    expect(errorMessage(new AggregateError([new Error('a'), 'b']))).toBe('a; b')
    expect(errorMessage(new AggregateError([new Error('a')], 'told'))).toBe('told')
  })
})
