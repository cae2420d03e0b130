/** What is said of a slot: every state, both kinds of limit, and the time that is left. */
import { describe, expect, test } from 'vitest'
import { parseLsn } from '../../src/core/lsn.ts'
import { judgeSlot, type SlotReading } from '../../src/core/slot-health.ts'

const MiB = 1024 ** 2
const GiB = 1024 ** 3

const reading = (changes: Partial<SlotReading> = {}): SlotReading => ({
  state: 'reserved',
  invalidationReason: undefined,
  isActive: true,
  retainedBytes: 10 * MiB,
  unconfirmedBytes: 1 * MiB,
  safeBytes: 1014 * MiB,
  walEnd: parseLsn('0/10000000'),
  atMs: 0,
  ...changes,
})

describe('the risk', () => {
  test.each([
    ['a slot that holds little', reading(), 'none'],
    ['one that holds more than the server planned for', reading({ state: 'extended' }), 'none'],
    ['half of what is allowed', reading({ retainedBytes: 512 * MiB, safeBytes: 512 * MiB }), 'rising'],
    ['just below half', reading({ retainedBytes: 511 * MiB, safeBytes: 513 * MiB }), 'none'],
    ['four fifths', reading({ retainedBytes: 820 * MiB, safeBytes: 204 * MiB }), 'high'],
    ['beyond the limit', reading({ state: 'extended', retainedBytes: GiB, safeBytes: -1 }), 'high'],
    ['about to be lost', reading({ state: 'unreserved' }), 'high'],
    ['no limit, and little', reading({ safeBytes: undefined, retainedBytes: 1000 * MiB }), 'none'],
    ['no limit, and a gigabyte', reading({ safeBytes: undefined, retainedBytes: GiB }), 'rising'],
    ['no limit, and ten', reading({ safeBytes: undefined, retainedBytes: 10 * GiB }), 'high'],
    ['lost', reading({ state: 'lost', retainedBytes: undefined }), 'lost'],
    ['missing', reading({ state: 'missing', retainedBytes: undefined, isActive: false }), 'lost'],
  ] as const)('of %s', (_name, one, risk) => {
    expect(judgeSlot(one).risk).toBe(risk)
  })
})

describe('the cause', () => {
  const risky = { retainedBytes: 900 * MiB, safeBytes: 124 * MiB }

  test('is nobody’s reading it', () => {
    expect(judgeSlot(reading({ ...risky, isActive: false })).cause).toBe('no process reads the slot')
  })

  test('is the relay, where what is held is not confirmed', () => {
    expect(judgeSlot(reading({ ...risky, unconfirmedBytes: 800 * MiB })).cause).toContain('the relay')
  })

  test('is a long transaction, where what is held was confirmed long ago', () => {
    expect(judgeSlot(reading({ ...risky, unconfirmedBytes: MiB })).cause).toContain('xact_start')
  })

  test('carries Postgres’s own reason', () => {
    const lost = reading({ state: 'lost', invalidationReason: 'wal_removed' })
    expect(judgeSlot(lost).cause).toContain('wal_removed')
  })

  test('is not told of a slot that is well', () => {
    expect(judgeSlot(reading()).cause).toBeUndefined()
  })
})

describe('the time that is left', () => {
  const start = reading({ safeBytes: 100 * MiB })

  test('is what may still be written, at the rate of the readings', () => {
    const later = reading({ safeBytes: 90 * MiB, walEnd: parseLsn('0/10A00000'), atMs: 10_000 })
    // 10 MiB in ten seconds; 90 MiB are left.
    expect(judgeSlot(later, start).secondsUntilLost).toBeCloseTo(90)
  })

  test('is not known from one reading, without a limit, or while nothing is written', () => {
    expect(judgeSlot(start).secondsUntilLost).toBeUndefined()
    expect(judgeSlot(reading({ safeBytes: 100 * MiB, atMs: 5 }), start).secondsUntilLost).toBeUndefined()
    const unlimited = reading({ safeBytes: undefined, walEnd: parseLsn('0/20000000'), atMs: 5 })
    expect(judgeSlot(unlimited, start).secondsUntilLost).toBeUndefined()
  })

  test('is none once the slot is past its limit, or lost', () => {
    const past = reading({ safeBytes: -5, walEnd: parseLsn('0/20000000'), atMs: 5 })
    expect(judgeSlot(past, start).secondsUntilLost).toBe(0)
    expect(judgeSlot(reading({ state: 'lost', atMs: 5 }), start).secondsUntilLost).toBe(0)
  })
})
