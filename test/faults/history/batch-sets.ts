/** A batch is a set: whoever remembers its id must never see it with other events, nor in another order. */
import type { HistorySubscription, LoggedRequest } from './history.ts'
import type { Violations } from './violations.ts'

export function assertWholeBatches(
  requests: readonly LoggedRequest[],
  { id, name, batching }: HistorySubscription,
  violations: Violations,
): void {
  /** For each batch, the events of each request that it came in. */
  const batches = new Map<string, Map<number, string[]>>()
  for (const { subscriptionId, eventId, batch } of requests) {
    if (subscriptionId !== id) continue
    if ((batch === undefined) !== (batching === undefined))
      violations.add('not batched as wished', eventId, name, batch === undefined ? 'alone' : 'in a batch')
    if (batch === undefined) continue
    const times = batches.get(batch.id) ?? new Map<number, string[]>()
    batches.set(batch.id, times)
    const events = times.get(batch.request) ?? []
    times.set(batch.request, events)
    events.push(eventId)
  }
  for (const [batchId, times] of batches) {
    const sets = [...times.values()]
    const sizes = sets.map((events) => events.length)
    if (new Set(sets.map((events) => events.join())).size > 1)
      violations.add('another batch under its id', batchId, name, `${sizes.join(', ')} events`)
    if (
      Math.max(...sizes) > (batching?.maxEvents ?? 0) ||
      sets.some((events) => new Set(events).size < events.length)
    )
      violations.add('not batched as wished', batchId, name, `${sizes.join(', ')} events`)
  }
}
