/**
 * A tunnel through the operator's proxy (RFC 9110 §9.3.6). Invariant: whatever the proxy answers is the proxy's, and never
 * taken for an answer of the endpoint.
 */
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { authority, type EgressProxy } from '../core/egress-proxy.ts'
import { ConnectionFailure } from './failure-class.ts'

/** Calls back once: `socket` leads to the endpoint then, or the proxy did not let it. */
export function openTunnel(
  socket: Socket,
  proxy: EgressProxy,
  endpoint: { readonly hostname: string; readonly port: number },
  done: (error: Error | null) => void,
): void {
  const target = authority(endpoint.hostname, endpoint.port)
  const asking = request({
    method: 'CONNECT',
    path: target,
    headers: {
      host: target,
      ...(proxy.authorization !== undefined && { 'proxy-authorization': proxy.authorization }),
    },
    createConnection: () => socket,
  })
  asking.once('connect', (answer, _socket, early: Buffer) => {
    const { statusCode = 0 } = answer
    // No endpoint speaks before it is spoken to: bytes that come early are the proxy's own.
    const isTunnel = statusCode >= 200 && statusCode < 300 && early.length === 0
    done(isTunnel ? null : new ConnectionFailure('proxy'))
  })
  asking.on('error', done)
  asking.end()
}
