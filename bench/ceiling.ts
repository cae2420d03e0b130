/** Signed POSTs from one process, nothing else running: what delivery could reach if it recorded nothing. */
import { randomUUID } from 'node:crypto'
import { parseNetwork } from '../src/core/address-policy.ts'
import { headerNames } from '../src/core/header-names.ts'
import { requestForm } from '../src/core/request-form.ts'
import { signers } from '../src/core/signature.ts'
import { webhookRequest } from '../src/core/webhook-request.ts'
import { WebhookClient } from '../src/delivery/webhook-client.ts'

const [url = '', count = '0', concurrency = '64', payload = '{}'] = process.argv.slice(2)
const loopback = parseNetwork('127.0.0.0/8')
if (loopback === undefined) throw new Error('not a network')
const client = new WebhookClient({ policy: { allowHttp: true, allowNetworks: [loopback] } })
const options = {
  request: requestForm({
    method: 'POST',
    body: 'envelope',
    headers: {},
    forwardHeaders: [],
    headerPrefix: undefined,
  }),
  signers: signers(
    { schemes: ['standard'], hexHeader: undefined, names: headerNames(undefined) },
    { secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'], ed25519Key: undefined },
  ),
}

let left = Number(count)
async function worker(): Promise<void> {
  while (left-- > 0) {
    const event = {
      id: randomUUID(),
      type: 'bench.event',
      key: null,
      tenant: null,
      payload,
      headers: {},
      timestamp: '2026-01-01T00:00:00.000000Z',
    }
    const facts = {
      attempt: 1,
      timestamp: Math.floor(Date.now() / 1000),
      userAgent: 'walhook-bench',
    }
    const response = await client.send(
      { url, ...webhookRequest(event, options, facts) },
      { timeoutMs: 15_000 },
    )
    if (response.kind !== 'answered' || response.status !== 204)
      throw new Error(`the receiver answered ${JSON.stringify(response)}`)
  }
}

const startedAt = performance.now()
await Promise.all(Array.from({ length: Number(concurrency) }, worker))
const seconds = (performance.now() - startedAt) / 1000
await client[Symbol.asyncDispose]()
process.send?.({ perSecond: Number(count) / seconds })
