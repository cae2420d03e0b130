/**
 * An endpoint that verifies each webhook and acts on each event once.
 *
 *   WEBHOOK_SECRET=whsec_… node examples/receive-webhook.ts
 */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'

const webhook = new Webhook(process.env['WEBHOOK_SECRET'] ?? '')
/** In production a table: insert the id in the transaction that acts on the event, `on conflict do nothing`. */
const seen = new Set<string>()

/** Resolves to the status to answer. */
async function receive(request: IncomingMessage): Promise<number> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const id = String(request.headers['webhook-id'])
  try {
    // The body's bytes as they came: parsed and printed again, they would have another signature.
    webhook.verify(Buffer.concat(chunks), request.headers as Record<string, string>)
  } catch {
    return 401
  }
  if (seen.has(id)) return 204
  seen.add(id)
  console.log(`${id} ${Buffer.concat(chunks).toString()}`)
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
