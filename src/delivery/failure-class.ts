/**
 * From an error of Node or undici to the closed list of error classes. Told from `code` alone: messages change
 * between releases, and some name addresses that whoever reads an attempt should not learn.
 */
import type { ErrorClass } from '../core/attempt-outcome.ts'
import { errorCode } from '../lifecycle/errors.ts'

/** A connection that was not made, or given up by us. Its `code` is an error class already. */
export class ConnectionFailure extends Error {
  readonly code: ErrorClass

  constructor(code: ErrorClass, cause?: unknown) {
    super(`no connection: ${code}`, cause === undefined ? undefined : { cause })
    this.name = 'ConnectionFailure'
    this.code = code
  }
}

const CONNECT_CODES: Readonly<Record<string, ErrorClass>> = {
  ECONNREFUSED: 'connect_refused',
  ETIMEDOUT: 'connect_timeout',
  ECONNRESET: 'reset',
  ECONNABORTED: 'reset',
  EPIPE: 'reset',
  ENOTFOUND: 'dns',
}

/** Why a connection could not be opened. `handshaking`: TCP stood already and TLS did not yet. */
export function connectFailureClass(error: unknown, handshaking: boolean): ErrorClass {
  if (error instanceof ConnectionFailure) return error.code
  // Several addresses were tried: a refusal says more than an address family that has no route.
  if (error instanceof AggregateError) {
    const classes = error.errors.map((each) => connectFailureClass(each, handshaking))
    return classes.find((each) => each === 'connect_refused') ?? classes.find(isTimeout) ?? 'connect_failed'
  }
  const code = errorCode(error) ?? ''
  if (code.startsWith('EAI_')) return 'dns'
  return CONNECT_CODES[code] ?? (handshaking || isTlsCode(code) ? 'tls' : 'connect_failed')
}

/**
 * Why a request got no status, after its connection stood; undefined when the request itself is malformed, which is
 * our bug and no endpoint's doing.
 */
export function exchangeFailureClass(error: unknown): ErrorClass | undefined {
  if (error instanceof ConnectionFailure) return error.code
  const code = errorCode(error) ?? ''
  switch (code) {
    case 'UND_ERR_INVALID_ARG':
    case 'UND_ERR_NOT_SUPPORTED':
    case 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH':
      return undefined
    case 'UND_ERR_DESTROYED':
    case 'UND_ERR_CLOSED':
    case 'UND_ERR_ABORTED':
      return 'aborted'
    case 'UND_ERR_HEADERS_OVERFLOW':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
      return 'invalid_response'
    default:
      if (isParserError(error)) return 'invalid_response'
      return isTlsCode(code) ? 'tls' : 'reset'
  }
}

/** undici means to give these a code, HPE_ and what llhttp says, and up to 8.12 looks it up the wrong way round. */
function isParserError(error: unknown): boolean {
  const code = errorCode(error) ?? ''
  return code.startsWith('HPE_') || (error instanceof Error && error.name === 'HTTPParserError')
}

/** After the handshake only OpenSSL itself speaks: alerts (a client certificate wanted) and broken records. */
function isTlsCode(code: string): boolean {
  return code === 'EPROTO' || code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_')
}

function isTimeout(errorClass: ErrorClass): boolean {
  return errorClass === 'connect_timeout'
}
