/**
 * The errors that are ours. Expected outcomes are values; an error here means that a person has to do something,
 * or that infrastructure was lost and the caller may try again.
 */
export type WalhookErrorCode =
  | 'configuration' // a setting is wrong; nothing will change until somebody changes it
  | 'database_unreachable'
  | 'database_refused' // wrong password, missing right, wal_level, no free slot …
  | 'database_is_standby' // until it is promoted
  | 'schema_newer' // the schema was migrated by a newer Walhook
  | 'schema_missing'
  | 'slot_in_use'
  | 'slot_missing'
  | 'slot_lost'
  | 'slot_unreadable' // it holds log that cannot be decoded
  | 'plugin_refused'
  | 'stream_ended' // the replication connection ended; reconnect
  | 'not_found'
  | 'invalid_input'
  | 'declined' // a person was asked, and did not say yes
  | 'port_taken'
  | 'replay_unfinished' // it failed or was stopped
  | 'problems_found' // doctor found some
  | 'test_failed' // an endpoint did not accept a test
  | 'story_failed' // the demo's own check did not hold

/** `message` says what happened and why; `remedy` says what to do. Both are safe to log: no secret, no payload. */
export class WalhookError extends Error {
  readonly code: WalhookErrorCode
  readonly remedy: string | undefined

  constructor(code: WalhookErrorCode, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'WalhookError'
    this.code = code
    this.remedy = options.remedy
  }
}

const RECOVERABLE: ReadonlySet<WalhookErrorCode> = new Set([
  'database_unreachable',
  'database_is_standby',
  'stream_ended',
  'slot_in_use',
  'slot_missing',
  'slot_lost',
  'slot_unreadable',
])

/** Whether trying again by itself can help. What only a person can change is told at once instead. */
export function isRecoverable(error: unknown): boolean {
  if (!(error instanceof WalhookError)) return true
  return RECOVERABLE.has(error.code)
}

/** A foreign error's stable code: SQLSTATE from Postgres, errno name from Node, UND_ERR_* from undici. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** A foreign error's message, for a sentence of ours. */
export function errorMessage(error: unknown): string {
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(errorMessage).join('; ')
  return error instanceof Error ? error.message : String(error)
}

/** pg says this itself, without a code, when the server asks for a password and the URL has none. */
export function lacksPassword(error: unknown): boolean {
  return errorMessage(error).includes('client password must be')
}
