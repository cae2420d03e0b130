/**
 * Asks an endpoint for its consent before the first delivery: when one waits for it, and it is this process's turn. Invariant:
 * nothing but the question goes to an endpoint that has not consented.
 */
import { CONSENT_HEADERS, type ConsentAnswer, consentRequestHeaders, judgeConsent } from '../core/consent.ts'
import type { Subscription } from '../core/subscription.ts'
import type { ConsentQuestion } from '../store/consents.ts'
import type { AuthorizedClient } from './authorized-client.ts'

export interface ConsentPorts {
  readonly subscriptions: {
    get(id: string, deadline: number): Promise<Subscription | undefined>
    forget(id: string): void
  }
  /** Whether it is ours to ask, now. */
  takeTurn(question: ConsentQuestion): Promise<boolean>
  /** Returns the pause until it would be asked again, in milliseconds. */
  record(question: ConsentQuestion, answer: ConsentAnswer): Promise<number | undefined>
  readonly send: AuthorizedClient['send']
  /** WALHOOK_ORIGIN. */
  readonly origin: string
  readonly userAgent: string
  /** Aborts what is under way. */
  readonly signal: AbortSignal
  onAnswer(subscriptionId: string, answer: ConsentAnswer, askedAgainInMs: number | undefined): void
  /** The database could not be asked, or told: the answer is lost, and asked for again. */
  onError(error: unknown): void
}

const NOTHING = Buffer.alloc(0)

export class ConsentSeeker {
  readonly #ports: ConsentPorts
  readonly #asking = new Map<string, Promise<void>>()

  constructor(ports: ConsentPorts) {
    this.#ports = ports
  }

  /** The subscription, which awaits a consent, as an attempt needs it: consented to, if the endpoint does so now. */
  async seek(subscription: Subscription, deadline: number): Promise<Subscription | undefined> {
    if (!mayBeAsked(subscription)) return subscription
    const { subscriptions } = this.#ports
    const { id } = subscription
    let asking = this.#asking.get(id)
    if (asking === undefined) {
      asking = this.#ask(subscription).finally(() => this.#asking.delete(id))
      this.#asking.set(id, asking)
    }
    await asking
    const asked = await subscriptions.get(id, deadline)
    // Many may have waited here, let in at a faster rate than the one that was allowed: they come again, at that.
    return asked?.rateLimit?.perSecond === subscription.rateLimit?.perSecond ? asked : subscription
  }

  async #ask(subscription: Subscription): Promise<void> {
    const { origin, signal, subscriptions } = this.#ports
    const { id: subscriptionId, url, timeoutMs } = subscription
    const question = { subscriptionId, url, origin }
    try {
      if (await this.#ports.takeTurn(question)) {
        const headers = {
          'user-agent': this.#ports.userAgent,
          ...consentRequestHeaders(origin, subscription.rateLimit),
        }
        const response = await this.#ports.send(
          { url, method: 'OPTIONS', headers, body: NOTHING },
          { timeoutMs, signal, subscription, wanted: { headers: CONSENT_HEADERS } },
        )
        // Our own stop cut it short: that is nobody's refusal.
        if (response.kind === 'failed' && response.error === 'aborted') return
        const answer = judgeConsent(response, origin)
        this.#ports.onAnswer(subscriptionId, answer, await this.#ports.record(question, answer))
      }
      // Another replica may have been told what we did not know.
      subscriptions.forget(subscriptionId)
    } catch (error) {
      this.#ports.onError(error)
    }
  }
}

/** What cannot be used to send cannot be used to ask either. */
function mayBeAsked({ consent, state, access, signers }: Subscription): boolean {
  return consent === 'awaited' && state === 'active' && access !== undefined && signers !== undefined
}
