/**
 * Committed transactions → recorded deliveries: the no-loss promise, in one loop. The order of its three steps is the
 * promise. Recorded and not confirmed is read again and absorbed; confirmed and not recorded would be lost.
 */
import type { StreamItem, TransactionStream } from '../core/committed-transaction.ts'
import type { RelayPosition } from '../core/relay-position.ts'
import { type Recorded, recordBatch, type RelayLedger } from './record-batch.ts'
import { portions, toBatch } from './relay-batch.ts'

export interface RelayPorts extends RelayLedger {
  /** Resolves when memory has room for so many deliveries, and in any case soon: an endpoint must not hold up the log. */
  untilRoom(deliveries: number): Promise<void>
  /** Deliveries that this process holds now, and subscriptions whose deliveries wait for room. */
  handOver(recorded: Recorded, committedAt: Date | undefined): void
}

/** A position without events is written this seldom: writing it is itself write-ahead log. */
const IDLE_POSITION_EVERY_MS = 30_000
const IDLE_POSITION_EVERY_BYTES = 16n * 1024n * 1024n

/** What of a batch goes into one transaction: events that many subscriptions want would take all of memory at once. */
const DELIVERIES_AT_ONCE = 1_000
const FIRST_FAN_OUT = 10

/** Runs until the stream ends, and throws what ended it. `position` is what was recorded before. */
export async function relay(
  stream: TransactionStream,
  position: RelayPosition,
  ports: RelayPorts,
): Promise<void> {
  let recorded = position
  let recordedAt = ports.now()
  /** Deliveries that an event has come to, in the last portion. At first nothing is known. */
  let fanOut = FIRST_FAN_OUT
  const rowsAtOnce = (): number => DELIVERIES_AT_ONCE / fanOut

  for await (const items of stream) {
    for (const portion of portions(items, rowsAtOnce)) {
      const batch = toBatch(portion, recorded)
      const isWorthWriting =
        batch.rows.length > 0 ||
        isUrgent(portion) ||
        isStale(recorded, batch.position, ports.now() - recordedAt)
      if (!isWorthWriting) continue

      await ports.untilRoom(Math.ceil(batch.rows.length * fanOut))
      const result = await recordBatch(batch, ports)
      if (result.events > 0) fanOut = result.deliveries / result.events
      if (batch.confirmable !== undefined) stream.confirm(batch.confirmable)
      ports.handOver(result, batch.committedAt)

      recorded = batch.position
      recordedAt = ports.now()
    }
  }
}

/** The server asked, as it does while it shuts down: it cannot end before we have caught up. */
function isUrgent(items: readonly StreamItem[]): boolean {
  return items.some((item) => item.kind === 'idle' && item.urgent)
}

function isStale(recorded: RelayPosition, reached: RelayPosition, ageMs: number): boolean {
  const behind = reached.lsn - recorded.lsn
  return behind >= IDLE_POSITION_EVERY_BYTES || (behind > 0n && ageMs >= IDLE_POSITION_EVERY_MS)
}
