/**
 * What Postgres refused, as an error that a person can act on. Told by SQLSTATE; only the primary message is ever
 * shown, since DETAIL and CONTEXT quote rows, and rows hold secrets and payloads.
 */
import { errorCode, errorMessage, WalhookError } from '../lifecycle/errors.ts'
import { refusalOf } from '../store/refusal.ts'

const MIGRATE = 'Run `walhook migrate`.'

/** Errors of the surroundings, which any command can meet. What it does not know it gives back as it came. */
export function explained(error: unknown): unknown {
  const code = errorCode(error)
  const said = errorMessage(error)
  switch (code) {
    case '3F000': // no such schema
    case '42P01': // no such table
    case '42703': // no such column
    case '42883': // no such function
      return new WalhookError('schema_missing', `this database lacks what Walhook needs: ${said}`, {
        remedy: MIGRATE,
        cause: error,
      })
    case '42501':
      return new WalhookError('database_refused', `the login lacks a right: ${said}`, {
        remedy: 'Log in as the role that owns schema walhook, or give this one the rights of sql/roles.sql.',
        cause: error,
      })
    case '25006':
      return new WalhookError('database_refused', `the server only reads: ${said}`, {
        remedy: 'Point DATABASE_URL at the primary.',
        cause: error,
      })
    default:
      return error
  }
}

/**
 * Runs a statement whose values a person typed. What Postgres says against them becomes `invalid_input`, naming the
 * field; what is not there becomes `not_found`. `field` is named where Postgres does not name one.
 */
export async function refusingInput<Result>(field: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw refusal(error, field)
  }
}

// Without the cause: whoever prints an error whole would print the DETAIL.
function refusal(error: unknown, field: string): unknown {
  const refused = refusalOf(error)
  if (refused === undefined) return error
  if (refused.kind === 'not_found') return new WalhookError('not_found', refused.message)
  const message = refused.field === undefined ? `${field}: ${refused.message}` : refused.message
  return new WalhookError(
    'invalid_input',
    message,
    refused.kind === 'stale' ? { remedy: 'Look at it as it is now, and decide anew.' } : {},
  )
}

export function invalidInput(message: string, remedy?: string): WalhookError {
  return new WalhookError('invalid_input', message, remedy === undefined ? {} : { remedy })
}

/** Postgres decides what JSON is; asking here first lets us name the field, and quote nothing. */
export function requireJson(field: string, text: string): void {
  try {
    JSON.parse(text)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw invalidInput(`${field} has to be JSON`, `Quote it for the shell: '{"amount": 10}'.`)
  }
}
