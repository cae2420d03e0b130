/** The HTTP surface, listening: the API, its documents, and what machines ask of the process. */
import { errorCode, WalhookError } from '../lifecycle/errors.ts'
import type { Logger } from '../telemetry/logger.ts'
import { buildApp } from './app.ts'
import type { ApiPorts } from './routes.ts'

export interface ApiServer extends AsyncDisposable {
  /** `http://127.0.0.1:8788` */
  readonly address: string
}

/** Errors: `port_taken`. */
export async function serveApi(
  listen: { readonly host: string; readonly port: number },
  ports: ApiPorts,
  logger: Logger,
): Promise<ApiServer> {
  const app = await buildApp(ports, logger)
  try {
    const address = await app.listen(listen)
    return { address, [Symbol.asyncDispose]: () => app.close() }
  } catch (error) {
    await app.close()
    throw listenError(error, listen)
  }
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
