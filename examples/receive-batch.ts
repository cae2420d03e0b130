/**
 * An endpoint that verifies batches and acts on each event once, in whichever batch it comes.
 *
 *   WEBHOOK_SECRET=whsec_… node examples/receive-batch.ts
 */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'

interface Batch {
  readonly batch_id: string
  readonly events: readonly { readonly id: string; readonly type: string; readonly data: unknown }[]
}

const webhook = new Webhook(process.env['WEBHOOK_SECRET'] ?? '')
/** In production a table: insert the ids in the transaction that acts on the events, `on conflict do nothing`. */
const seen = new Set<string>()

/** Resolves to the status to answer, which is for the whole batch. */
async function receive(request: IncomingMessage): Promise<number> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  let batch: Batch
  try {
    batch = webhook.verify(Buffer.concat(chunks), request.headers as Record<string, string>) as Batch
  } catch {
    return 401
  }
  const fresh = batch.events.filter(({ id }) => !seen.has(id))
  for (const { id } of fresh) seen.add(id)
  console.log(`${batch.batch_id}: ${fresh.length} new of ${batch.events.length}`)
  for (const { id, type, data } of fresh) console.log(`${id} ${type} ${JSON.stringify(data)}`)
  return 204
}

const server = createServer((request, response) => {
  receive(request).then(
    (status) => response.writeHead(status).end(),
    () => response.destroy(),
  )
})
server.listen(Number(process.env['PORT'] ?? 9000), '127.0.0.1', () =>
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`),
)
