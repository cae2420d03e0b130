/** /v1/event-types: the catalog. It is everybody's to read, and belongs to no tenant. */
import { z } from 'zod'
import { type EventTypeRow, listEventTypes } from '../store/event-types.ts'
import type { Queryable } from '../store/database.ts'
import type { ApiApp } from './app.ts'
import { shownTime, timestamp } from './schemas.ts'

const eventType = z
  .object({
    name: z.string(),
    description: z.string().nullable(),
    deprecated: z.boolean(),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: 'EventType' })

export function addEventTypeRoutes(app: ApiApp, { database }: { readonly database: Queryable }): void {
  app.get(
    '/v1/event-types',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listEventTypes',
        tags: ['event types'],
        summary: 'List the catalog',
        response: { 200: z.object({ data: z.array(eventType), next_cursor: z.null() }) },
      },
    },
    async () => ({ data: (await listEventTypes(database)).map(shown), next_cursor: null }),
  )
}

function shown(row: EventTypeRow): z.output<typeof eventType> {
  return { ...row, created_at: shownTime(row.created_at), updated_at: shownTime(row.updated_at) }
}
