/**
 * Requests that come from this machine, and from nobody else by way of it. Where there is no key yet, only they are let in:
 * not what a proxy passes on, not a page of another site that the browser here has open, not a name that resolves to 127.0.0.1.
 */
import type { FastifyRequest } from 'fastify'

const UNSAFE = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via']

export function isFromThisMachine({ socket, headers }: FastifyRequest): boolean {
  return (
    isLoopback(socket.localAddress) &&
    isLoopback(socket.remoteAddress) &&
    isLoopbackName(headers.host) &&
    FORWARDED.every((name) => headers[name] === undefined)
  )
}

export function isUnsafe(request: FastifyRequest): boolean {
  return UNSAFE.has(request.method)
}

/**
 * Whether a browser says that another site asks. A browser sends Origin with every unsafe request across sites; who sends
 * neither it nor Sec-Fetch-Site is no browser.
 */
export function isCrossSite({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true
  return headers.origin !== undefined && !isSameOrigin(headers.origin, headers.host)
}

/** Whether a browser says that the page itself asks. */
export function isFromOwnPage({ headers }: FastifyRequest): boolean {
  if (headers['sec-fetch-site'] !== undefined) return headers['sec-fetch-site'] === 'same-origin'
  return headers.origin !== undefined && isSameOrigin(headers.origin, headers.host)
}

/** By host and port: behind a proxy that ends TLS, the scheme here is another one. */
function isSameOrigin(origin: string, host: string | undefined): boolean {
  return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase()
}

function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(127(\.\d{1,3}){3}|::1|::ffff:127(\.\d{1,3}){3})$/i.test(address)
}

function isLoopbackName(host: string | undefined): boolean {
  if (host === undefined) return false
  const name = host.toLowerCase().replace(/:\d+$/, '')
  return name === 'localhost' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name)
}
