/**
 * Endpoints that write down what they get: one line a request and event, with a digest in place of the body. Each subscription has
 * a path of its own; every signature is checked with the outside verifier, `standardwebhooks`.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Webhook } from 'standardwebhooks'
import { type BatchText, idsOf, readBatch } from '../../support/batch-text.ts'
import { Receiver, type ReceivedRequest, type Script } from '../../support/receiver.ts'
import { digestOf, type LoggedRequest } from './history.ts'

type Entry = { -readonly [Field in keyof LoggedRequest]: LoggedRequest[Field] }

interface Subscribed {
  readonly id: string
  readonly webhook: Webhook
  readonly verifiesTimestamps: boolean
}

export class ReceiverLog implements AsyncDisposable {
  readonly #receiver: Receiver
  readonly #entries: Entry[]
  readonly #delays: ReturnType<typeof monitorEventLoopDelay>
  readonly #subscriptions: Map<string, Subscribed>

  private constructor(receiver: Receiver, entries: Entry[], subscriptions: Map<string, Subscribed>) {
    this.#receiver = receiver
    this.#entries = entries
    this.#delays = monitorEventLoopDelay()
    this.#delays.enable()
    this.#subscriptions = subscriptions
  }

  static async start(): Promise<ReceiverLog> {
    const entries: Entry[] = []
    const subscriptions = new Map<string, Subscribed>()
    /** Of requests that have no answer yet. */
    const open = new WeakMap<ReceivedRequest, readonly Entry[]>()
    const receiver = await Receiver.start({
      received: (request) => {
        const received = toEntries(request, subscriptions.get(request.path))
        entries.push(...received)
        open.set(request, received)
      },
      answered: (request, status) => {
        for (const entry of open.get(request) ?? []) {
          entry.answeredAt = Date.now()
          entry.status = status
        }
      },
    })
    return new ReceiverLog(receiver, entries, subscriptions)
  }

  get requests(): readonly LoggedRequest[] {
    return this.#entries
  }

  get count(): number {
    return this.#entries.length
  }

  /** What a request may have waited at the longest before it was read: all endpoints of a test run live in its process. */
  get longestStandstillMs(): number {
    return Math.round(this.#delays.max / 1e6)
  }

  url(path: string): string {
    return this.#receiver.url(path)
  }

  /** Whose endpoint the path is. Has to be told before its first event is committed. */
  belongsTo(
    path: string,
    subscription: { readonly id: string; readonly secret: string },
    verifiesTimestamps: boolean,
  ): void {
    this.#subscriptions.set(path, {
      id: subscription.id,
      webhook: new Webhook(subscription.secret),
      verifiesTimestamps,
    })
  }

  /** Sets what a path answers from now on; 204 until then. */
  on(path: string, script: Script): void {
    this.#receiver.on(path, script)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#delays.disable()
    return this.#receiver[Symbol.asyncDispose]()
  }
}

/** One entry an event: a batch has several, which share all but that. */
function toEntries(request: ReceivedRequest, subscribed: Subscribed | undefined): readonly Entry[] {
  const common = {
    subscriptionId: subscribed?.id ?? request.path,
    attemptedAt:
      subscribed?.verifiesTimestamps === true
        ? Number(request.headers['webhook-timestamp']) * 1000
        : undefined,
    arrivedAt: request.arrivedAt,
    answeredAt: undefined,
    status: undefined,
    forged: subscribed === undefined ? 'nobody subscribed to this path' : verdict(request, subscribed),
  }
  if (request.headers['walhook-event-type'] !== 'batch')
    return [{ ...common, eventId: request.id, digest: digestOf(request.body) }]
  const batch = tryToRead(request.body.toString())
  if (batch === undefined || batch.id !== request.id)
    return [{ ...common, eventId: request.id, digest: 0, forged: 'no batch, or not under its webhook-id' }]
  const logged = { id: batch.id, request: request.number }
  const ids = idsOf(batch)
  return batch.events.map((event, i) => ({
    ...common,
    eventId: ids[i] ?? '',
    digest: digestOf(event),
    batch: logged,
  }))
}

function tryToRead(body: string): BatchText | undefined {
  try {
    return readBatch(body)
  } catch {
    return undefined
  }
}

function verdict(
  { body, headers }: ReceivedRequest,
  { webhook, verifiesTimestamps }: Subscribed,
): string | undefined {
  if (!verifiesTimestamps) {
    const signedAt = new Date(Number(headers['webhook-timestamp']) * 1000)
    const expected = webhook.sign(String(headers['webhook-id']), signedAt, body.toString())
    return headers['webhook-signature'] === expected ? undefined : 'another signature'
  }
  try {
    webhook.verify(body, headers as Record<string, string>, { jsonParse: false })
    return undefined
  } catch (error) {
    return String(error)
  }
}
