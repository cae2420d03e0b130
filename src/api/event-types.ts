/** /v1/event-types: the catalog. It belongs to no tenant: everybody reads it, and nobody's key for one tenant writes it. */
import { z } from 'zod'
import { catalogEntryFault, schemaError } from '../core/catalog-entry.ts'
import { memberTexts } from '../core/json-members.ts'
import type { Database } from '../store/database.ts'
import {
  type EventTypeRow,
  lockEventType,
  type NewEventType,
  pageEventTypes,
  removeEventType,
  writeEventType,
} from '../store/event-types.ts'
import type { ApiApp } from './app.ts'
import { Cursor, pageOf, pageQuery } from './cursor.ts'
import { entityTag, requireMatch, sendEntityTag } from './entity-tag.ts'
import { notFound, Problem } from './problem.ts'
import { conditional, eventTypeName, shownTime, text, timestamp } from './schemas.ts'

const SCHEMA_EXAMPLE = { type: 'object', required: ['id'], properties: { id: { type: 'integer' } } }

export const eventType = z
  .object({
    name: z
      .string()
      .describe('A dotted name.')
      .meta({ examples: ['order.created'] }),
    description: z.string().nullable().describe('For people, as Markdown.'),
    schema: z.unknown().describe('JSON Schema of the payload, draft 2020-12; null lets every payload pass.'),
    schema_error: z
      .string()
      .nullable()
      .describe('Why the schema is none, where somebody wrote it past Walhook; else null.'),
    example: z.unknown().describe('A payload, for people who write receivers; null where there is none.'),
    deprecated: z.boolean().describe('On its way out; its events are still delivered.'),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: 'EventType', description: 'An entry of the catalog.' })

const eventTypeInput = z
  .strictObject({
    description: text(10_000, 0).nullish().describe('For people, as Markdown.'),
    schema: z
      .union(
        [z.record(z.string(), z.unknown()), z.boolean()],
        'has to be a JSON Schema: an object, or true or false',
      )
      .nullish()
      .describe('JSON Schema of the payload, draft 2020-12, at most 64 KiB.'),
    example: z.unknown().optional().describe('A payload that fits the schema, at most 64 KiB.'),
    deprecated: z.boolean().default(false),
  })
  .meta({
    id: 'EventTypeBody',
    examples: [{ description: 'An order was placed.', schema: SCHEMA_EXAMPLE, example: { id: 1 } }],
  })

const typeCursor = new Cursor('event_types', z.tuple([z.string().max(255)]))
const params = z.strictObject({ name: eventTypeName })
const TAGS = ['event types']

export function addEventTypeRoutes(app: ApiApp, { database }: { readonly database: Database }): void {
  app.get(
    '/v1/event-types',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listEventTypes',
        tags: TAGS,
        summary: 'List the catalog',
        description: 'By name, byte by byte.',
        querystring: z.strictObject(pageQuery),
        response: { 200: pageOf(eventType) },
      },
    },
    async ({ query: { limit, cursor } }) => {
      const [after] = typeCursor.read(cursor) ?? []
      const rows = await pageEventTypes(database, { after, limit: limit + 1 })
      return typeCursor.page(rows, limit, ({ name }) => [name], shown)
    },
  )
  app.get(
    '/v1/event-types/:name',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getEventType',
        tags: TAGS,
        summary: 'One type, with its schema and its example',
        params,
        response: { 200: eventType },
      },
    },
    async ({ params: { name } }, reply) => {
      const row = await database.transaction((tx) => lockEventType(tx, name))
      if (row === undefined) throw notFound('event type')
      sendEntityTag(reply, tagOf(row))
      return shown(row)
    },
  )
  app.put(
    '/v1/event-types/:name',
    {
      config: { scope: 'operate', allTenants: true },
      schema: {
        operationId: 'putEventType',
        tags: TAGS,
        summary: 'Make a type, or make it so',
        description:
          'Whatever is left out is taken away. A schema that is none is refused, and so is an example that does not fit it.',
        params,
        headers: conditional,
        body: eventTypeInput,
        response: {
          200: eventType.describe('It was there, and is so now.'),
          201: eventType.describe('It was made.'),
        },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const wanted: NewEventType = {
        name,
        ...request.body,
        ...textsOf(request.bodyText),
        description: request.body.description ?? null,
      }
      requireSound(wanted)
      const { isNew, row } = await database.transaction(async (tx) => {
        const before = await lockEventType(tx, name)
        requireMatch(request, before && tagOf(before))
        await writeEventType(tx, wanted)
        return { isNew: before === undefined, row: await lockEventType(tx, name) }
      })
      if (row === undefined) throw new Error('the event type that was written is not there')
      sendEntityTag(reply, tagOf(row))
      return reply.status(isNew ? 201 : 200).send(shown(row))
    },
  )
  app.delete(
    '/v1/event-types/:name',
    {
      config: { scope: 'operate', allTenants: true },
      schema: {
        operationId: 'deleteEventType',
        tags: TAGS,
        summary: 'Take a type out of the catalog',
        description: 'Where events have to fit the catalog, they are of an unknown type then.',
        params,
        headers: conditional,
        response: { 204: z.null().describe('It is gone.') },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      await database.transaction(async (tx) => {
        const before = await lockEventType(tx, name)
        if (before === undefined) throw notFound('event type')
        requireMatch(request, tagOf(before))
        await removeEventType(tx, name)
      })
      return reply.status(204).send(null)
    },
  )
}

/** As they were written: parsed and printed again they would lose digits. */
function textsOf(body: string): Pick<NewEventType, 'schema' | 'example'> {
  const members = memberTexts(body)
  const textOf = (name: string): string | null => {
    const written = members?.get(name)
    return written === undefined || written === 'null' ? null : written
  }
  return { schema: textOf('schema'), example: textOf('example') }
}

function requireSound(wanted: NewEventType): void {
  const fault = catalogEntryFault(wanted)
  if (fault === undefined) return
  const { field, rule } = fault
  throw new Problem('invalid', `${field} ${rule}`, { errors: [{ field, detail: rule }] })
}

function tagOf(row: EventTypeRow): string {
  return entityTag(row.name, row.updated_at)
}

function shown(row: EventTypeRow): z.output<typeof eventType> {
  return {
    ...row,
    schema: row.schema === null ? null : (JSON.parse(row.schema) as unknown),
    schema_error: schemaError(row.schema),
    example: row.example === null ? null : (JSON.parse(row.example) as unknown),
    created_at: shownTime(row.created_at),
    updated_at: shownTime(row.updated_at),
  }
}
