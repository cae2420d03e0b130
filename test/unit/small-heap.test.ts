/** How the process begins anew with a small heap, and when it leaves that be. */
import { describe, expect, test } from 'vitest'
import { keepHeapSmall, type StartedProcess } from '../../src/lifecycle/small-heap.ts'

/** Started with these; returns with what it began anew: arguments and environment. */
function begunAnew(started: Partial<StartedProcess>): readonly unknown[] | undefined {
  let begun: readonly unknown[] | undefined
  keepHeapSmall({
    execPath: process.execPath,
    argv0: 'node',
    execArgv: [],
    argv: [process.execPath, '/app/main.js', 'run'],
    env: { PATH: '/bin' },
    execve: ((...call) => {
      begun = call
    }) as NonNullable<StartedProcess['execve']>,
    ...started,
  })
  return begun
}

describe('the heap is kept small', () => {
  test('by beginning anew with the same program, arguments and environment', () => {
    expect(begunAnew({ execArgv: ['--import', 'a.mjs'] })).toEqual([
      process.execPath,
      ['node', '--import', 'a.mjs', '--max-semi-space-size=16', '/app/main.js', 'run'],
      { PATH: '/bin' },
    ])
  })

  test('once', () => {
    expect(begunAnew({ execArgv: ['--max-semi-space-size=16'] })).toBeUndefined()
  })

  test.each([
    '--max-semi-space-size=64',
    '--max_semi_space_size=64',
    '--enable-source-maps --min-semi-space-size=8',
  ])('unless somebody has decided: NODE_OPTIONS=%s', (options) => {
    expect(begunAnew({ env: { NODE_OPTIONS: options } })).toBeUndefined()
  })

  test('whatever else NODE_OPTIONS says', () => {
    expect(begunAnew({ env: { NODE_OPTIONS: '--max-old-space-size=192' } })).toBeDefined()
  })

  test('but not where it cannot be: on Windows, with a channel to a parent, or without its program', () => {
    expect(begunAnew({ execve: undefined })).toBeUndefined()
    expect(begunAnew({ connected: true })).toBeUndefined()
    expect(begunAnew({ execPath: '/nowhere/node' })).toBeUndefined()
  })

  test('and a system that does not allow it starts the program all the same', () => {
    const refuse = (): never => {
      throw new Error('not allowed')
    }
    expect(() => begunAnew({ execve: refuse })).not.toThrow()
  })
})
