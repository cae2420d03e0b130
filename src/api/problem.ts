/** Problems as RFC 9457 has them: the only form in which the API says no. */
import { z } from 'zod'

/** What is at fault, by the name that the request has for it. */
export interface FieldFault {
  /** A member of the body (`headers.x-a`), a query parameter, a path parameter or a header. */
  readonly field: string
  readonly detail: string
}

const KINDS = {
  malformed: { status: 400, title: 'The request is malformed' },
  unauthorized: { status: 401, title: 'A key is needed' },
  forbidden: { status: 403, title: 'The key does not allow this' },
  not_found: { status: 404, title: 'There is no such thing' },
  method_not_allowed: { status: 405, title: 'The method is not allowed here' },
  conflict: { status: 409, title: 'It conflicts with what is there' },
  precondition_failed: { status: 412, title: 'It has changed meanwhile' },
  too_large: { status: 413, title: 'The request is too large' },
  unsupported_media_type: { status: 415, title: 'The body has to be JSON' },
  invalid: { status: 422, title: 'A rule was broken' },
  precondition_required: { status: 428, title: 'If-Match is needed' },
  too_many_requests: { status: 429, title: 'Too many requests' },
  internal: { status: 500, title: 'Something broke' },
  database_unavailable: { status: 503, title: 'The database cannot be asked just now' },
} as const

export type ProblemKind = keyof typeof KINDS

export interface ProblemParts {
  readonly errors?: readonly FieldFault[]
  /** Sent with the answer: `retry-after`, `allow`. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Thrown by whoever finds it; the frame answers with it. `detail` is shown: no secret, no payload, nothing of others'. */
export class Problem extends Error {
  readonly kind: ProblemKind
  readonly status: number
  readonly errors: readonly FieldFault[]
  readonly headers: Readonly<Record<string, string>>

  constructor(kind: ProblemKind, detail: string, parts: ProblemParts = {}) {
    super(detail)
    this.name = 'Problem'
    this.kind = kind
    this.status = KINDS[kind].status
    this.errors = parts.errors ?? []
    this.headers = parts.headers ?? {}
  }
}

/** The same for all that is not there, and for all that is another tenant's. */
export function notFound(what: string): Problem {
  return new Problem('not_found', `There is no such ${what}.`)
}

/** The same whatever is wrong: no key, a wrong one, one that was revoked. */
export function unauthorized(): Problem {
  return new Problem(
    'unauthorized',
    'Send a key as "Authorization: Bearer …". `walhook api-keys create` makes one, and WALHOOK_ADMIN_TOKEN sets one. Without either, /v1 answers on this machine only, at a loopback name.',
    { headers: { 'www-authenticate': 'Bearer realm="walhook"' } },
  )
}

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

/** The body of a problem. */
export function problemBody(
  problem: Problem,
  request: { readonly id: string; readonly path: string },
): object {
  return {
    type: `urn:walhook:problem:${problem.kind}`,
    title: KINDS[problem.kind].title,
    status: problem.status,
    detail: problem.message,
    instance: request.path,
    request_id: request.id,
    ...(problem.errors.length > 0 && { errors: problem.errors }),
  }
}

export const problemSchema = z
  .object({
    type: z
      .string()
      .describe('A stable name of the kind of problem, as a URN.')
      .meta({ examples: ['urn:walhook:problem:malformed'] }),
    title: z.string().describe('The kind of problem, for people.'),
    status: z.int().min(400).max(599).describe('The status of the answer.'),
    detail: z.string().describe('What happened here, and what to do about it.'),
    instance: z.string().describe('The path that was asked for.'),
    request_id: z.string().describe('The same as in x-request-id, to find the request in the log.'),
    errors: z
      .array(
        z.object({
          field: z.string().describe('A member of the body, a parameter or a header.'),
          detail: z.string().describe('The rule that it breaks.'),
        }),
      )
      .optional()
      .describe('Field by field, where fields are at fault.'),
  })
  .meta({ id: 'Problem', description: 'A problem, as RFC 9457 has it.' })

export const STATUS_TITLES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.values(KINDS).map(({ status, title }) => [status, title]),
)
