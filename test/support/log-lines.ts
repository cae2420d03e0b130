/** The lines that a sidecar logs: kept, searched, and waited for. */
import { orTimeout } from './eventually.ts'

/** One line: pino's fields, of which `msg` is a stable dotted name such as `delivery.attempted`. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string; readonly level: unknown }

export class LogLines {
  readonly #keep: number
  #lines: LogLine[] = []
  readonly #watchers = new Set<(line: LogLine) => void>()

  /** Keeps all lines, or at least the last `keep`. */
  constructor(keep = Infinity) {
    this.#keep = keep
  }

  /** Takes one or more lines of JSON. What is not JSON is kept as a message. */
  write(text: string): void {
    for (const line of text.split('\n')) {
      if (line.trim() === '') continue
      const parsed = parse(line)
      this.#lines.push(parsed)
      for (const watcher of this.#watchers) watcher(parsed)
    }
    if (this.#lines.length > 2 * this.#keep) this.#lines = this.#lines.slice(-this.#keep)
  }

  all(msg?: string): readonly LogLine[] {
    return msg === undefined ? this.#lines : this.#lines.filter((line) => line.msg === msg)
  }

  /** The first line of that name, past or to come, for which `matches` holds. */
  async waitFor(
    msg: string,
    matches: (line: LogLine) => boolean = () => true,
    withinMs = 15_000,
  ): Promise<LogLine> {
    const { promise, resolve } = Promise.withResolvers<LogLine>()
    const look = (line: LogLine): void => {
      if (line.msg === msg && matches(line)) resolve(line)
    }
    this.#watchers.add(look)
    this.#lines.forEach(look)
    const found = await orTimeout(promise, withinMs).finally(() => this.#watchers.delete(look))
    if (found !== 'timeout') return found
    throw new Error(`no log line ${msg} within ${withinMs} ms. The last ones:\n${this.tail()}`)
  }

  /** All of it, a line each. */
  text(): string {
    return this.#lines.map((line) => (line.level === 'unparsed' ? line.msg : JSON.stringify(line))).join('\n')
  }

  tail(count = 30): string {
    return this.#lines
      .slice(-count)
      .map((line) => `  ${JSON.stringify(line)}`)
      .join('\n')
  }
}

function parse(line: string): LogLine {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null && 'msg' in value) return value as LogLine
  } catch {
    // Not JSON: a stack trace, a warning of Node's. It is kept as it is.
  }
  return { msg: line, level: 'unparsed' }
}
