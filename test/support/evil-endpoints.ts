/**
 * Endpoints that do to a client whatever a server can, and what an attempt to each of them comes to. Those that flood write
 * as fast as they are read, and for ever.
 */
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { type Answer, RawEndpoint, response } from './raw-endpoint.ts'

export interface EvilEndpoint {
  readonly what: string
  readonly answer: Answer
  /** The certificate that it shows, as `endpoint.example`; none: it speaks plain TCP. */
  readonly certificate?: 'endpoint' | 'expired' | 'self-signed'
  /** How it is called; by default http, and https where it has a certificate. */
  readonly protocol?: 'https'
  readonly status?: number
  readonly error?: string
}

const never: Answer = () => {}
const OK_HEAD = 'HTTP/1.1 200 OK\r\n'
const BOMB = gzipSync(Buffer.alloc(20_000_000))

/** All fail within a second or hold on until the attempt's deadline. */
export const EVIL_ENDPOINTS: readonly EvilEndpoint[] = [
  { what: 'takes the request and hangs', answer: never, error: 'timeout' },
  {
    what: 'hangs in the body',
    answer: (socket) => socket.write(`${OK_HEAD}content-length: 9\r\n\r\npart`),
    status: 200,
    error: 'response_incomplete',
  },
  { what: 'drips its headers', answer: dripping(`${OK_HEAD}x: `, '.'), error: 'timeout' },
  {
    what: 'drips its body',
    answer: dripping(`${OK_HEAD}content-length: 1000000\r\n\r\n`, '.'),
    status: 200,
    error: 'response_incomplete',
  },
  {
    what: 'drips chunks',
    answer: dripping(`${OK_HEAD}transfer-encoding: chunked\r\n\r\n`, '1\r\n.\r\n'),
    status: 200,
    error: 'response_incomplete',
  },
  { what: 'resets the connection', answer: (socket) => socket.resetAndDestroy(), error: 'reset' },
  { what: 'closes without a byte', answer: (socket) => socket.end(), error: 'reset' },
  { what: 'closes after a byte', answer: (socket) => socket.end('H'), error: 'reset' },
  {
    what: 'answers once and then closes on each request',
    answer: (socket, { number }) => (number === 1 ? socket.write(response(200)) : socket.destroy()),
    error: 'reset',
  },
  { what: 'has a certificate for another name', answer: never, certificate: 'endpoint', error: 'tls' },
  { what: 'has an expired certificate', answer: never, certificate: 'expired', error: 'tls' },
  { what: 'signed its certificate itself', answer: never, certificate: 'self-signed', error: 'tls' },
  { what: 'hangs in the TLS handshake', answer: never, protocol: 'https', error: 'timeout' },
  {
    what: 'redirects to an internal address',
    answer: (socket) =>
      socket.write(response(307, '', ['location: http://169.254.169.254/latest/meta-data/'])),
    status: 307,
  },
  {
    what: 'sends one endless header',
    answer: flooding(`${OK_HEAD}x: `, 'x'.repeat(65_536)),
    error: 'invalid_response',
  },
  {
    what: 'sends headers without end',
    answer: flooding(OK_HEAD, 'x-header: 1\r\n'.repeat(5000)),
    error: 'invalid_response',
  },
  {
    what: 'sends an endless status line',
    answer: flooding('HTTP/1.1 200 ', 'O'.repeat(65_536)),
    error: 'invalid_response',
  },
  {
    what: 'sends a body without end',
    answer: flooding(`${OK_HEAD}\r\n`, 'x'.repeat(65_536)),
    status: 200,
    error: 'response_too_large',
  },
  {
    what: 'sends chunks without end',
    answer: flooding(`${OK_HEAD}transfer-encoding: chunked\r\n\r\n`, '1\r\n.\r\n'.repeat(5000)),
    status: 200,
    error: 'response_too_large',
  },
  {
    what: 'sends an endless extension of a chunk',
    answer: flooding(`${OK_HEAD}transfer-encoding: chunked\r\n\r\n1;`, 'x'.repeat(65_536)),
    status: 200,
    error: 'response_too_large',
  },
  {
    what: 'sends trailers without end',
    answer: flooding(`${OK_HEAD}transfer-encoding: chunked\r\n\r\n0\r\n`, 'x: 1\r\n'.repeat(5000)),
    status: 200,
    error: 'response_too_large',
  },
  {
    what: 'sends a gzip bomb',
    answer: (socket) => socket.write(response(200, BOMB, ['content-encoding: gzip'])),
    status: 200,
  },
  {
    what: 'says 100 for ever',
    answer: flooding('', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(1000)),
    error: 'invalid_response',
  },
  {
    what: 'says 102 for ever',
    answer: flooding('', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(1000)),
    error: 'invalid_response',
  },
  {
    what: 'says 103 for ever, slowly',
    answer: dripping('', 'HTTP/1.1 103 Early Hints\r\n\r\n'),
    error: 'invalid_response',
  },
  {
    what: 'speaks HTTP/2',
    // An empty SETTINGS frame, with which a server opens the connection.
    answer: (socket) => socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])),
    error: 'invalid_response',
  },
  {
    what: 'answers with the preface of HTTP/2',
    answer: (socket) => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    error: 'invalid_response',
  },
  {
    what: 'speaks no HTTP',
    answer: (socket) => socket.write('220 smtp.example ESMTP\r\n'),
    error: 'invalid_response',
  },
  {
    what: 'sends two answers in one',
    answer: (socket) => socket.write(response(200, 'a', ['content-length: 2'])),
    error: 'invalid_response',
  },
]

export async function openEvil(evil: EvilEndpoint): Promise<RawEndpoint> {
  if (evil.certificate === undefined) return RawEndpoint.open(evil.answer)
  const pem = (name: string): string =>
    readFileSync(new URL(`./certificates/${name}`, import.meta.url), 'utf8')
  return RawEndpoint.open(evil.answer, {
    tls: { cert: pem(`${evil.certificate}.pem`), key: pem(`${evil.certificate}.key`) },
  })
}

export function urlOf(evil: EvilEndpoint, endpoint: RawEndpoint): string {
  const isTls = evil.certificate !== undefined || evil.protocol === 'https'
  return isTls ? endpoint.url().replace('http:', 'https:') : endpoint.url()
}

function dripping(beginning: string, drop: string): Answer {
  return (socket) => {
    if (beginning !== '') socket.write(beginning)
    const drip = setInterval(() => socket.write(drop), 20)
    socket.once('close', () => clearInterval(drip))
  }
}

function flooding(beginning: string, flood: string): Answer {
  const bytes = Buffer.from(flood)
  return (socket) => {
    if (beginning !== '') socket.write(beginning)
    const pour = (): void => {
      while (isOpen(socket) && socket.write(bytes));
    }
    socket.on('drain', pour)
    pour()
  }
}

function isOpen(socket: Socket): boolean {
  return !socket.destroyed && socket.writable
}
