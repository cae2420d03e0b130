/**
 * What Postgres says against a value, told by SQLSTATE: which field is at fault, and which rule. The one place that knows;
 * the API and the commands only word it. Of a message only the primary part is used: DETAIL and CONTEXT quote rows.
 */
import { errorCode, errorMessage } from '../lifecycle/errors.ts'

export interface Refusal {
  /** `conflict`: with what is there, or the state that it is in. `stale`: it was changed meanwhile. `invalid`: a rule says no. */
  readonly kind: 'not_found' | 'conflict' | 'stale' | 'invalid'
  /** The column, where Postgres names one. */
  readonly field: string | undefined
  /** A sentence; begins with the field where there is one. */
  readonly message: string
}

/** Undefined where the error is none of a value's: a lost connection, a missing right. */
export function refusalOf(error: unknown): Refusal | undefined {
  const code = errorCode(error)
  const said = errorMessage(error)
  switch (code) {
    case 'P0002':
      return { kind: 'not_found', field: undefined, message: said }
    case '23505':
    case '55000': // not in a state for it
      return { kind: 'conflict', field: textOf(error, 'column'), message: said }
    case 'WH412':
      return { kind: 'stale', field: undefined, message: said }
    case '23514': {
      const rule = ruleOf(error)
      return { kind: 'invalid', field: rule?.split(' ')[0], message: rule ?? said }
    }
    default: {
      const isAgainstValue = code !== undefined && /^(22|23|42601$|54)/.test(code)
      return isAgainstValue ? { kind: 'invalid', field: textOf(error, 'column'), message: said } : undefined
    }
  }
}

/** Our constraints' names say the rule: `outbox_type_must_be_a_dotted_name_…` is "type must be a dotted name …". */
function ruleOf(error: unknown): string | undefined {
  const constraint = textOf(error, 'constraint')
  const table = textOf(error, 'table')
  if (constraint === undefined || table === undefined || !constraint.startsWith(`${table}_`)) return undefined
  return constraint.slice(table.length + 1).replaceAll('_', ' ')
}

/** `walhook.refuse` sets `column`, and begins its message with the field; so does what raises a code of ours, WH…. */
function textOf(error: unknown, name: string): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const value: unknown = Reflect.get(error, name)
  return typeof value === 'string' && value !== '' ? value : undefined
}
