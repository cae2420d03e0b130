/** The demo's endpoints: one server on loopback, a path each. They verify every request with npm `standardwebhooks`. */
import { type SignatureCheck, signatureCheck, type Verdict } from '../signature-check.ts'
import { type ReceivedWebhook, serveWebhooks, type WebhookServer } from '../webhook-server.ts'
import { ENDPOINT_NAMES, type EndpointName, ENDPOINTS } from './story.ts'

export interface Receipt {
  readonly endpoint: EndpointName
  readonly eventId: string
  readonly eventType: string
  readonly attempt: number
  readonly verdict: Verdict
  /** What was answered. */
  readonly status: number
  readonly body: string
  readonly arrivedAtMs: number
}

const ACCEPTED = 204
const UNAVAILABLE = 503
const REFUSED = 401

export class Receiver implements AsyncDisposable {
  readonly receipts: Receipt[] = []
  readonly #checks = new Map<EndpointName, SignatureCheck>()
  readonly #onReceipt: (receipt: Receipt) => void
  #server: WebhookServer | undefined

  private constructor(onReceipt: (receipt: Receipt) => void) {
    this.#onReceipt = onReceipt
  }

  static async open(onReceipt: (receipt: Receipt) => void): Promise<Receiver> {
    const receiver = new Receiver(onReceipt)
    receiver.#server = await serveWebhooks({ host: '127.0.0.1', port: 0 }, (webhook) =>
      receiver.#receive(webhook),
    )
    return receiver
  }

  url(endpoint: EndpointName): string {
    return `${this.#server?.url}/${endpoint}`
  }

  /** From now on the endpoint takes only what this secret signed. */
  trust(endpoint: EndpointName, secret: string): void {
    this.#checks.set(endpoint, signatureCheck([secret]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]()
  }

  #receive(webhook: ReceivedWebhook): number {
    const endpoint = ENDPOINT_NAMES.find((name) => webhook.path === `/${name}`)
    if (endpoint === undefined) return 404
    const eventId = webhook.headers['webhook-id'] ?? ''
    const verdict = this.#checks.get(endpoint)?.(webhook) ?? { kind: 'unchecked' as const }
    const receipt: Receipt = {
      endpoint,
      eventId,
      eventType: webhook.headers['walhook-event-type'] ?? '',
      attempt: Number(webhook.headers['walhook-attempt']),
      verdict,
      status: verdict.kind === 'verified' ? this.#answer(endpoint, eventId) : REFUSED,
      body: webhook.body.toString('utf8'),
      arrivedAtMs: webhook.arrivedAtMs,
    }
    this.receipts.push(receipt)
    this.#onReceipt(receipt)
    return receipt.status
  }

  #answer(endpoint: EndpointName, eventId: string): number {
    const before = this.receipts.filter(
      (receipt) => receipt.endpoint === endpoint && receipt.eventId === eventId,
    )
    return before.length < ENDPOINTS[endpoint].failures ? UNAVAILABLE : ACCEPTED
  }
}
