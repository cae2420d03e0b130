/** What is no request that HTTP knows, or too long to be read: there is none to answer, only a socket to write to. */
import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { visibleJson } from '../core/untrusted-text.ts'
import { errorCode } from '../lifecycle/errors.ts'
import { Problem, PROBLEM_TYPE, problemBody } from './problem.ts'

export function answerBrokenRequest(error: unknown, socket: Socket): void {
  // The client has gone.
  if (errorCode(error) === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const problem =
    errorCode(error) === 'HPE_HEADER_OVERFLOW'
      ? new Problem('headers_too_large', 'Path, query and headers together may have 16 KiB.')
      : new Problem('malformed', 'This is no request of HTTP/1.1, or it did not come in time.')
  const id = randomUUID()
  const body = visibleJson(problemBody(problem, { id, path: '' }))
  const head = [
    `HTTP/1.1 ${problem.status} ${problem.status === 431 ? 'Request Header Fields Too Large' : 'Bad Request'}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${id}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
