/**
 * What stands in a request's body: an entry for each form. In every one of them the payload is the bytes that the
 * application wrote: parsing and printing it again would change key order, white space and long numbers.
 */
import { cloudEventHeaders, cloudEventJson } from './cloudevent.ts'
import type { OutboxEvent } from './outbox-event.ts'

interface Form {
  readonly contentType: string
  /** The whole body of a request for one event. */
  one(event: OutboxEvent): string
  /** What of the event stands in headers. */
  readonly headers?: (event: OutboxEvent) => Record<string, string>
  /** The same for many events. A form without cannot be sent as a batch. */
  readonly many?: {
    readonly contentType: string
    body(batchId: string, events: readonly OutboxEvent[]): string
  }
}

const JSON_TYPE = 'application/json'
const CLOUDEVENTS_TYPE = 'application/cloudevents+json; charset=utf-8'
const CLOUDEVENTS_BATCH_TYPE = 'application/cloudevents-batch+json; charset=utf-8'

const CLOUDEVENTS_BATCH: NonNullable<Form['many']> = {
  contentType: CLOUDEVENTS_BATCH_TYPE,
  body: (_batchId, events) => jsonArray(events, cloudEventJson),
}

const FORMS = {
  envelope: {
    contentType: JSON_TYPE,
    one: envelope,
    many: {
      contentType: JSON_TYPE,
      body: (batchId, events) =>
        `{"delivery_mode":"batch","batch_id":"${batchId}","events":${jsonArray(events, envelope)}}`,
    },
  },
  payload: {
    contentType: JSON_TYPE,
    one: payload,
    many: { contentType: JSON_TYPE, body: (_batchId, events) => jsonArray(events, payload) },
  },
  cloudevents: { contentType: CLOUDEVENTS_TYPE, one: cloudEventJson, many: CLOUDEVENTS_BATCH },
  'cloudevents-binary': { contentType: JSON_TYPE, one: payload, headers: cloudEventHeaders },
  'cloudevents-batch': {
    contentType: CLOUDEVENTS_BATCH_TYPE,
    one: (event) => jsonArray([event], cloudEventJson),
    many: CLOUDEVENTS_BATCH,
  },
} as const satisfies Record<string, Form>

export type BodyForm = keyof typeof FORMS

export const BODY_FORMS = Object.keys(FORMS) as readonly BodyForm[]

export function bodyForm(name: BodyForm): Form {
  return FORMS[name]
}

/** Errors: a form that cannot be sent as a batch, which no subscription with one has, is a bug, and throws. */
export function batchBody(
  name: BodyForm,
  batchId: string,
  events: readonly OutboxEvent[],
): { readonly contentType: string; readonly text: string } {
  const { many } = bodyForm(name)
  if (many === undefined) throw new TypeError(`${name} has no batches`)
  return { contentType: many.contentType, text: many.body(batchId, events) }
}

/** Id, type and timestamp hold nothing that JSON has to escape. */
function envelope(event: OutboxEvent): string {
  return `{"id":"${event.id}","type":"${event.type}","timestamp":"${event.timestamp}","data":${event.payload}}`
}

function payload(event: OutboxEvent): string {
  return event.payload
}

function jsonArray(events: readonly OutboxEvent[], json: (event: OutboxEvent) => string): string {
  return `[${events.map(json).join(',')}]`
}
