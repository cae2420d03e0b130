/** What every command is given: its surroundings, so that none of them touches the process. */
import type { Environment } from '../config.ts'
import type { Terminal } from './terminal.ts'

export interface CommandContext {
  readonly environment: Environment
  readonly terminal: Terminal
  /** What is piped in. */
  readonly input: () => AsyncIterable<Uint8Array>
  /**
   * Aborted by the first SIGINT or SIGTERM, and when nobody reads what is printed any more. Only a command that calls
   * it survives a signal, and then has to end by itself.
   */
  readonly stopped: () => AbortSignal
  /** How this program is called, for examples: `walhook`. */
  readonly programName: string
}

/** Resolves when `signal` aborts. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve(), { once: true })
  if (signal.aborted) resolve()
  return promise
}
