/** One line a request, with the route and not the path: ids and queries are what somebody looks at. */
import type { Logger } from '../telemetry/logger.ts'
import type { ApiApp } from './app.ts'

export function logRequests(app: ApiApp, logger: Logger): void {
  app.addHook('onResponse', async (request, reply) => {
    const { url: route, config } = request.routeOptions
    if (config.unlimited === true) return
    logger.debug(
      {
        request_id: request.id,
        method: request.method,
        route: route ?? null,
        status: reply.statusCode,
        duration_ms: Math.round(reply.elapsedTime * 10) / 10,
        by: request.principal?.by ?? null,
        key_id: request.principal?.keyId ?? null,
      },
      'api.request',
    )
  })
}
