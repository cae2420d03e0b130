/**
 * One request on the wire, as undici's dispatch handler: reads the response, keeps the deadline, and settles its
 * promise once. Invariant: as soon as a status has been read it stands, whatever the body does after it.
 */
import type { Socket } from 'node:net'
import {
  type EndpointWish,
  type ErrorClass,
  parseEndpointWish,
  type WebhookResponse,
} from '../core/attempt-outcome.ts'
import { errorCode, WalhookError } from '../lifecycle/errors.ts'
import type { AbortGroup, GroupMember } from './abort-group.ts'
import { exchangeFailureClass } from './failure-class.ts'
import { setDeadline } from './fair-deadline.ts'
import { ResponseBody } from './response-body.ts'

/** What a connection has been used for. `requests` counts those written to the socket that stands now. */
export interface ConnectionUse {
  requests: number
  socket: Socket | undefined
  /** What the socket had received when the last of them was written. */
  receivedBefore: number
}

/** What undici is asked to send. `origin` and `path` are a URL's two halves, `headers` names and values in turn. */
export interface WireRequest {
  readonly origin: string
  readonly path: string
  readonly method: 'POST' | 'PUT' | 'OPTIONS'
  readonly headers: string[]
  readonly body: Buffer
}

/** What of an answer is wanted beside what an attempt records. */
export interface Wanted {
  /** How much of the body is kept; by default what an attempt records of it. */
  readonly bodyBytes?: number
  /** In lower case. */
  readonly headers?: readonly string[]
}

interface Controller {
  abort(reason: Error): void
}

type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>

const MAX_INTERIM_RESPONSES = 16
const MAX_HEADERS_BYTES = 16_384

/** One for all, since the reader has settled by then and nobody looks at it. */
const GIVEN_UP = new Error('the request was given up')

export class ResponseReader implements GroupMember {
  readonly request: WireRequest
  readonly response: Promise<WebhookResponse>
  /** The connection that undici chose; set before the request is written. */
  connection: ConnectionUse | undefined
  slot = -1
  readonly #settled: PromiseWithResolvers<WebhookResponse>
  readonly #resend: (reader: ResponseReader) => void
  readonly #group: AbortGroup | undefined
  readonly #wanted: Wanted
  readonly #deadline: NodeJS.Timeout
  #controller: Controller | undefined
  #isSettled = false
  #isResent = false
  #hasResponseBegun = false
  #interimResponses = 0
  #status: number | undefined
  #retryAfter: string | undefined
  #headers: Record<string, string> | undefined
  #asks: EndpointWish | undefined
  #body: ResponseBody | undefined

  constructor(
    request: WireRequest,
    options: {
      timeoutMs: number
      resend: (reader: ResponseReader) => void
      group: AbortGroup | undefined
      wanted?: Wanted | undefined
    },
  ) {
    this.request = request
    this.#settled = Promise.withResolvers()
    this.response = this.#settled.promise
    this.#resend = options.resend
    this.#group = options.group
    this.#group?.join(this)
    this.#wanted = options.wanted ?? {}
    this.#deadline = setDeadline(expire, options.timeoutMs, this)
  }

