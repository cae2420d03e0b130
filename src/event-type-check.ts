/**
 * Wires the catalog of event types to the relay, the log and the metrics. Events are counted each, and told once in a while for
 * each type and rule: what an application does wrong, it does a thousand times a second.
 */
import type { Config } from './config.ts'
import { type CataloguedEvent, type Misfit } from './core/event-type.ts'
import { CatalogCache } from './relay/catalog-cache.ts'
import { eventJudge, type Judge } from './relay/judge-events.ts'
import type { Database } from './store/database.ts'
import { readCatalog } from './store/event-types.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'

export interface EventTypeCheck {
  /** Undefined where nothing is checked. */
  readonly judge: Judge | undefined
  /** Before events come: a schema that is none is told at the start, and not when it is needed. */
  read(): Promise<void>
}

const TELL_AGAIN_MS = 60_000
/** Applications make types up. */
const MOST_REMEMBERED = 10_000

export function eventTypeCheck(parts: {
  readonly config: Config
  readonly database: Database
  readonly logger: Logger
  readonly metrics: Metrics
}): EventTypeCheck {
  const { config, database, logger, metrics } = parts
  const mode = config.eventTypes
  if (mode === 'open') return { judge: undefined, read: async () => undefined }

  const now = (): number => performance.now()
  const catalog = new CatalogCache({
    read: (known) => readCatalog(database, known),
    onBroken: (type, reason) => logger.error({ type, reason }, 'event_type.schema_broken'),
    now,
  })
  const isNews = seldom(TELL_AGAIN_MS, now)
  const isFirstUse = seldom(Infinity, now)

  const onMisfit = (event: CataloguedEvent, misfit: Misfit): void => {
    const { kind, reason, schemaPath } = misfit
    metrics.misfit(kind)
    const { id, type } = event
    // A reason says which item of a list it was: one rule has as many as there are items.
    if (!isNews(`${type} ${schemaPath ?? kind}`)) return
    if (mode === 'strict') logger.error({ event_id: id, type, reason }, 'event.dead')
    else if (kind === 'unknown_type') logger.warn({ event_id: id, type }, 'event_type.unknown')
    // Of a schema that is none there was a line already.
    else if (kind === 'payload_invalid')
      logger.warn({ event_id: id, type, reason, schema_path: schemaPath }, 'event_type.payload_invalid')
  }
  const onDeprecated = (type: string): void => {
    if (isFirstUse(type)) logger.warn({ type }, 'event_type.deprecated')
  }
  return {
    judge: eventJudge({ catalog, strict: mode === 'strict', onMisfit, onDeprecated, now }),
    read: async () => void (await catalog.readSince(now())),
  }
}

/** Whether something has not been told for so long. Forgets everything when that would be too much to remember. */
function seldom(everyMs: number, now: () => number): (what: string) => boolean {
  const toldAt = new Map<string, number>()
  return (what) => {
    const last = toldAt.get(what)
    if (last !== undefined && now() - last < everyMs) return false
    if (toldAt.size >= MOST_REMEMBERED) toldAt.clear()
    toldAt.set(what, now())
    return true
  }
}
