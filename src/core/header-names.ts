/** What Walhook's own headers are called: by Standard Webhooks and our name, or with a prefix of the subscription's. */

/** A header with several names is sent under each of them. */
export interface HeaderNames {
  readonly id: readonly string[]
  readonly timestamp: string
  /** Of the standard schemes; the others have names of their own. */
  readonly signature: string
  readonly eventType: readonly string[]
  readonly attempt: string
}

const STANDARD: HeaderNames = {
  id: ['webhook-id'],
  timestamp: 'webhook-timestamp',
  signature: 'webhook-signature',
  eventType: ['walhook-event-type'],
  attempt: 'walhook-attempt',
}

/** walhook.own_header_names says the same in SQL, which keeps other headers from these names. */
export function headerNames(prefix: string | undefined): HeaderNames {
  if (prefix === undefined) return STANDARD
  return {
    id: [`${prefix}Id`, `${prefix}Event-Id`],
    timestamp: `${prefix}Timestamp`,
    signature: `${prefix}Signature`,
    eventType: [`${prefix}Event-Type`, `${prefix}Event`],
    attempt: `${prefix}Attempt`,
  }
}
