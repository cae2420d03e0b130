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
  headers_too_large: { status: 431, title: 'The address or the headers are too long' },
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

export const PROBLEM_KINDS = Object.keys(KINDS) as readonly ProblemKind[]

export const STATUS_TITLES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.values(KINDS).map(({ status, title }) => [status, title]),
)

/** `Malformed`, `TooManyRequests`: what an answer with this status is called in the API's description. */
export const STATUS_NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(KINDS).map(([kind, { status }]) => [status, nameOf(kind)]),
)

function nameOf(kind: string): string {
  return kind.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/** Which headers an answer of this kind has beside those of all. */
export function problemHeaders(kind: ProblemKind): readonly string[] {
  switch (kind) {
    case 'unauthorized':
      return ['www-authenticate']
    case 'too_many_requests':
    case 'database_unavailable':
      return ['retry-after']
    default:
      return []
  }
}

const EXAMPLES: Partial<
  Record<ProblemKind, { readonly detail: string; readonly errors?: readonly FieldFault[] }>
> = {
  malformed: {
    detail: 'limit has to be a whole number from 1 to 200.',
    errors: [{ field: 'limit', detail: 'has to be a whole number from 1 to 200' }],
  },
  unauthorized: { detail: 'Send a key as "Authorization: Bearer …".' },
  forbidden: { detail: 'This needs the scope operate; the key has read.' },
  not_found: { detail: 'There is no such subscription.' },
  invalid: {
    detail: 'url has to be an http or https URL of at most 2048 characters.',
    errors: [{ field: 'url', detail: 'url has to be an http or https URL of at most 2048 characters' }],
  },
  too_many_requests: { detail: 'Too many requests. Try again in 12 s.' },
  database_unavailable: { detail: 'The database cannot be reached, or is too busy. Try again in a moment.' },
}

/** For the API's description. */
export function problemExample(kind: ProblemKind): {
  readonly status: number
  readonly title: string
  readonly [member: string]: unknown
} {
  const { detail, ...rest } = EXAMPLES[kind] ?? { detail: `${KINDS[kind].title}.` }
  const { status, title } = KINDS[kind]
  const instance = '/v1/subscriptions'
  const request_id = '7f0c1c3e-7d0a-4f3c-9a55-0d8d5a1f7c11'
  return { type: `urn:walhook:problem:${kind}`, title, status, detail, instance, request_id, ...rest }
}
