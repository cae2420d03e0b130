/** What the API says of itself: OpenAPI 3.1, made of the routes' own schemas, and pages rendered of it that work offline. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { VERSION } from '../version.ts'
import type { ApiApp } from './app.ts'
import { problemSchema, STATUS_TITLES } from './problem.ts'

/** As strict as everywhere: it brings its own scripts and styles, in files. */
const DOCS_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

const NOTHING = z.strictObject({})

/** Before the routes: it looks at each as it is added. */
export async function describeApi(app: ApiApp): Promise<void> {
  app.addHook('onRoute', (route) => {
    const { scope } = route.config ?? {}
    if (scope === undefined) {
      route.schema = { ...route.schema, hide: true }
      return
    }
    const { schema = {} } = route
    route.schema = {
      ...schema,
      querystring: schema.querystring ?? NOTHING,
      response: {
        ...problemsOf(schema, [route.method].flat()),
        ...(schema.response as Record<string, unknown> | undefined),
      },
    }
  })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Walhook',
        version: VERSION,
        description: 'Events from the outbox of your Postgres, delivered as signed webhooks.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'A key, or WALHOOK_ADMIN_TOKEN.' },
        },
      },
      security: [{ bearer: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })
  app.get('/openapi.json', () => app.swagger())
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: DOCS_CSP,
    // Its own default asks a server on the internet whether the document is sound.
    uiConfig: { validatorUrl: null, displayRequestDuration: true, persistAuthorization: false },
  })
}

interface Described {
  readonly params?: unknown
  readonly body?: unknown
}

/** Which problems an operation can answer with, by what it takes. */
function problemsOf({ params, body }: Described, methods: readonly string[]): Record<string, unknown> {
  const changes = methods.some((method) => !['GET', 'HEAD'].includes(method))
  const statuses = [
    400,
    401,
    403,
    ...(params === undefined ? [] : [404]),
    ...(changes ? [409, 412, 413, 415, 422] : []),
    429,
    500,
    503,
  ]
  void body
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        description: STATUS_TITLES[status],
        content: { 'application/problem+json': { schema: problemSchema } },
      },
    ]),
  )
}
