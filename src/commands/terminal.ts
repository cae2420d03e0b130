/** Where a command prints: results on standard output, what goes on beside them on standard error. */
import { styleText } from 'node:util'
import { errorCode } from '../lifecycle/errors.ts'

export type Style = 'green' | 'red' | 'yellow' | 'cyan' | 'dim' | 'bold'

/** Plain functions: each may be handed on alone. They print what they get: text of others goes through `visible` first. */
export interface Terminal {
  /** One line of the command's result. */
  readonly print: (line: string) => void
  /** One line about what goes on; not part of the result. */
  readonly note: (line: string) => void
  /** Redraws the last line, where there is a screen; says nothing where there is none. */
  readonly progress: (line: string) => void
  /** For what is printed: coloured only where somebody looks, and NO_COLOR is not set. */
  readonly paint: Paint
  /** The same for what is noted. */
  readonly paintNote: Paint
}

export type Paint = (style: Style, text: string) => string

/** `onUnread` is called once whoever read our output has gone (`| head`): not an error, but a reason to end. */
export function terminal(
  stdout: NodeJS.WriteStream,
  stderr: NodeJS.WriteStream,
  onUnread: () => void,
): Terminal {
  let hasProgress = false
  let isUnread = false
  stdout.on('error', (error) => {
    if (!saysUnread(error)) throw error
    isUnread = true
    onUnread()
  })
  stderr.on('error', (error) => {
    if (!saysUnread(error)) throw error
  })
  const clear = (): void => {
    if (hasProgress) stderr.write('\r\x1b[K')
    hasProgress = false
  }
  return {
    print: (line) => {
      clear()
      stdout.write(`${line}\n`)
    },
    note: (line) => {
      clear()
      // `| head` has what it wanted: how we end is of no interest.
      if (isUnread) return
      stderr.write(`${line}\n`)
    },
    progress: (line) => {
      if (stderr.isTTY !== true) return
      stderr.write(`\r\x1b[K${line.slice(0, (stderr.columns || 80) - 1)}`)
      hasProgress = true
    },
    paint: (style, text) => styleText(style, text, { stream: stdout }),
    paintNote: (style, text) => styleText(style, text, { stream: stderr }),
  }
}

const PROGRESS_EVERY_MS = 200

/** Shows that `work` goes on, and for how long it has. */
export async function withProgress<Result>(
  screen: Terminal,
  what: string,
  work: Promise<Result>,
): Promise<Result> {
  const startedAt = performance.now()
  const tick = (): void => screen.progress(`${what} … ${seconds(performance.now() - startedAt)}`)
  const timer = setInterval(tick, PROGRESS_EVERY_MS)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

function saysUnread(error: unknown): boolean {
  return errorCode(error) === 'EPIPE' || errorCode(error) === 'ERR_STREAM_DESTROYED'
}
