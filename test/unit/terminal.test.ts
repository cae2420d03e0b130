/** What a terminal gets: aligned, coloured only where somebody looks, and nothing that it would act on. */
import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { psqlRecord, psqlTable } from '../../src/commands/psql-table.ts'
import { readableLog } from '../../src/commands/readable-log.ts'
import { terminal } from '../../src/commands/terminal.ts'
import { visible } from '../../src/core/untrusted-text.ts'

interface Screen extends PassThrough {
  isTTY?: boolean
  columns?: number
  getColorDepth?: () => number
}

function screen(isTTY: boolean): Screen {
  const stream: Screen = new PassThrough({ encoding: 'utf8' })
  stream.isTTY = isTTY
  stream.columns = 40
  return stream
}

function open(out: Screen, err: Screen, onUnread: () => void = () => undefined): ReturnType<typeof terminal> {
  return terminal(out as unknown as NodeJS.WriteStream, err as unknown as NodeJS.WriteStream, onUnread)
}

beforeEach(() => {
  for (const name of ['FORCE_COLOR', 'NO_COLOR', 'NODE_DISABLE_COLORS']) vi.stubEnv(name, undefined)
})
afterEach(() => {
  vi.unstubAllEnvs()
})

test('a table looks as psql prints it', () => {
  const rows = [
    { id: 1n, state: 'delivered', last_error: null },
    { id: 12n, state: 'dead', last_error: 'timeout' },
  ]
  expect(psqlTable(['id', 'state', 'last_error'], rows)).toBe(
    [
      ' id |   state   | last_error',
      '----+-----------+------------',
      '  1 | delivered |',
      ' 12 | dead      | timeout',
      '(2 rows)',
    ].join('\n'),
  )
  expect(psqlTable(['id'], [{ id: 1 }])).toMatch(/\n\(1 row\)$/)
  expect(psqlTable(['id'], [])).toBe(' id\n----\n(0 rows)')
})

test('columns stay aligned around wide characters, long cells and colours', () => {
  const rows = [
    { key: '注文', state: 'delivered' },
    { key: 'x'.repeat(300), state: 'dead' },
  ]
  const table = psqlTable(['key', 'state'], rows, (text, column) =>
    column === 'state' ? `\u001b[32m${text}\u001b[39m` : text,
  )
  const [, , wide, long] = stripVTControlCharacters(table).split('\n')
  expect(wide).toBe(` 注文${' '.repeat(296)} | delivered`)
  expect(long).toBe(` ${'x'.repeat(300)} | dead`)
})

test('a record is a line a column', () => {
  expect(psqlRecord({ id: '7', last_error: null })).toBe('id         | 7\nlast_error |')
})

test('what a terminal would act on is shown and not sent', () => {
  expect(visible('a\u001b[2Jb\u0007\r\n\u009bc\u202ed\u2028')).toBe(
    String.raw`a\u001b[2Jb\u0007\u000d\u000a\u009bc\u202ed\u2028`,
  )
  expect(visible('Grüße 注文 👩‍🚀 \\n')).toBe('Grüße 注文 👩‍🚀 \\n')
  expect(psqlTable(['key'], [{ key: 'a\n\u001b[31mb' }])).toContain(String.raw`a\u000a\u001b[31mb`)
})

test('colour is for screens, and not where NO_COLOR is set', () => {
  const [tty, pipe] = [screen(true), screen(false)]
  expect(open(tty, pipe).paint('red', 'x')).toBe('\u001b[31mx\u001b[39m')
  expect(open(tty, pipe).paintNote('red', 'x')).toBe('x')
  expect(open(pipe, tty).paint('red', 'x')).toBe('x')
  expect(open(pipe, tty).paintNote('red', 'x')).toBe('\u001b[31mx\u001b[39m')
  tty.getColorDepth = () => 1 // what Node's own streams answer where NO_COLOR is set
  expect(open(tty, pipe).paint('red', 'x')).toBe('x')
})

test('progress is one line that goes away, and nothing at all where nobody looks', () => {
  const [out, err] = [screen(true), screen(true)]
  const shown = open(out, err)
  shown.progress('x'.repeat(100))
  shown.note('done')
  expect(err.read()).toBe(`\r\u001b[K${'x'.repeat(39)}\r\u001b[Kdone\n`)
  const quiet = screen(false)
  open(out, quiet).progress('x')
  expect(quiet.read()).toBeNull()
})

test('once nobody reads, that is told once and nothing more is said', () => {
  const [out, err] = [screen(false), screen(false)]
  const onUnread = vi.fn<() => void>()
  const shown = open(out, err, onUnread)
  out.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
  shown.note('never mind')
  expect(onUnread).toHaveBeenCalledOnce()
  expect(err.read()).toBeNull()
  expect(() => out.emit('error', Object.assign(new Error('disk full'), { code: 'ENOSPC' }))).toThrow(
    'disk full',
  )
})

test('the log reads as one line an attempt, and one for anything else', () => {
  const lines: string[] = []
  const log = readableLog(
    (line) => lines.push(line),
    (_style, text) => text,
  )
  const time = '2026-11-22T15:30:01.123Z'
  const attempt = {
    level: 'info',
    time,
    msg: 'delivery.attempted',
    delivery_id: '7',
    event_type: 'order.created',
    attempt: 2,
  }
  log.write(JSON.stringify({ ...attempt, outcome: 'delivered', status: 204, duration_ms: 3 }))
  log.write(
    JSON.stringify({
      ...attempt,
      outcome: 'pending',
      error: 'timeout',
      duration_ms: 9,
      next_attempt_at: '2026-11-22T15:30:06.123Z',
    }),
  )
  log.write(
    JSON.stringify({ level: 'warn', time, msg: 'relay.interrupted', err: { message: 'gone\u001b[2J' } }),
  )
  expect(lines).toEqual([
    '15:30:01.123 delivered order.created, delivery 7, attempt 2: 204 in 3 ms',
    '15:30:01.123 to retry  order.created, delivery 7, attempt 2: timeout in 9 ms, again at 15:30:06.123',
    String.raw`15:30:01.123 relay.interrupted err={"message":"gone\u001b[2J"}`,
  ])
})
