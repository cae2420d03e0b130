/**
 * The catalog of event types as documents for those who receive webhooks: Markdown, and OpenAPI 3.1 `webhooks`. The same
 * catalog gives the same bytes. Types have to come in the order in which they are to stand there.
 */
import { visibleJsonDocument, visibleLines } from './untrusted-text.ts'

export interface DocumentedType {
  readonly name: string
  readonly description: string | null
  /** JSON text. */
  readonly schema: string | null
  /** JSON text. */
  readonly example: string | null
  readonly deprecated: boolean
}

/** Without a newline at its end. */
export function catalogAsMarkdown(types: readonly DocumentedType[]): string {
  return ['# Event types', ...types.flatMap(markdownOf)].join('\n\n')
}

function markdownOf(type: DocumentedType): readonly string[] {
  return [
    `## \`${type.name}\``,
    ...(type.deprecated ? ['**Deprecated.**'] : []),
    ...(type.description === null ? [] : [visibleLines(type.description.trim())]),
    ...(type.schema === null ? [] : ['JSON Schema of `data`:', fenced(type.schema)]),
    ...(type.example === null ? [] : ['Example of `data`:', fenced(type.example)]),
  ]
}

/** A fence that is longer than any within. */
function fenced(json: string): string {
  const text = visibleJsonDocument(JSON.parse(json))
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}json\n${text}\n${fence}`
}

const DIALECT = 'https://json-schema.org/draft/2020-12/schema'
const EXAMPLE_ID = '01a2042e-56e4-7b55-8e7d-29baa4c1af1e'
const EXAMPLE_TIMESTAMP = '2026-11-22T16:54:35.491145Z'

/** An OpenAPI 3.1 document, one webhook a type: envelope and headers as they are where a subscription asks for nothing else. */
export function catalogAsOpenApi(types: readonly DocumentedType[], title: string): string {
  return visibleJsonDocument({
    openapi: '3.1.0',
    info: { title, version: '1' },
    jsonSchemaDialect: DIALECT,
    webhooks: Object.fromEntries(types.map((type) => [type.name, { post: operation(type) }])),
  })
}

function operation({ name, description, schema, example, deprecated }: DocumentedType): unknown {
  return {
    summary: name,
    ...(description !== null && { description: description.trim() }),
    ...(deprecated && { deprecated }),
    parameters: parameters(name),
    requestBody: {
      required: true,
      content: {
        'application/json': {
          schema: envelopeSchema(name, schema === null ? true : embedded(name, JSON.parse(schema))),
          ...(example !== null && {
            example: { id: EXAMPLE_ID, type: name, timestamp: EXAMPLE_TIMESTAMP, data: JSON.parse(example) },
          }),
        },
      },
    },
    responses: {
      '2XX': { description: 'The event was taken. Whatever the body says is not looked at.' },
      '410': { description: 'Nothing more is wanted: the subscription is disabled.' },
      default: { description: 'It is sent again, by the retry schedule of the subscription.' },
    },
  }
}

function envelopeSchema(type: string, data: unknown): unknown {
  return {
    type: 'object',
    required: ['id', 'type', 'timestamp', 'data'],
    properties: {
      id: { type: 'string', format: 'uuid', description: "The event's id, the same in each request for it." },
      type: { const: type },
      timestamp: { type: 'string', format: 'date-time', description: 'When the event was written.' },
      data,
    },
  }
}

/** With an identifier it is a resource of its own, as JSON Schema has it: its `#/…` references stay within. */
function embedded(name: string, schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null || '$id' in schema) return schema
  return { $id: `urn:walhook:event-type:${name}`, ...schema }
}

function parameters(type: string): readonly unknown[] {
  const header = (name: string, description: string, schema: unknown): unknown => ({
    name,
    in: 'header',
    required: true,
    description,
    schema,
  })
  return [
    header('webhook-id', "The event's id: act on each once.", { type: 'string' }),
    header('webhook-timestamp', 'When this attempt was made, in unix seconds.', {
      type: 'string',
      pattern: '^[0-9]+$',
    }),
    header('webhook-signature', 'Standard Webhooks: v1, and base64, one for each live secret.', {
      type: 'string',
    }),
    header('walhook-event-type', "The event's type.", { const: type }),
    header('walhook-attempt', 'The number of this attempt, from 1.', {
      type: 'string',
      pattern: '^[1-9][0-9]*$',
    }),
  ]
}
