/** Requests against their zod schemas: everything that is wrong is told at once, field by field, and nothing of it quoted. */
import type { FastifySchemaCompiler } from 'fastify'
import { z } from 'zod'
import { type FieldFault, Problem } from './problem.ts'

/** What Fastify makes of a validation: it adds where it looked. */
export class InvalidRequest extends Error {
  readonly issues: readonly z.core.$ZodIssue[]
  validationContext?: string

  constructor(issues: readonly z.core.$ZodIssue[]) {
    super('invalid request')
    this.issues = issues
  }
}

export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (data: unknown) => {
    const result = schema.safeParse(data)
    return result.success ? { value: result.data } : { error: new InvalidRequest(result.error.issues) }
  }

const MOST_FAULTS = 50

export function problemOfInvalidRequest({ issues, validationContext }: InvalidRequest): Problem {
  const errors = issues.flatMap((issue) => faultsOf(issue, validationContext)).slice(0, MOST_FAULTS)
  const where = validationContext === 'querystring' ? 'query' : (validationContext ?? 'request')
  const [first] = errors
  const detail = first === undefined ? `The ${where} is malformed.` : `${first.field} ${first.detail}.`
  return new Problem('malformed', detail, { errors })
}

function faultsOf(issue: z.core.$ZodIssue, context: string | undefined): FieldFault[] {
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys') {
    const what = context === 'querystring' ? 'is not a parameter of this route' : 'is not known here'
    return issue.keys.map((key) => ({ field: fieldName([...path, key], context), detail: what }))
  }
  if (issue.code === 'invalid_union') {
    const nearest = issue.errors.toSorted((a, b) => depth(b) - depth(a))[0] ?? []
    if (depth(nearest) > 0)
      return nearest.flatMap((each) => faultsOf({ ...each, path: [...issue.path, ...each.path] }, context))
  }
  return [{ field: fieldName(path, context), detail: ruleOf(issue) }]
}

/** The alternative that got furthest is the one that was meant. */
function depth(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map(({ path }) => path.length))
}

const LONGEST_FIELD = 200

function fieldName(path: readonly string[], context: string | undefined): string {
  const name = path.join('.')
  return name === '' ? (context ?? 'body') : name.slice(0, LONGEST_FIELD)
}

/** Rules of ours say "has to be …"; zod's own messages are worded alike. */
function ruleOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type' && issue.input === undefined && issue.message.endsWith('undefined'))
    return 'is missing'
  return issue.message.startsWith('Invalid input: expected ')
    ? `has to be ${issue.message.slice('Invalid input: expected '.length).replace(/, received .*/, '')}`
    : lowerFirst(issue.message)
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1)
}
