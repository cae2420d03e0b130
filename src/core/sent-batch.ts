/** Events of one subscription that go together: which, and how many bytes of them. Their body is body-form's. */
import type { OutboxEvent } from './outbox-event.ts'

/** A batch that was sent: it is tried again whole, under its id, or not as this batch. */
export interface SentBatch {
  readonly id: string
  readonly size: number
}

/**
 * What one body may hold, unless a single event is larger. An endpoint has to take an event of 1 MiB anyway, the most that the
 * outbox does; so a batch asks of it nothing that a single event would not.
 */
export const MAX_BATCH_BYTES = 1024 * 1024

const AROUND_AN_EVENT = '{"id":"","type":"","timestamp":"","data":},'.length

/** What the event adds to a body; as a CloudEvent it adds its attributes, too. */
export function bytesInBatch({ id, type, timestamp, payload }: OutboxEvent): number {
  return AROUND_AN_EVENT + id.length + type.length + timestamp.length + Buffer.byteLength(payload)
}
