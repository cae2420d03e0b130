/** What the API says of itself: OpenAPI 3.1, made of the routes' own schemas, and pages rendered of it that work offline. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyContextConfig, FastifySchema, RouteOptions } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { VERSION } from '../version.ts'
import type { ApiApp } from './app.ts'
import { finishedDocument } from './openapi-document.ts'
import { problemSchema, STATUS_TITLES } from './problem.ts'
import { sendJson } from './serialization.ts'

declare module 'fastify' {
  interface FastifySchema {
    /** As a route's config has them, for programs that read the description. */
    'x-walhook-scope'?: FastifyContextConfig['scope']
    'x-walhook-all-tenants'?: boolean
  }
}

/** As strict as everywhere: it brings its own scripts and styles, in files. */
const DOCS_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

const NOTHING = z.strictObject({})

const TAGS = [
  ['events', 'What was committed, and publishing without a database connection.'],
  ['deliveries', 'Each event owed to each subscription: looked at, sent again, cancelled.'],
  ['subscriptions', 'Standing wishes: an endpoint, patterns, a filter, a secret, and how to deliver.'],
  ['replays', 'Many deliveries again, to their endpoint or another, or made of older events.'],
  ['event types', 'The catalog: which types there are, and what their payloads look like.'],
  ['statistics', 'How it goes: counts, failure rates, latencies and backlog.'],
  ['operations', 'The slot and the replicas.'],
  ['live', 'Hints of what happens, as it happens.'],
  ['keys', 'Who may ask, and for whom.'],
] as const

const DESCRIPTION = `Events from the outbox of your Postgres, delivered as signed webhooks.

Send a key as \`Authorization: Bearer …\`. A key with a tenant sees and changes what is that tenant's; everything else does not exist for it.

Lists come in pages that do not shift: \`next_cursor\` goes back as \`cursor\`. Whatever goes wrong is a problem (RFC 9457) that names the fields at fault. Unknown fields and parameters are refused. Ids of deliveries and replays are whole numbers written as text.`

/** Before the routes: it looks at each as it is added. */
export async function describeApi(app: ApiApp): Promise<void> {
  app.addHook('onRoute', describeRoute)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Walhook',
        version: VERSION,
        description: DESCRIPTION,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/', description: 'Where this document comes from.' }],
      tags: TAGS.map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'A key, or WALHOOK_ADMIN_TOKEN.' },
          session: {
            type: 'apiKey',
            in: 'cookie',
            name: 'walhook_session',
            description: 'What the page has instead: made by POST /ui/session or a portal link.',
          },
        },
      },
      security: [{ bearer: [] }, { session: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => finishedDocument(jsonSchemaTransformObject(document)),
  })
  app.get('/openapi.json', (_request, reply) => sendJson(reply, app.swagger()))
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: DOCS_CSP,
    // Its own default asks a server on the internet whether the document is sound.
    // The bar on top would only lead elsewhere.
    uiConfig: {
      validatorUrl: null,
      layout: 'BaseLayout',
      displayRequestDuration: true,
      persistAuthorization: false,
    },
  })
}

/** What every operation takes and answers beside its own. What has no scope is not of the API. */
function describeRoute(route: RouteOptions): void {
  const { config = {}, schema = {} } = route
  if (config.scope === undefined) {
    route.schema = { ...schema, hide: true }
    return
  }
  route.schema = {
    ...schema,
    description: [schema.description, needs(config)].filter(Boolean).join('\n\n'),
    'x-walhook-scope': config.scope,
    'x-walhook-all-tenants': config.allTenants === true,
    querystring: schema.querystring ?? NOTHING,
    response: {
      ...problemsOf(schema, [route.method].flat()),
      ...(schema.response as Record<string, unknown> | undefined),
    },
  }
}

function needs({ scope, allTenants }: FastifyContextConfig): string {
  const who = scope === 'any' ? 'Any key may ask for this.' : `Needs the scope \`${scope}\`.`
  return allTenants === true ? `${who} It concerns all tenants: a key for one is refused.` : who
}

/** Which problems an operation can answer with, by what it takes. */
function problemsOf(
  { params, body, headers, querystring }: FastifySchema,
  methods: readonly string[],
): Record<string, unknown> {
  const changes = methods.some((method) => !['GET', 'HEAD'].includes(method))
  const statuses = [400, 401, 403, 429, 431, 500, 503]
  if (params !== undefined || body !== undefined) statuses.push(404)
  if (changes) statuses.push(409, 413, 415)
  // What the database refuses of a change, it refuses of a question too.
  if (changes || querystring !== undefined) statuses.push(422)
  if (headers !== undefined) statuses.push(412)
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
