/** COPY … FROM STDIN over pg, which knows the protocol's messages but has no call for it. */
import type pg from 'pg'
import type { EventDraft } from './event-draft.ts'

/** The part of pg's connection that a statement of one's own talks to. */
interface Wire {
  query(text: string): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
}

const COPY = 'copy walhook.outbox (id, type, key, payload, created_at) from stdin'

/** Rows of one COPY have one position in the log. Rejects as a query does, also where the connection is lost. */
export function copyEvents(client: pg.Client, events: readonly EventDraft[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const rows = Buffer.from(events.map(rowOf).join(''))
  // What pg calls while this statement is the active one.
  const statement = {
    submit: (wire: Wire) => wire.query(COPY),
    handleCopyInResponse: (wire: Wire) => {
      wire.sendCopyFromChunk(rows)
      wire.endCopyFrom()
    },
    handleCommandComplete: () => undefined,
    handleReadyForQuery: () => resolve(),
    handleError: (error: Error) => reject(error),
  }
  client.query(statement as unknown as pg.Submittable)
  return promise
}

function rowOf({ id, type, key, payload, createdAt }: EventDraft): string {
  const escaped = payload
    .replaceAll('\\', '\\\\')
    .replaceAll('\t', '\\t')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
  return `${id}\t${type}\t${key ?? '\\N'}\t${escaped}\t${createdAt}\n`
}
