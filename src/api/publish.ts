/**
 * POST /v1/events: one event or many, in one transaction. A payload is taken from the body's text, so that its bytes are those
 * that are stored, signed and sent; and with an id, saying it twice publishes once.
 */
import { z } from 'zod'
import { idempotencyId } from '../core/idempotency-id.ts'
import { elementTexts, memberTexts } from '../core/json-members.ts'
import { isOperatorEvent } from '../core/outbox-event.ts'
import type { Principal } from '../core/principal.ts'
import type { Database } from '../store/database.ts'
import { type IdentifiedEvent, type PublishedEvent, publishOnce } from '../store/outbox.ts'
import type { ApiApp } from './app.ts'
import { Problem } from './problem.ts'
import { eventTypeName, shownTime, tenantName, text, timestamp, uuid } from './schemas.ts'

const BODY_LIMIT_BYTES = 8 * 1024 * 1024
const MOST_EVENTS = 1_000

const idText = text(255).describe(
  "Yours, to publish once: a UUID, which is then the event's id, or any other text, from which one is made.",
)

const newEvent = z
  .strictObject({
    id: idText.optional(),
    type: eventTypeName,
    payload: z
      .unknown()
      .refine((value) => value !== undefined, 'is missing')
      .describe(
        'Any JSON, of at most 1 MiB. Its bytes are what is sent: digits, order and white space stay.',
      ),
    key: text(1000).nullish().describe('What it is about; ordering, where asked for, is per key.'),
    tenant: tenantName.nullish().describe("A tenant's key publishes for its tenant, and needs not say so."),
    headers: z
      .record(z.string(), z.unknown())
      .nullish()
      .describe('At most 16 KiB. traceparent and tracestate are passed on; deliver_after delays.'),
  })
  .meta({ id: 'NewEvent', examples: [{ type: 'order.created', key: 'o-1', payload: { amount: 250 } }] })

const newEvents = z
  .strictObject({ events: z.array(newEvent).min(1).max(MOST_EVENTS).describe('All or none.') })
  .meta({ id: 'NewEvents' })

const published = z
  .object({
    id: uuid,
    type: z.string(),
    key: z.string().nullable(),
    tenant: z.string().nullable(),
    created_at: timestamp,
  })
  .meta({ id: 'PublishedEvent' })

const answer = z.union([published, z.object({ events: z.array(published).describe('In their order.') })])

type NewEvent = z.output<typeof newEvent>

export function addPublishRoute(app: ApiApp, database: Database): void {
  app.post(
    '/v1/events',
    {
      bodyLimit: BODY_LIMIT_BYTES,
      config: { scope: 'publish' },
      schema: {
        operationId: 'publishEvents',
        tags: ['events'],
        summary: 'Publish an event, or many at once',
        description:
          'With an id, in the body or as Idempotency-Key, the same again is 200 with what was published first, for as long as the outbox keeps it; other content under it is 409.',
        headers: z.looseObject({
          'idempotency-key': idText
            .optional()
            .describe(
              'The id, for a body without one. For many, each gets one of its own from it, by its place.',
            ),
        }),
        body: z.union([newEvents, newEvent]),
        response: { 200: answer, 201: answer },
      },
    },
    async ({ body, bodyText, headers, principal }, reply) => {
      const isOne = !('events' in body)
      const asked = isOne ? [body] : body.events
      const texts = isOne ? [bodyText] : (elementTexts(memberTexts(bodyText)?.get('events') ?? '[]') ?? [])
      const key = headers['idempotency-key']
      const events = asked.map((event, i) =>
        identified(event, texts[i] ?? '', { fallback: fallbackId(key, isOne, i), principal, isOne, i }),
      )
      const done = await database.transaction(async (tx) => {
        const rows = await publishOnce(tx, events)
        requireSame(rows, isOne)
        return rows
      })
      const shown = done.map(shownEvent)
      const [first] = shown
      return reply
        .status(done.some(({ is_new }) => is_new) ? 201 : 200)
        .send(isOne && first !== undefined ? first : { events: shown })
    },
  )
}

function fallbackId(key: string | undefined, isOne: boolean, i: number): string | undefined {
  return key === undefined || isOne ? key : `${key} ${i}`
}

interface Place {
  readonly fallback: string | undefined
  readonly principal: Principal
  readonly isOne: boolean
  readonly i: number
}

/** `text` is the event's own JSON. Errors: a problem. */
function identified(
  event: NewEvent,
  json: string,
  { fallback, principal, isOne, i }: Place,
): IdentifiedEvent {
  const field = (name: string): string => (isOne ? name : `events.${i}.${name}`)
  const refuse = (kind: 'malformed' | 'forbidden' | 'invalid', name: string, detail: string): never => {
    throw new Problem(kind, `${field(name)} ${detail}.`, { errors: [{ field: field(name), detail }] })
  }
  const tenant = event.tenant ?? principal.tenant ?? undefined
  if (principal.tenant !== null && tenant !== principal.tenant)
    refuse('forbidden', 'tenant', "has to be the key's own")
  // What becomes of such events is told to nobody, or a failing endpoint would feed itself.
  if (isOperatorEvent(event)) refuse('invalid', 'type', "is one of Walhook's own")
  if (isOne && event.id !== undefined && fallback !== undefined && event.id !== fallback)
    refuse('invalid', 'id', 'has to be that of Idempotency-Key, where both are sent')
  const name = event.id ?? fallback
  const members = memberTexts(json)
  const headers = members?.get('headers')
  return {
    id: name === undefined ? undefined : idempotencyId(name, principal.tenant ?? ''),
    type: event.type,
    payload: members?.get('payload') ?? 'null',
    key: event.key ?? undefined,
    tenant,
    headers: headers === 'null' ? undefined : headers,
  }
}

/** Errors: a problem that names the first one that says something else. */
function requireSame(rows: readonly PublishedEvent[], isOne: boolean): void {
  const at = rows.findIndex(({ differs }) => differs)
  const other = rows[at]
  if (other === undefined) return
  throw new Problem('conflict', `Event ${other.id} is there already, and says something else.`, {
    errors: [
      {
        field: isOne ? 'id' : `events.${at}.id`,
        detail: `is that of event ${other.id}, which says something else`,
      },
    ],
  })
}

function shownEvent({ id, type, key, tenant, created_at }: PublishedEvent): z.output<typeof published> {
  return { id, type, key, tenant, created_at: shownTime(created_at) }
}
