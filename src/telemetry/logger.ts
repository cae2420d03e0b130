/**
 * JSON lines with stable dotted names as messages. Payloads, secrets and URLs' credentials are never logged: what is
 * passed here is chosen field by field, and the redaction below is the second lock and not the first.
 */
import { pino, type Logger as PinoLogger } from 'pino'
import type { LogLevel } from '../config.ts'
import { excerpt, visible } from '../core/untrusted-text.ts'
import { errorCode, errorMessage, WalhookError } from '../lifecycle/errors.ts'

export type Logger = PinoLogger

export interface LogDestination {
  write(line: string): void
}

/** A server's message may quote a value of any length. */
const LONGEST_MESSAGE = 2_000

export function createLogger(level: LogLevel, destination?: LogDestination): Logger {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: describeError },
    // One line, whatever stands in it, that a terminal and a viewer only show; and JSON that means the same.
    hooks: { streamWrite: (line: string) => `${visible(line.trimEnd())}\n` },
    redact: { paths: ['secret', 'token', 'password', 'authorization'], censor: '[redacted]' },
  }
  // Not a write a line: what comes while one is under way goes with the next. pino flushes when the process exits.
  return pino(options, destination ?? pino.destination({ dest: 1, sync: false }))
}

/**
 * Message, code and remedy. Not the object itself: Postgres's errors carry `detail` and `where`, which
 * quote rows, and a query's error may carry its parameters.
 */
function describeError(error: unknown): Record<string, unknown> {
  const described: Record<string, unknown> = {
    message: excerpt(errorMessage(error), LONGEST_MESSAGE),
  }
  const code = errorCode(error)
  if (code !== undefined) described['code'] = code
  if (error instanceof WalhookError && error.remedy !== undefined) described['remedy'] = error.remedy
  const constraint =
    typeof error === 'object' && error !== null && 'constraint' in error ? error.constraint : undefined
  if (typeof constraint === 'string') described['constraint'] = constraint
  return described
}
