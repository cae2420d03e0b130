/**
 * What a run leaves behind: what the application wrote, what the receivers got, what the tables say, and what was done
 * to the system meanwhile. Each part is written down by another party, and none by the code under test but the tables.
 *
 * Times are unix milliseconds of the machine on which the run takes place.
 */
import { hash } from 'node:crypto'

export type Fate = 'committed' | 'rolled back'

export interface WrittenEvent {
  readonly id: string
  readonly type: string
  readonly key: string | null
  readonly fate: Fate
  /** Digest of the whole body that a receiver has to get. */
  readonly digest: number
  /** Among the committed events of its key: lower committed earlier. */
  readonly sequence: number
  /** Deleted in the transaction that inserted it: it is an event all the same, but nobody can read it again. */
  readonly rowIsGone: boolean
}

export interface HistorySubscription {
  readonly id: string
  /** For people: the endpoint's path. */
  readonly name: string
  readonly matches: (event: WrittenEvent) => boolean
  /** Whether events of one key have to come one after the other, in commit order. */
  readonly isOrdered: boolean
  /** What an attempt is given until it counts as failed. */
  readonly timeoutMs: number
  /** Undefined where each event has to come alone. */
  readonly batching?: { readonly maxEvents: number } | undefined
}

export interface LoggedRequest {
  readonly subscriptionId: string
  readonly eventId: string
  /**
   * When its attempt began, as its `webhook-timestamp` says: to the second, rounded down. Undefined where the sender's clock lies.
   */
  readonly attemptedAt: number | undefined
  /** When its body had arrived: on a busy machine it may have lain in the socket until it was read. */
  readonly arrivedAt: number
  /** When its answer was handed to the connection, whole; undefined where none was. */
  readonly answeredAt: number | undefined
  readonly status: number | undefined
  readonly digest: number
  /** What the outside verifier said against it. */
  readonly forged: string | undefined
  /** Where the event came in one. */
  readonly batch?: LoggedBatch
}

export interface LoggedBatch {
  readonly id: string
  /** Which of the endpoint's requests it was. */
  readonly request: number
}

export interface RecordedDelivery {
  readonly eventId: string
  readonly subscriptionId: string
  readonly state: 'pending' | 'delivered' | 'dead' | 'cancelled'
  readonly waitsAs: string | null
  readonly lastError: string | null
  readonly finishedAt: number | undefined
}

/**
 * What was done, and what it can do:
 * - `killed`: a process died with what it held;
 * - `aborted`: a process was stopped with less grace than its attempts needed;
 * - `frozen`: a process stood still, and went on with what it held, which others may have taken over;
 * - `cut off`: a process lived on without its database, while others had theirs;
 * - `database`: no process could record, for everybody alike: the server was away, or tables were locked;
 * - `endpoint`: endpoints were out of reach, so that attempts failed of which a receiver knows nothing;
 * - `stopped`: a process was asked to end and given the time: it has to lose and repeat nothing.
 */
export type FaultKind = 'killed' | 'aborted' | 'frozen' | 'cut off' | 'database' | 'endpoint' | 'stopped'

export interface Fault {
  readonly kind: FaultKind
  /** For people: which process, which lock. */
  readonly what: string
  readonly from: number
  /** Infinity while it lasts. */
  readonly until: number
}

export interface History {
  readonly written: ReadonlyMap<string, WrittenEvent>
  readonly subscriptions: readonly HistorySubscription[]
  readonly requests: readonly LoggedRequest[]
  readonly deliveries: readonly RecordedDelivery[]
  readonly faults: readonly Fault[]
}

/** 48 bits of SHA-256: millions of bodies can be compared without being kept. */
export function digestOf(body: string | Uint8Array): number {
  return hash('sha256', body, 'buffer').readUIntBE(0, 6)
}

/** A 2xx that was handed to the connection: as far as the endpoint is concerned, the event was delivered. */
export function isAccepted(request: LoggedRequest): boolean {
  return (
    request.answeredAt !== undefined &&
    request.status !== undefined &&
    request.status >= 200 &&
    request.status < 300
  )
}

/** The sender may have given it up by then: as far as it is concerned, there was no answer. */
export function isAnsweredTooLate({ attemptedAt, answeredAt }: LoggedRequest, timeoutMs: number): boolean {
  return attemptedAt !== undefined && answeredAt !== undefined && answeredAt - attemptedAt >= timeoutMs
}
