/**
 * What a batch of outcomes says of the endpoints that they were for. Pure. A success ends a failing period, whatever came
 * before it; only the failures after the last one count.
 */

/** A delivery's outcome, in the order in which they came. */
export interface EndpointOutcome {
  readonly subscriptionId: string
  /** Of the request, where it carried several deliveries: that it failed is one failure. */
  readonly batch: { readonly id: string } | undefined
  readonly state: 'delivered' | 'pending' | 'dead'
  readonly status: number | undefined
  readonly error: string | undefined
  readonly disables: 'gone' | 'asked' | undefined
  readonly isOperatorEvent: boolean
}

export interface EndpointNews {
  readonly subscriptionId: string
  readonly succeeded: boolean
  /** Requests that failed in a row, after the last success. */
  readonly failures: number
  /** Of the last of them. */
  readonly batchId: string | undefined
  readonly lastStatus: number | undefined
  readonly lastError: string | undefined
  /** Whether any of those failures was of an application's event: of the others nothing is told. */
  readonly isWorthTelling: boolean
  readonly disables: 'gone' | 'asked' | undefined
}

/** Why a subscription is disabled: by the time that it has been failing, by a 410, or by the header `webhook-delivery`. */
export const DISABLE_REASONS = ['failing', 'gone', 'asked'] as const
export type DisableReason = (typeof DISABLE_REASONS)[number]

/** Fewer in a row say too little, however long ago the first of them was: perhaps nothing was sent in between. */
export const FAILURES_TO_JUDGE_BY = 5

/** Ordered by subscription, so that processes that write the same rows take them in the same order. */
export function newsOf(outcomes: readonly EndpointOutcome[]): readonly EndpointNews[] {
  const news = new Map<string, EndpointNews>()
  for (const outcome of outcomes) {
    const before = news.get(outcome.subscriptionId)
    news.set(outcome.subscriptionId, {
      ...(outcome.state === 'delivered' ? afterSuccess(outcome) : afterFailure(before, outcome)),
      disables: before?.disables ?? outcome.disables,
    })
  }
  return [...news.values()].sort((a, b) => (a.subscriptionId < b.subscriptionId ? -1 : 1))
}

function afterSuccess({ subscriptionId }: EndpointOutcome): Omit<EndpointNews, 'disables'> {
  return {
    subscriptionId,
    succeeded: true,
    failures: 0,
    batchId: undefined,
    lastStatus: undefined,
    lastError: undefined,
    isWorthTelling: false,
  }
}

function afterFailure(
  before: EndpointNews | undefined,
  { subscriptionId, batch, status, error, isOperatorEvent }: EndpointOutcome,
): Omit<EndpointNews, 'disables'> {
  const isCounted = batch !== undefined && before?.batchId === batch.id
  return {
    subscriptionId,
    succeeded: before?.succeeded ?? false,
    failures: (before?.failures ?? 0) + (isCounted ? 0 : 1),
    batchId: batch?.id,
    lastStatus: status,
    lastError: error,
    isWorthTelling: !isOperatorEvent || (before?.isWorthTelling ?? false),
  }
}
