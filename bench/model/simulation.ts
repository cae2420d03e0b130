/**
 * Walhook in steps of ten milliseconds, as far as CPU decides: events wait in the log, deliveries in the tables, and processes
 * share cores. What waits for disks and networks is not in it; it says what can be carried, not how soon one is there.
 */
import { type CostModel, costOfDelivery } from './cost.ts'

export interface Site {
  /** Cores that all the processes share. */
  readonly cores: number
  /** Processes of Walhook: each has one thread that does its work. */
  readonly sidecars: number
  /** Whether the endpoints, and the application, run on these cores too. */
  readonly withReceiver: boolean
  readonly withApplication: boolean
}

export interface Load {
  readonly deliveriesPerEvent: number
  readonly payloadBytes?: number
  /** Deliveries that wait at the start. */
  readonly waiting: number
  /** Events a second that are committed meanwhile. */
  readonly eventsPerSecond: number
}

export interface Outcome {
  /** Deliveries a second, over the time that it took. */
  readonly perSecond: number
  /** Until nothing waited; undefined where it never came to that. */
  readonly seconds: number | undefined
  /** Of all cores, what was used. */
  readonly utilization: number
}

const STEP_MS = 10
/** Postgres works for one sidecar in its sender, in a session that records what is owed, and in one that records outcomes. */
const SESSIONS_A_SIDECAR = 3

export function simulate(model: CostModel, site: Site, load: Load, forSeconds: number): Outcome {
  const cost = costOfDelivery(model, load.deliveriesPerEvent, load.payloadBytes)
  const insertMs = model.insert.postgresMs + (site.withApplication ? model.insert.applicationMs : 0)
  const shared = cost.postgresMs + model.logReaderMs + (site.withReceiver ? model.receiverMs : 0)
  let waiting = load.waiting
  let delivered = 0
  let usedMs = 0
  let step = 0
  for (; step * STEP_MS < forSeconds * 1000; step++) {
    const arriving = (load.eventsPerSecond / 1000) * STEP_MS
    waiting += arriving * load.deliveriesPerEvent
    // Committing comes first: an application does not wait for webhooks.
    const inserting = Math.min(arriving * insertMs, site.cores * STEP_MS)
    const left = site.cores * STEP_MS - inserting
    const done = Math.min(
      waiting,
      // Every process gets what it asks for until the cores are used up,
      left / (cost.walhookMs + shared),
      // a sidecar is one thread,
      (site.sidecars * STEP_MS) / cost.walhookMs,
      // and so is a session of Postgres.
      (site.sidecars * SESSIONS_A_SIDECAR * STEP_MS) / cost.postgresMs,
    )
    waiting -= done
    delivered += done
    usedMs += inserting + done * (cost.walhookMs + shared)
    if (load.eventsPerSecond === 0 && waiting < 1e-6) {
      step++
      break
    }
  }
  const seconds = (step * STEP_MS) / 1000
  return {
    perSecond: delivered / seconds,
    seconds: waiting < Math.max(1e-6, load.eventsPerSecond / 10) ? seconds : undefined,
    utilization: usedMs / (step * STEP_MS * site.cores),
  }
}
