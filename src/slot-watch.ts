/**
 * The alarm of promise G10: looks at the slot as long as the process lives, whoever streams it, and says when Postgres
 * comes nearer to giving it up. Mending is the relay's.
 */
import type { Config } from './config.ts'
import { judgeSlot, type SlotReading, type SlotRisk, type SlotVerdict } from './core/slot-health.ts'
import { Wake } from './lifecycle/wake.ts'
import type { LiveHints } from './live-hints.ts'
import type { Database } from './store/database.ts'
import { endSlotRisk, tellSlotAtRisk } from './store/operator-events.ts'
import { readSlotHealth } from './store/slot-health.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'

const LOOK_EVERY_MS = 10_000
/** How fast the log grows is told from the readings of this long. */
const REMEMBER_MS = 300_000
/** What was told and has not got better is told again. */
const TELL_AGAIN_MS = 600_000

export interface SlotWatchParts {
  readonly config: Config
  readonly database: Database
  readonly logger: Logger
  readonly metrics: Metrics
  readonly hints: LiveHints
}

/** What /readyz shows of it. */
export interface SlotReport {
  readonly state: SlotReading['state']
  readonly risk: SlotRisk
  readonly retained_wal_bytes: number | undefined
  readonly safe_wal_bytes: number | undefined
  readonly seconds_until_lost: number | undefined
}

export class SlotWatch {
  readonly #parts: SlotWatchParts
  #readings: SlotReading[] = []
  #verdict: SlotVerdict | undefined
  #toldAtMs = 0

  constructor(parts: SlotWatchParts) {
    this.#parts = parts
  }

  /** Undefined until the first look. */
  report(): SlotReport | undefined {
    const reading = this.#readings.at(-1)
    if (reading === undefined || this.#verdict === undefined) return undefined
    return {
      state: reading.state,
      risk: this.#verdict.risk,
      retained_wal_bytes: reading.retainedBytes,
      safe_wal_bytes: reading.safeBytes,
      seconds_until_lost: this.#verdict.secondsUntilLost,
    }
  }

  /** Runs until `signal` aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const pause = new Wake()
    while (!signal.aborted) {
      await this.#look()
      await pause.sleep(LOOK_EVERY_MS, signal)
    }
  }

  async #look(): Promise<void> {
    const { database, config, logger, metrics, hints } = this.#parts
    try {
      const reading = await readSlotHealth(database, config.slotName, performance.now())
      if (reading === undefined) return
      const before = this.#readings.at(-1)
      const recent = this.#readings.filter(({ atMs }) => atMs >= reading.atMs - REMEMBER_MS)
      this.#readings = [...recent, reading]
      const verdict = judgeSlot(reading, this.#readings[0])
      this.#tell(reading, verdict, before)
      this.#verdict = verdict
      metrics.slot(reading, verdict.secondsUntilLost)
      hints.slot()
      await this.#tellOperators(reading, verdict)
    } catch (err) {
      // Whoever streams or records notices too, and says it louder.
      logger.debug({ err }, 'slot.unwatched')
    }
  }

  /** An episode is from real danger to none, and is told once, whichever replica sees it first. */
  async #tellOperators(reading: SlotReading, { risk, cause, secondsUntilLost }: SlotVerdict): Promise<void> {
    const { database, config } = this.#parts
    if (risk === 'none') return endSlotRisk(database, config.slotName)
    if (risk === 'rising') return
    await tellSlotAtRisk(database, config.slotName, {
      slot: config.slotName,
      state: reading.state,
      risk,
      cause,
      retained_wal_bytes: reading.retainedBytes,
      safe_wal_bytes: reading.safeBytes,
      seconds_until_lost: secondsUntilLost,
    })
  }

  #tell(reading: SlotReading, verdict: SlotVerdict, before: SlotReading | undefined): void {
    const { logger, config } = this.#parts
    const slot = {
      slot: config.slotName,
      state: reading.state,
      retained_wal_bytes: reading.retainedBytes,
      unconfirmed_wal_bytes: reading.unconfirmedBytes,
      safe_wal_bytes: reading.safeBytes,
      seconds_until_lost: verdict.secondsUntilLost,
    }
    const riskBefore = this.#verdict?.risk ?? 'none'
    if (verdict.risk === 'none') {
      if (riskBefore !== 'none') logger.info(slot, 'slot.safe_again')
      else if (before?.state !== reading.state) logger.info(slot, 'slot.watched')
      return
    }
    if (verdict.risk === riskBefore && reading.atMs - this.#toldAtMs < TELL_AGAIN_MS) return
    this.#toldAtMs = reading.atMs
    logger[verdict.risk === 'rising' ? 'warn' : 'error'](
      { ...slot, risk: verdict.risk, cause: verdict.cause },
      'slot.at_risk',
    )
  }
}
