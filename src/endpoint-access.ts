/** Wires how an attempt gets in: the tokens and certificates that it is sent with, and the consent that it waits for. */
import type { Config } from './config.ts'
import type { ConsentAnswer } from './core/consent.ts'
import { AccessTokens } from './delivery/access-tokens.ts'
import type { AttemptPorts } from './delivery/attempt.ts'
import { AuthorizedClient } from './delivery/authorized-client.ts'
import { ConsentSeeker } from './delivery/consent-seeker.ts'
import type { SubscriptionCache } from './delivery/subscription-cache.ts'
import type { WebhookClient } from './delivery/webhook-client.ts'
import { recordConsent, takeTurnToAsk } from './store/consents.ts'
import type { Database } from './store/database.ts'
import type { Logger } from './telemetry/logger.ts'

export interface EndpointAccessParts {
  readonly config: Config
  readonly database: Database
  readonly logger: Logger
  readonly client: WebhookClient
  readonly subscriptions: SubscriptionCache
  readonly userAgent: string
  /** Aborts what is under way. */
  readonly signal: AbortSignal
  readonly now: () => number
}

export function endpointAccess(parts: EndpointAccessParts): Pick<AttemptPorts, 'seekConsent' | 'send'> {
  const { database, logger, client, subscriptions, userAgent, signal, now } = parts
  const { origin } = parts.config
  const authorized = new AuthorizedClient({
    send: client.send.bind(client),
    tokens: new AccessTokens({
      send: client.send.bind(client),
      onFault: (id, reason) => logger.warn({ subscription_id: id, reason }, 'token.unavailable'),
      userAgent,
      signal,
      now,
    }),
    origin,
    now,
  })
  const consents = new ConsentSeeker({
    subscriptions,
    takeTurn: (question) => takeTurnToAsk(database, question),
    record: (question, answer) => recordConsent(database, question, answer),
    send: authorized.send.bind(authorized),
    origin,
    userAgent,
    signal,
    onAnswer: (id, answer, againInMs) => report(logger, id, answer, againInMs),
    onError: (err) => logger.warn({ err }, 'consent.not_recorded'),
  })
  return { seekConsent: consents.seek.bind(consents), send: authorized.send.bind(authorized) }
}

function report(logger: Logger, id: string, answer: ConsentAnswer, againInMs: number | undefined): void {
  switch (answer.kind) {
    case 'consented':
      logger.info({ subscription_id: id, requests_per_minute: answer.perMinute ?? 'any' }, 'consent.given')
      return
    case 'refused':
      logger.warn({ subscription_id: id, reason: answer.reason, again_in_ms: againInMs }, 'consent.refused')
  }
}
