/** The catalog of event types, and what it says of an event. Which of that matters is the setting's to say. */
import type { OutboxEvent } from './outbox-event.ts'
import type { PayloadSchema } from './payload-schema.ts'

export interface EventType {
  readonly name: string
  readonly deprecated: boolean
  /** Undefined lets every payload pass. */
  readonly schema: PayloadSchema | undefined
}

export type EventCatalog = ReadonlyMap<string, EventType>

/** Of an event, what the catalog has to be asked about. */
export type CataloguedEvent = Pick<OutboxEvent, 'id' | 'type' | 'payload'>

export const MISFITS = ['unknown_type', 'payload_invalid', 'schema_broken'] as const

/** Why an event is not one of the catalog. `reason` is told as it is, and kept: it never quotes the payload. */
export interface Misfit {
  readonly kind: (typeof MISFITS)[number]
  readonly reason: string
  /** Of a payload that does not fit: the rule's place in the schema. */
  readonly schemaPath: string | undefined
}

/** What Walhook itself publishes is known without being there. */
const OWN_TYPES = 'walhook.'

/** Errors: a SyntaxError, where the payload is not JSON; of an event it is. */
export function misfitOf(event: CataloguedEvent, catalog: EventCatalog): Misfit | undefined {
  const type = catalog.get(event.type)
  if (type === undefined && event.type.startsWith(OWN_TYPES)) return undefined
  if (type === undefined) return { kind: 'unknown_type', reason: 'unknown event type', schemaPath: undefined }
  if (type.schema === undefined) return undefined
  // A payload that nobody can judge has not been proven: see decision 0011.
  if (type.schema.kind === 'none')
    return {
      kind: 'schema_broken',
      reason: `the schema of its type is none: ${type.schema.reason}`,
      schemaPath: undefined,
    }
  const misfit = type.schema.misfitOf(JSON.parse(event.payload))
  if (misfit === undefined) return undefined
  return {
    kind: 'payload_invalid',
    reason: `payload does not fit its schema: ${misfit.reason}`,
    schemaPath: misfit.schemaPath,
  }
}
