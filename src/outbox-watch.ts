/**
 * Looks after the outbox beside the stream: whether it is still the table that is streamed, and whether everything in it
 * has the deliveries that it owes. Neither may hold the stream up; what is found goes to the backlog, like all that waits.
 */
import type { Config } from './config.ts'
import type { DeliveryStage } from './delivery-stage.ts'
import { audit, type AuditPorts, closeGap, type Found } from './relay/outbox-audit.ts'
import type { Judge } from './relay/judge-events.ts'
import { type Database, isStatementTimeout, isTransient } from './store/database.ts'
import type { Horizon } from './store/outbox-audit.ts'
import type { RetryJobs } from './store/jobs.ts'
import { isSameOutbox, type OutboxTable, readOutboxTable } from './store/outbox-table.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'

/** How soon a table that was renamed or replaced is noticed. */
const LOOK_EVERY_MS = 30_000
/** How soon a hole is noticed is twice this: what is looked at was passed by the relay in time for the look before. */
const AUDIT_EVERY_MS = 30_000

export interface OutboxWatchParts {
  readonly config: Config
  readonly database: Database
  readonly jobs: RetryJobs
  readonly logger: Logger
  readonly metrics: Metrics
  readonly delivery: DeliveryStage
  readonly judge: Judge | undefined
}

export class OutboxWatch {
  readonly #parts: OutboxWatchParts
  readonly #ports: AuditPorts

  constructor(parts: OutboxWatchParts) {
    this.#parts = parts
    this.#ports = {
      database: parts.database,
      slotName: parts.config.slotName,
      judge: parts.judge,
      schedule: parts.jobs.schedule.bind(parts.jobs),
      onFound: (found) => this.#accept(found),
    }
  }

  /**
   * Makes the deliveries that a gap in the log hid, if one was found. Where the outbox cannot be read for it, that is told and
   * remains owed: what comes over the log need not wait for it.
   */
  async closeGap(): Promise<void> {
    try {
      await closeGap(this.#ports)
    } catch (err) {
      // Too much to be looked through in time is no reason to wait: it would be so the next time too.
      if (isTransient(err) && !isStatementTimeout(err)) throw err
      this.#parts.logger.error({ err }, 'outbox.rescan_failed')
    }
  }

  /** From now on, until disposed. `onChanged`: the outbox is no longer the table that is streamed. */
  async start(onChanged: () => void): Promise<Disposable> {
    const { config, database, logger } = this.#parts
    const known = await readOutboxTable(database, config.publicationName)
    let horizon: Horizon | undefined
    const timers = [
      repeat(LOOK_EVERY_MS, async () => {
        if (await this.#hasChanged(known)) onChanged()
      }),
      repeat(AUDIT_EVERY_MS, async () => {
        try {
          await this.closeGap()
          horizon = await audit(this.#ports, horizon)
        } catch (err) {
          logger.warn({ err }, 'outbox.audit_failed')
        }
      }),
    ]
    return { [Symbol.dispose]: () => timers.forEach((timer) => clearInterval(timer)) }
  }

  async #hasChanged(known: OutboxTable): Promise<boolean> {
    const { config, database, logger } = this.#parts
    try {
      return !isSameOutbox(known, await readOutboxTable(database, config.publicationName))
    } catch (err) {
      logger.debug({ err }, 'relay.outbox_unchecked')
      return false
    }
  }

  #accept({ reason, events, deliveries, subscriptionIds }: Found): void {
    const { logger, metrics, delivery } = this.#parts
    metrics.recovered(reason, events)
    delivery.expect(subscriptionIds)
    // A hole that no gap explains is somebody's doing by hand, or a bug of ours.
    logger[reason === 'audit' ? 'error' : 'info']({ reason, events, deliveries }, 'outbox.rescanned')
  }
}

/** One at a time: a run that takes longer than the interval is not overtaken by the next. `work` never rejects. */
export function repeat(everyMs: number, work: () => Promise<void>): NodeJS.Timeout {
  let isRunning = false
  return setInterval(() => {
    if (isRunning) return
    isRunning = true
    void work().finally(() => (isRunning = false))
  }, everyMs)
}
