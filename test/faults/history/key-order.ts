/**
 * Order per key: an event comes only once every one of its key that was committed before it was accepted, or is dead, and
 * none of those comes again afterwards. e1 e1 e2 is in order; e2 before e1 was accepted is not, nor is e1 e2 e1.
 *
 * A process that was frozen or cut off may send what it had in hand when it comes back: a repetition up to `READ_WITHIN_MS`
 * after that is explained.
 */
import {
  type Fault,
  type HistorySubscription,
  isAccepted,
  type LoggedRequest,
  type RecordedDelivery,
  type WrittenEvent,
} from './history.ts'
import type { Violations } from './violations.ts'

interface Received {
  /** In order of arrival. */
  readonly requests: readonly LoggedRequest[]
  readonly rows: readonly RecordedDelivery[]
}

/** How long what was sent may lie in a socket before a busy receiver reads it. */
export const READ_WITHIN_MS = 2_000

/** What is dead holds nobody up, and what never came has been told as lost. */
export function assertNeverOvertaken(
  written: Iterable<WrittenEvent>,
  subscription: HistorySubscription,
  receivedOf: (eventId: string) => Received,
  faults: readonly Fault[],
  violations: Violations,
): void {
  const isLateWord = ({ arrivedAt }: LoggedRequest): boolean =>
    faults.some(
      ({ kind, from, until }) =>
        (kind === 'frozen' || kind === 'cut off') && from <= arrivedAt && arrivedAt <= until + READ_WITHIN_MS,
    )
  for (const events of byKey(written, subscription)) {
    let before: { readonly id: string; readonly acceptedAt: number } | undefined
    let earlier: { readonly id: string; readonly lastAt: number } | undefined
    for (const event of events) {
      const { requests, rows } = receivedOf(event.id)
      const [first] = requests
      if (first !== undefined && before !== undefined && first.arrivedAt < before.acceptedAt)
        violations.add('out of order', event.id, subscription.name, `came before ${before.id} was accepted`)
      if (first !== undefined && earlier !== undefined && first.arrivedAt < earlier.lastAt)
        violations.add('out of order', event.id, subscription.name, `${earlier.id} came again after it`)
      const lastAt = requests.findLast((request) => !isLateWord(request))?.arrivedAt ?? -Infinity
      if (earlier === undefined || lastAt > earlier.lastAt) earlier = { id: event.id, lastAt }
      const acceptedAt = requests.find(isAccepted)?.answeredAt
      const isDead = acceptedAt === undefined && rows.some(({ state }) => state === 'dead')
      if (!isDead) before = { id: event.id, acceptedAt: acceptedAt ?? Infinity }
    }
  }
}

function byKey(
  written: Iterable<WrittenEvent>,
  subscription: HistorySubscription,
): Iterable<readonly WrittenEvent[]> {
  const keys = new Map<string, WrittenEvent[]>()
  for (const event of written) {
    if (event.fate !== 'committed' || event.key === null || !subscription.matches(event)) continue
    const events = keys.get(event.key) ?? []
    events.push(event)
    keys.set(event.key, events)
  }
  for (const events of keys.values()) events.sort((a, b) => a.sequence - b.sequence)
  return keys.values()
}