  /** Settles with what is known by now and closes the connection. Nothing is written after this. */
  giveUp(error: 'timeout' | 'aborted'): void {
    // Its answer may have been read since the deadline passed: then its connection is somebody else's by now.
    if (this.#isSettled) return
    if (this.#status === undefined) this.#fail(error)
    else this.#answer('response_incomplete')
    this.#controller?.abort(GIVEN_UP)
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller
    // It waited for its connection until it was too late: the receiver must not see it any more.
    if (this.#isSettled) controller.abort(GIVEN_UP)
    else if (this.connection !== undefined) {
      this.connection.requests += 1
      this.connection.receivedBefore = this.connection.socket?.bytesRead ?? 0
    }
  }

  onResponseStarted(): void {
    this.#hasResponseBegun = true
  }

  onResponseStart(controller: Controller, status: number, headers: ResponseHeaders): void {
    if (sizeOf(headers) > MAX_HEADERS_BYTES) {
      this.#fail('invalid_response')
      controller.abort(GIVEN_UP)
    } else if (status >= 200) {
      this.#status = status
      this.#retryAfter = firstOf(headers['retry-after'])
      if (this.#wanted.headers !== undefined) this.#headers = picked(headers, this.#wanted.headers)
      this.#asks = parseEndpointWish(firstOf(headers['webhook-delivery']))
    } else if (++this.#interimResponses > MAX_INTERIM_RESPONSES) {
      this.#fail('invalid_response')
      controller.abort(GIVEN_UP)
    }
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    this.#body ??= new ResponseBody(this.#wanted.bodyBytes)
    this.#body.add(chunk)
    if (!this.#body.isTooLarge) return
    this.#answer('response_too_large')
    controller.abort(GIVEN_UP)
  }

  onResponseEnd(): void {
    this.#answer()
  }

  onResponseError(_controller: Controller | null, error: Error): void {
    if (this.#isSettled) return
    const isFlood = errorCode(error) === 'response_too_large'
    if (this.#status !== undefined)
      return this.#answer(isFlood ? 'response_too_large' : 'response_incomplete')
    const errorClass = isFlood ? 'invalid_response' : this.#classOf(error)
    if (errorClass === undefined) return this.#reject(error)
    if (errorClass === 'reset' && this.#wasStale() && !this.#isResent) {
      this.#isResent = true
      this.#controller = undefined
      return this.#resend(this)
    }
    this.#fail(errorClass)
  }

  /** Whether the connection had served before and was lost before this response's first byte. */
  #wasStale(): boolean {
    const earlierRequests = (this.connection?.requests ?? 0) - (this.#controller === undefined ? 0 : 1)
    return earlierRequests > 0 && !this.#hasResponseBegun
  }

  #classOf(error: Error): ErrorClass | undefined {
    const errorClass = exchangeFailureClass(error)
    if (errorClass !== 'reset' || !this.#hasResponseBegun || errorCode(error) !== 'UND_ERR_SOCKET')
      return errorClass
    // undici has one code for two things: the other side hung up, or undici did so itself over an interim response
    // that nobody asked for.
    return this.connection?.socket?.readableEnded === false ? 'invalid_response' : 'reset'
  }

  #answer(bodyError?: 'response_too_large' | 'response_incomplete'): void {
    if (this.#isSettled || this.#status === undefined) return
    this.#settle()
    this.#settled.resolve({
      kind: 'answered',
      status: this.#status,
      retryAfter: this.#retryAfter,
      ...(this.#asks !== undefined && { asks: this.#asks }),
      body: this.#body?.text(bodyError === undefined) ?? '',
      ...(bodyError !== undefined && { bodyError }),
      ...(this.#headers !== undefined && { headers: this.#headers }),
    })
  }

  #fail(error: ErrorClass): void {
    if (this.#isSettled) return
    this.#settle()
    this.#settled.resolve({ kind: 'failed', error })
  }

  /** undici names the header that it will not write, never its value. */
  #reject(cause: Error): void {
    this.#settle()
    this.#settled.reject(
      new WalhookError('invalid_input', `the request cannot be written: ${cause.message}`, { cause }),
    )
  }

  #settle(): void {
    this.#isSettled = true
    clearTimeout(this.#deadline)
    this.#group?.leave(this)
  }
}

function expire(reader: ResponseReader): void {
  reader.giveUp('timeout')
}

function firstOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

function picked(headers: ResponseHeaders, names: readonly string[]): Record<string, string> {
  const found = names.map((name) => [name, firstOf(headers[name])] as const)
  return Object.fromEntries(found.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}

function sizeOf(headers: ResponseHeaders): number {
  let bytes = 0
  for (const name in headers) {
    const value = headers[name]
    if (typeof value === 'string') bytes += name.length + value.length
    else for (const each of value ?? []) bytes += name.length + each.length
  }
  return bytes
}
