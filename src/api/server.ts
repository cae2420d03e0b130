/** The HTTP surface: whether the process lives, whether it is ready, and what it counts. */
import { fastify, type FastifyInstance } from 'fastify'
import { visibleJson } from '../core/untrusted-text.ts'
import { errorCode, WalhookError } from '../lifecycle/errors.ts'

export interface ApiPorts {
  /** What keeps this process from being ready, in words; empty when nothing does. */
  problems(): Promise<readonly string[]>
  /** What it does: `streaming`, or `standby` while another process streams. */
  role(): string
  /** How the slot is; undefined until it was looked at. */
  slot(): object | undefined
  metrics(): Promise<string>
}

export interface ApiServer extends AsyncDisposable {
  /** `http://127.0.0.1:8788` */
  readonly address: string
}

/** Errors: `port_taken`. */
export async function serveApi(
  listen: { readonly host: string; readonly port: number },
  ports: ApiPorts,
): Promise<ApiServer> {
  const app = fastify({ logger: false, forceCloseConnections: true })
  // Problems quote servers' messages, and are read in terminals.
  app.setReplySerializer(visibleJson)
  addProbes(app, ports)
  try {
    const address = await app.listen(listen)
    return { address, [Symbol.asyncDispose]: () => app.close() }
  } catch (error) {
    await app.close()
    throw listenError(error, listen)
  }
}

function addProbes(app: FastifyInstance, ports: ApiPorts): void {
  app.get('/healthz', () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const problems = await ports.problems()
    return reply.status(problems.length === 0 ? 200 : 503).send({
      status: problems.length === 0 ? 'ready' : 'not_ready',
      role: ports.role(),
      problems,
      slot: ports.slot(),
    })
  })
  app.get('/metrics', async (_request, reply) =>
    reply.type('text/plain; version=0.0.4').send(await ports.metrics()),
  )
}

function listenError(error: unknown, listen: { readonly host: string; readonly port: number }): unknown {
  const where = `${listen.host}:${listen.port}`
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return new WalhookError('port_taken', `${where} is in use by another process`, {
        remedy: 'End that process, or set WALHOOK_LISTEN to another host:port.',
        cause: error,
      })
    case 'EACCES':
    case 'EADDRNOTAVAIL':
      return new WalhookError('port_taken', `cannot listen on ${where}`, {
        remedy: 'Set WALHOOK_LISTEN to an address of this machine and a port that this user may open.',
        cause: error,
      })
    default:
      return error
  }
}
