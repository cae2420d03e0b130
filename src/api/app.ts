/**
 * The frame that every route stands in: request ids, limits, authentication, validation, and problems for whatever goes
 * wrong. Routes are listed in routes.ts.
 */
import { randomUUID } from 'node:crypto'
import helmet from '@fastify/helmet'
import {
  type FastifyBaseLogger,
  fastify,
  type FastifyInstance,
  type RawReplyDefaultExpression,
  type RawRequestDefaultExpression,
  type RawServerDefault,
} from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { servePage } from '../dashboard/serve-page.ts'
import type { Logger } from '../telemetry/logger.ts'
import { answerBrokenRequest } from './broken-request.ts'
import { answerErrors, problemOf, sendProblem } from './answer-errors.ts'
import { answerWhatIsNotThere } from './answer-missing.ts'
import { authenticateRequests } from './authentication.ts'
import { takeBodies } from './bodies.ts'
import { describeApi } from './openapi.ts'
import { limitKeys, limitRates } from './rate-limits.ts'
import { logRequests } from './request-log.ts'
import { addRoutes, type ApiPorts } from './routes.ts'
import { serializerCompiler } from './serialization.ts'
import { validatorCompiler } from './validation.ts'

export type ApiApp = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>

/** Of a path's parts: a portal link holds a tenant's name of 255 characters, twice encoded. */
const LONGEST_PARAMETER = 4_000
/** From the first byte of a request to its last. */
const REQUEST_WITHIN_MS = 30_000

const CONTENT_SECURITY_POLICY = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'", 'data:'],
  fontSrc: ["'self'"],
  connectSrc: ["'self'"],
  formAction: ["'self'"],
  baseUri: ["'none'"],
  frameAncestors: ["'none'"],
}

/** Ready to listen. */
export async function buildApp(ports: ApiPorts, logger: Logger): Promise<ApiApp> {
  const app: ApiApp = fastify({
    logger: false,
    forceCloseConnections: true,
    requestTimeout: REQUEST_WITHIN_MS,
    routerOptions: { maxParamLength: LONGEST_PARAMETER },
    genReqId: ({ headers }) => requestId(headers['x-request-id']),
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, request, reply) => void sendProblem(problemOf(error), request, reply),
  }).withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
  logRequests(app, logger)
  answerErrors(app, logger)
  takeBodies(app)
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: CONTENT_SECURITY_POLICY },
    // Whoever ends TLS in front of this says so.
    strictTransportSecurity: false,
    referrerPolicy: { policy: 'no-referrer' },
  })
  answerWhatIsNotThere(app)
  await limitRates(app)
  authenticateRequests(app, ports)
  limitKeys(app)
  await describeApi(app)
  addRoutes(app, ports)
  await servePage(app)
  return app
}

/** The caller's, where it can be shown as it is. */
function requestId(asked: string | readonly string[] | undefined): string {
  return typeof asked === 'string' && /^[A-Za-z0-9._:-]{1,128}$/.test(asked) ? asked : randomUUID()
}
