/**
 * Bodies are JSON or nothing. The text is kept beside what it parses to: a payload is sent on as it was written, and parsing
 * and printing it would cost digits.
 */
import type { ApiApp } from './app.ts'
import { Problem } from './problem.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The body as it came; empty where there was none. */
    bodyText: string
  }
}

/** Of every route that does not say otherwise. */
export const BODY_LIMIT_BYTES = 1024 * 1024

export function takeBodies(app: ApiApp): void {
  app.decorateRequest('bodyText', '')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
    (request, body: Buffer, done) => {
      try {
        request.bodyText = decoded(body)
        requireShallow(request.bodyText)
        done(null, request.bodyText === '' ? undefined : parsed(request.bodyText))
      } catch (error) {
        done(error as Error)
      }
    },
  )
  app.addHook('preValidation', async (request) => {
    // What is not sent is as good as an empty object: then a schema says which of its members are missing. A null was sent.
    if (request.routeOptions.schema?.body !== undefined) {
      if (request.body === undefined) request.body = {}
    } else if (request.body !== undefined && !isEmptyObject(request.body))
      throw new Problem('malformed', 'This route takes no body.', {
        errors: [{ field: 'body', detail: 'is not taken here' }],
      })
  })
}

function decoded(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch {
    throw new Problem('malformed', 'The body has to be UTF-8.')
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Problem('malformed', 'The body has to be JSON.', {
      errors: [{ field: 'body', detail: 'has to be JSON' }],
    })
  }
}

/** Deeper, and whatever walks through it would run out of stack. */
const DEEPEST = 500

function requireShallow(text: string): void {
  let depth = 0
  let isInString = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (isInString) {
      if (char === '\\') at++
      else if (char === '"') isInString = false
    } else if (char === '"') isInString = true
    else if (char === '{' || char === '[') depth++
    else if (char === '}' || char === ']') depth--
    if (depth > DEEPEST)
      throw new Problem('malformed', `The body is nested more than ${DEEPEST} levels deep.`, {
        errors: [{ field: 'body', detail: `has to be nested at most ${DEEPEST} levels deep` }],
      })
  }
}

function isEmptyObject(body: unknown): boolean {
  return typeof body === 'object' && body !== null && !Array.isArray(body) && Object.keys(body).length === 0
}
