/** Errors as problems: whatever is thrown on the way, and what is not there. One place decides what a client is told. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { visibleJson } from '../core/untrusted-text.ts'
import { errorCode, errorMessage, WalhookError } from '../lifecycle/errors.ts'
import { isStatementTimeout, isTransient } from '../store/database.ts'
import { refusalOf } from '../store/refusal.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { ApiApp } from './app.ts'
import { Problem, PROBLEM_TYPE, problemBody } from './problem.ts'
import { pathOf } from './request-path.ts'
import { InvalidRequest, problemOfInvalidRequest } from './validation.ts'

/** How long a database that is away may take to come back before it is worth asking again. */
const RETRY_AFTER_S = 5

export function answerErrors(app: ApiApp, logger: Logger): void {
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error)
    if (problem.status >= 500)
      logger.warn(
        { err: error, request_id: request.id, method: request.method, route: request.routeOptions.url },
        'api.failed',
      )
    return sendProblem(problem, request, reply)
  })
}

export function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply
    .status(problem.status)
    .headers(problem.headers)
    .type(PROBLEM_TYPE)
    .serializer(visibleJson)
    .send(problemBody(problem, { id: request.id, path: pathOf(request.url) }))
}

/** What is shown of an error: of one that we do not know, nothing. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof InvalidRequest) return problemOfInvalidRequest(error)
  if (error instanceof WalhookError) return problemOfOurs(error)
  return problemOfFramework(error) ?? problemOfDatabase(error) ?? internal()
}

function problemOfOurs(error: WalhookError): Problem {
  switch (error.code) {
    case 'not_found':
      return new Problem('not_found', sentence(error.message))
    case 'invalid_input':
      return new Problem('invalid', sentence(error.message))
    case 'database_unreachable':
    case 'database_refused':
    case 'database_is_standby':
    case 'schema_missing':
      return unavailable('The database cannot be reached.')
    default:
      return internal()
  }
}

/** Fastify's own, which come before a route's handler does. */
function problemOfFramework(error: unknown): Problem | undefined {
  const code = errorCode(error)
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new Problem('too_large', 'The body is larger than this route takes.')
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new Problem('unsupported_media_type', 'Send the body as application/json.')
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_BAD_URL':
      return new Problem('malformed', sentence(errorMessage(error)))
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new Problem('malformed', 'A part of the path is too long to be a name or an id of anything.')
    default:
      return undefined
  }
}

/** Told by SQLSTATE, or by there being none: then the connection was lost, or there was none. */
function problemOfDatabase(error: unknown): Problem | undefined {
  const refused = refusalOf(error)
  if (refused !== undefined) {
    const { kind, field, message } = refused
    const errors = field === undefined ? [] : [{ field, detail: message }]
    return new Problem(kind === 'stale' ? 'precondition_failed' : kind, sentence(message), { errors })
  }
  if (isStatementTimeout(error)) return unavailable('The database took too long to answer.')
  return isDatabaseError(error) && isTransient(error)
    ? unavailable('The database cannot be reached, or is too busy.')
    : undefined
}

/** pg's errors carry a SQLSTATE or the socket's code; its own about connections and timeouts carry none. */
function isDatabaseError(error: unknown): boolean {
  const code = errorCode(error)
  if (code !== undefined) return /^[0-9A-Z]{5}$/.test(code) || /^E[A-Z]+$/.test(code)
  return /timeout|terminated|not queryable|Connection/.test(errorMessage(error))
}

function unavailable(detail: string): Problem {
  return new Problem('database_unavailable', `${detail} Try again in a moment.`, {
    headers: { 'retry-after': String(RETRY_AFTER_S) },
  })
}

function internal(): Problem {
  return new Problem('internal', 'Nothing is known about it here; the log has it under the request id.')
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}
